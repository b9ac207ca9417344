"""One process per folder: a lock of the operating system, which ends with the process that holds it."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout


class FolderLock:
    """A folder that one process holds at a time.

    The lock belongs to the process: one that is killed holds nothing any more, and a file that it left behind locks
    nothing. There are two files, because some versions of filelock empty the locked file of another process when they
    only try it.

    Args:
        folder: that exists.
        owner: name of the file that says which process holds it.
        locked: name of the empty file that is locked.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, FolderLock(Path(folder), "owner.json", "run.lock") as lock:
        ...     lock.is_held
        True
    """

    def __init__(self, folder: Path, owner: str, locked: str) -> None:
        self.folder, self._owner = folder, folder / owner
        self._lock = FileLock(folder / locked)

    @property
    def is_held(self) -> bool:
        """Whether this object holds the folder."""
        return self._lock.is_locked

    def acquire(self) -> None:
        """Take the folder at once or not at all; nothing happens where this object has it already.

        Raises:
            ValueError: another process holds it (named by its id and host), or it cannot be locked or written.
        """
        if self.is_held:
            return
        folder = self.folder
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"{folder} is in use by {self._holder()}: wait for it, stop it, or name another folder"
            ) from None
        except NotImplementedError:
            raise ValueError(f"{folder} cannot be locked: name a folder on a local disk") from None
        except OSError as error:
            raise _unwritable(folder, error) from None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
        try:
            self._owner.write_text(json.dumps(who), encoding="utf-8")
        except OSError as error:
            self.release()
            raise _unwritable(folder, error) from None

    def release(self) -> None:
        """Let another process have the folder."""
        self._lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _holder(self) -> str:
        try:
            said = json.loads(self._owner.read_text(encoding="utf-8"))
            return f"process {said['pid']} on {said['host']} since {said['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process that is just starting"


def _unwritable(folder: Path, error: OSError) -> ValueError:
    return ValueError(f"cannot write into --out {str(folder)!r}: {error.strerror}; name another folder")
