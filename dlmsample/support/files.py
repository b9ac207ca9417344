"""Files that are complete or not there at all."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


def example_hint(path: str | Path) -> str:
    """How to get a file that is not there, if it has the name of an example file of the package; else nothing.

    Example:
        >>> example_hint("examples/problems.txt"), example_hint("mine.txt")
        (', or copy it from the package: dlmsample examples --copy examples', '')
    """
    package = Path(__file__).parents[1]
    name, folder = Path(path).name, Path(path).parent
    if not any((place / name).is_file() for place in (package / "examples", package.parent / "examples")):
        return ""
    return f", or copy it from the package: dlmsample examples --copy {shlex.quote(str(folder))}"


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
        with replacement(path) as file:
            yield file
    except OSError as error:
        said = error.strerror or str(error)
        raise ValueError(f"cannot write {str(path)!r}: {said}; make the folder writable or free the disk") from None


@contextmanager
def replacement(path: Path) -> Iterator[TextIO]:
    """:func:`atomic_write` for callers that word the error themselves; a file that is there keeps its permissions.

    Raises:
        OSError: it cannot be written.
    """
    umask = os.umask(0)
    os.umask(umask)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
