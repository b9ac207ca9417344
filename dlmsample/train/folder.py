"""The folder of a run: one run at a time writes into it, and nothing is deleted that a run did not write."""

from __future__ import annotations

import shutil
from pathlib import Path

from dlmsample.support.lock import FolderLock
from dlmsample.train import checkpoint
from dlmsample.train.config import TrainError

#: What a result carries.
RECORD = "training.json"
#: The file that says which process holds the folder, and the file that is locked.
_OWNER, _LOCKED = "run.json", "train.lock"


class RunFolder:
    """A folder that is held for one run, from the beginning until :meth:`release`.

    The lock belongs to the process: a process that is killed holds nothing any more, and a file that it left behind
    locks nothing.

    Args:
        path: the folder; it is made if it is missing.

    Raises:
        TrainError: another process trains into it; it cannot be written or locked; it holds a checkpoint or a result
            that no run wrote; or no run was there yet and it holds anything at all (hidden files do not count).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainError(f"cannot use --out {str(path)!r}: {error.strerror}; name another folder") from None
        if (foreign := _foreign(path)) is not None:
            raise TrainError(f"{foreign} was not written by a run of this package: move it away, or name another --out")
        self._lock = FolderLock(path, _OWNER, _LOCKED)
        self.hold()

    def hold(self) -> None:
        """Take the folder; nothing happens where this run has it already.

        Raises:
            TrainError: another process has it, or it cannot be locked.
        """
        try:
            self._lock.acquire()
        except ValueError as error:
            raise TrainError(str(error)) from None

    def release(self) -> None:
        """Let another run have the folder."""
        self._lock.release()


def remove_result(folder: Path) -> None:
    """Remove a result that a run wrote; nothing happens where there is none.

    Raises:
        TrainError: the folder holds something else.
    """
    if not folder.exists():
        return
    if not _is_result(folder):
        raise TrainError(f"{folder} was not written by a run of this package: move it away, or name another --out")
    shutil.rmtree(folder)


def _foreign(out: Path) -> Path | None:
    """What was not written by a run: under the names of checkpoints and results, or at all before the first run."""
    for folder in checkpoint.folders(out):
        if not checkpoint.is_own(folder):
            return folder
    for name in ("final", "final.writing"):
        if (out / name).exists() and not _is_result(out / name):
            return out / name
    if (out / _OWNER).exists() or checkpoint.complete(out):
        return None  # a run has been here before: the logs are its own, and what was put beside them stays
    return next(
        (file for file in sorted(out.iterdir()) if not file.name.startswith(".") and file.name != _LOCKED), None
    )


def _is_result(folder: Path) -> bool:
    return folder.is_dir() and ((folder / RECORD).is_file() or not any(folder.iterdir()))
