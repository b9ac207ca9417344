"""One run per folder: a lock of the operating system, which ends with the process that holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

#: The file that says who holds the folder, and the empty file that is locked. They are two because some versions of
#: filelock empty the locked file of another process when they only try it.
NAME, _LOCKED = "lock", "store.lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder for the time of the block; the file ``lock`` says which process does.

    The lock belongs to the process and not to what the file says: a process that is killed holds nothing any more,
    and a file that it left behind locks nothing.

    Raises:
        ValueError: another process holds the folder (named by its id and host), or the folder cannot be locked.
    """
    lock = FileLock(folder / _LOCKED)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{folder} is in use by {_owner(folder / NAME)}: wait for it, stop it, or name another folder"
        ) from None
    except NotImplementedError:
        raise ValueError(f"{folder} cannot be locked: name a folder on a local disk") from None
    except OSError as error:
        raise ValueError(f"cannot write into --out {str(folder)!r}: {error.strerror}; name another folder") from None
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
        try:
            (folder / NAME).write_text(json.dumps(who), encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"cannot write into --out {str(folder)!r}: {error.strerror}; name another folder"
            ) from None
        yield
    finally:
        lock.release()


def _owner(path: Path) -> str:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']} since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process that is just starting"
