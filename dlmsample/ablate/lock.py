"""One run per folder: an operating-system lock that dies with its process."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

NAME = "lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock for the time of the block; the file ``lock`` says who does.

    The lock belongs to the open file, not to what the file says: a process that is killed holds it no longer,
    and a file left behind locks nothing.

    Raises:
        ValueError: another process holds it (named by its id and host), or the folder cannot be locked.
    """
    try:
        import fcntl
    except ImportError:
        raise ValueError("ablate needs file locks, which this system lacks: run it on Linux or macOS") from None
    try:
        file = os.fdopen(os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write into --out {str(folder)!r}: {error.strerror}; name another folder") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder} is in use by {_owner(file.read())}: wait for it, stop it, or name another folder"
            ) from None
        except OSError as error:
            raise ValueError(f"{folder} cannot be locked ({error.strerror}): name a folder on a local disk") from None
        file.truncate(0)
        file.seek(0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": now}, file)
        file.flush()
        yield


def _owner(text: str) -> str:
    try:
        said = json.loads(text)
        return f"process {said['pid']} on {said['host']} since {said['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process that is just starting"
