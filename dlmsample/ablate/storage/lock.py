"""One run per folder of results."""

from __future__ import annotations

from pathlib import Path

from dlmsample.support.lock import FolderLock

#: The file that says which process holds the folder.
NAME = "lock"


def held(folder: Path) -> FolderLock:
    """The lock of a folder of results, to be used in a ``with`` statement; see :class:`FolderLock`."""
    return FolderLock(folder, NAME, "store.lock")
