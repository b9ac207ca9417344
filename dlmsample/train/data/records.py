"""Files (or a hub data set) to checked records; every mistake is told with its file and line.

What a row may be:

* JSON lines (``.jsonl``, ``.ndjson``): one object a line with ``prompt`` and ``answer``; or ``messages`` (a list
  of ``{role, content}`` whose last is the assistant's, which is the answer); or ``text``, a plain document.
  The first of these that a row has counts; blank lines are skipped. ``data.prompt=question`` renames a field.
* Plain text (``.txt``, ``.text``): documents separated by blank lines; line breaks within a document stay.

An answer is taken as it is: where a chat template ends without the space that answers begin with, write it. What
becomes of rows that say nothing is decided in :mod:`dlmsample.train.data.corpus`, by ``data.blank``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlmsample.support.files import example_hint
from dlmsample.support.text import parse_json
from dlmsample.train.config import TrainError
from dlmsample.train.config.sections import DataSection

SHOWN = 10
"""So many mistakes are told one by one; the others are counted."""
_HUB = "; a data set of the hub is named by data.hub=org/name, with task=null where a recipe has one"
_UNSEEN = ("Cc", "Cf")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text", ".text": "text"}


class Record(NamedTuple):
    """One checked row."""

    where: str
    """``file:line``."""
    roles: tuple[str, ...]
    """Of the messages before the answer; none: a plain document."""
    contents: tuple[str, ...]
    answer: str
    """The answer, or the document."""


class DataError(TrainError):
    """Mistakes in the data: one line each, then how many there are."""


class Mistakes:
    """Collects mistakes, so that all can be told at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def add(self, where: str, what: str) -> None:
        """Note one."""
        self.count += 1
        if self.count <= SHOWN:
            self.lines.append(f"{where}: {what}")

    def check(self) -> None:
        """Raise what was collected.

        Raises:
            DataError: there was something.
        """
        if self.count == 0:
            return
        more = f" ({SHOWN} shown)" if self.count > SHOWN else ""
        last = [f"{self.count:,} mistakes in the data{more}: nothing was trained"] if self.count > 1 else []
        raise DataError("\n".join([*self.lines, *last]))


def blanks(texts: Sequence[str]) -> list[int]:
    r"""The numbers of the texts in which nothing shows, counted from 0.

    Example:
        >>> blanks(["", " \t\u200b\ufeff", " x"])
        [0, 1]
    """
    unseen = (all(c.isspace() or unicodedata.category(c) in _UNSEEN for c in text) for text in texts)
    return [number for number, nothing in enumerate(unseen) if nothing]


def find(section: DataSection) -> list[tuple[Path, str]]:
    """The files of a section and their formats, in the order they are read.

    Raises:
        TrainError: a path that is not there, a folder without files, or a format that cannot be told.
    """
    found: list[tuple[Path, str]] = []
    for name in section.paths:
        path = Path(name).expanduser()
        if path.is_dir():
            known = [suffix for suffix, kind in _SUFFIXES.items() if section.format in (None, kind)]
            inside = sorted(p for p in path.rglob("*") if p.suffix in known and p.is_file())
            if not inside:
                raise TrainError(f"data: folder {name} holds no file that ends in {', '.join(known)}")
            found += [(p, section.format or _SUFFIXES[p.suffix]) for p in inside]
            continue
        if not path.exists():
            raise TrainError(f"data: no file or folder {name}" + (_HUB if name.count("/") == 1 else ""))
        kind = section.format or _SUFFIXES.get(path.suffix)
        if kind is None:
            raise TrainError(f"data: cannot tell the format of {name} by its suffix: set data.format=jsonl or text")
        found.append((path, kind))
    return found


def read(section: DataSection, mistakes: Mistakes) -> Iterator[Record]:
    """The records of a section, in order; what is wrong goes to ``mistakes`` and is left out.

    Raises:
        TrainError: the data cannot be reached at all.
    """
    if section.hub is not None:
        from dlmsample.train.data.hub import rows

        for number, row in enumerate(rows(section), 1):
            yield from _record(f"{section.hub}[{section.split}] row {number}", row, section, mistakes)
        return
    for path, kind in find(section):
        before, count = mistakes.count, 0
        for record in _READERS[kind](path, section, mistakes):
            count += 1
            yield record
        if not count and mistakes.count == before:
            what = "holds no row: only blank lines" if path.stat().st_size else "the file is empty"
            mistakes.add(str(path), what)


def _lines(path: Path, mistakes: Mistakes) -> Iterator[tuple[str, str]]:
    """``file:line`` and text of each line, without its end."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                where = f"{path}:{number}"
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    byte = error.object[error.start]
                    mistakes.add(where, f"not UTF-8 (0x{byte:02x} at byte {error.start + 1}); convert the file")
                    continue
                yield where, text.rstrip("\r\n")
    except OSError as error:
        raise TrainError(f"data: cannot read {path}: {error.strerror or error}{example_hint(path)}") from None


def _read_jsonl(path: Path, section: DataSection, mistakes: Mistakes) -> Iterator[Record]:
    for where, line in _lines(path, mistakes):
        if not line.strip():
            continue
        try:
            row = parse_json(line, once=True)
        except ValueError as error:
            said = f"not JSON ({error}); every line must be one object"
            mistakes.add(where, str(error) if "there twice" in str(error) else said)
            continue
        yield from _record(where, row, section, mistakes)


def _read_text(path: Path, section: DataSection, mistakes: Mistakes) -> Iterator[Record]:
    start, held = "", []
    for where, line in _lines(path, mistakes):
        if line.strip():
            start = start if held else where
            held.append(line)
        elif held:
            yield Record(start, (), (), "\n".join(held))
            held = []
    if held:
        yield Record(start, (), (), "\n".join(held))


_READERS: dict[str, Callable[[Path, DataSection, Mistakes], Iterable[Record]]] = {
    "jsonl": _read_jsonl,
    "text": _read_text,
}


def _record(where: str, row: Any, section: DataSection, mistakes: Mistakes) -> Iterator[Record]:
    """The record of one row, or nothing and a mistake."""
    try:
        if not isinstance(row, dict):
            raise ValueError(f"a JSON {_kind(row)}, not an object with fields")
        yield _parsed(where, row, section)
    except ValueError as error:
        mistakes.add(where, str(error))


def _parsed(where: str, row: dict[str, Any], section: DataSection) -> Record:
    if section.prompt in row or section.answer in row:
        prompt = _text(row, section.prompt, "prompt")
        return Record(where, ("user",), (prompt,), _text(row, section.answer, "answer"))
    if section.messages in row:
        return _conversation(where, row[section.messages], section.messages)
    if section.text in row:
        return Record(where, (), (), _text(row, section.text, "text"))
    has = ", ".join(map(str, row)) or "none"
    raise ValueError(
        f"field {section.prompt!r} is missing (so are {section.messages!r} and {section.text!r}); its fields: {has}; "
        "name them: data.prompt=FIELD data.answer=FIELD, or data.text=FIELD"
    )


def _conversation(where: str, messages: Any, field: str) -> Record:
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise ValueError(f"field {field!r} is no list of {{role, content}}")
    roles = tuple(_text(m, "role", "") for m in messages)
    contents = tuple(_text(m, "content", "") for m in messages)
    if len(roles) < 2 or roles[-1] != "assistant":
        raise ValueError(f"field {field!r} must end with the assistant's message, after at least one other")
    return Record(where, roles[:-1], contents[:-1], contents[-1])


def _text(row: dict[str, Any], field: str, option: str) -> str:
    if field not in row:
        rename = f"; if it has another name: data.{option}=FIELD" if option else ""
        raise ValueError(f"field {field!r} is missing (fields: {', '.join(row)}){rename}")
    value = row[field]
    if not isinstance(value, str):
        raise ValueError(f"field {field!r} is a JSON {_kind(value)}, not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"field {field!r} holds half a surrogate pair, which is no text") from None
    return value


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
