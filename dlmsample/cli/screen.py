"""Where output goes: a terminal, a pipe, or a file that appears only when it is complete."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from dlmsample.support.files import replacement
from dlmsample.support.text import printable

if TYPE_CHECKING:
    from rich.console import Console

OUTPUT = "--output"
_NO_TERMINAL_WIDTH = 100_000  # nothing is cut or wrapped for a reader that has no width


def console(stream: TextIO) -> Console:
    """A rich console without markup; colour only on a terminal, and not with NO_COLOR."""
    from rich.console import Console

    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal,
        color_system="auto" if terminal and not os.environ.get("NO_COLOR") else None,
        width=None if terminal else _NO_TERMINAL_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
    )


def silence() -> None:
    """Keep transformers' bars and warnings off standard error; downloads show theirs on a terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    if sys.stderr.isatty():
        from huggingface_hub.utils import enable_progress_bars

        enable_progress_bars()


def say(screen: Console, text: str) -> None:
    """Write untrusted text as it is; on a terminal control and bidirectional characters are shown escaped."""
    screen.file.write((printable(text) if screen.is_terminal else text) + "\n")


def table(screen: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], words: str) -> None:
    """Write rows under their headings; the column ``words`` is text, the others are numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold", justify="left" if column == words else "right")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    screen.print(drawn)


def note(text: str) -> None:
    """Something worth knowing, on standard error and, like progress, only where that is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{printable(text)}\n")


def tell(text: str) -> None:
    """What was asked for and has to be told, on standard error whatever that is."""
    sys.stderr.write(f"{printable(text)}\n")


def sink(path: str | None, option: str = OUTPUT) -> AbstractContextManager[TextIO]:
    """Standard output, or a buffer that becomes the file when the block ends well."""
    return nullcontext(sys.stdout) if path is None else _file(path, option)


@contextmanager
def _file(path: str, option: str) -> Iterator[TextIO]:
    buffer = io.StringIO()
    yield buffer
    _write(_checked(path, option), buffer.getvalue(), option)


def check_writable(files: Mapping[str, str | None]) -> None:
    """Find out now, before any work, that the file of an option cannot be written.

    Args:
        files: option -> its file, or None where it is not given.

    Raises:
        ValueError: one cannot.
    """
    for option, path in files.items():
        if path is None:
            continue
        target = _checked(path, option)
        if _replaceable(target):
            try:
                tempfile.TemporaryFile(dir=target.parent).close()
            except OSError as e:
                raise _unwritable(path, option, e.strerror or str(e)) from e


def _checked(path: str, option: str) -> Path:
    target = Path(path)
    try:
        if _replaceable(target):
            target = target.resolve()  # a link stays a link: the file behind it is replaced
        if not path or target.is_dir():
            raise _unwritable(path, option, "it is a folder: name a file")
        if not target.parent.is_dir():
            raise _unwritable(path, option, f"folder {str(target.parent)!r} does not exist: create it first")
        if target.exists() and not os.access(target, os.W_OK):
            raise _unwritable(path, option, "permission denied: choose another path")
    except (OSError, RuntimeError) as e:
        raise _unwritable(path, option, str(e)) from e
    return target


def _replaceable(target: Path) -> bool:
    """Whether a new file can take the place; a device or a pipe is written to instead."""
    return target.is_file() or not target.exists()


def _write(target: Path, text: str, option: str) -> None:
    """A file takes its place whole; a device or a pipe is written to."""
    try:
        if not _replaceable(target):
            target.write_text(text, encoding="utf-8", newline="\n")
            return
        with replacement(target) as file:
            file.write(text)
    except OSError as e:
        raise _unwritable(str(target), option, e.strerror or str(e)) from e


def _unwritable(path: str, option: str, why: str) -> ValueError:
    return ValueError(f"cannot write {path!r} ({option}): {why}")
