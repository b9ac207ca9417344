"""Files that are complete or not there at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def atomic_write(path: Path) -> Iterator[TextIO]:
    """A text file (UTF-8, line feeds) that takes its place only when the block ends without an error.

    Whoever reads meanwhile, and whoever comes after a killed process, finds the old file or the new one. Half of a
    surrogate pair, which UTF-8 cannot hold, is written as an escape.

    Raises:
        ValueError: it cannot be written; the file that was there is still there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder) / "a.txt") as file:
        ...         _ = file.write("complete")
        ...     (Path(folder) / "a.txt").read_text()
        'complete'
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror}; make the folder writable") from None
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            raise ValueError(f"cannot write {str(path)!r}: {error.strerror}; free the disk or the name") from None
        raise
