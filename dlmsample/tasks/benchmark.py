"""Published benchmarks: tasks whose rows are read from local files in the published format, or from the hub."""

from __future__ import annotations

import csv
import gzip
import importlib
import json
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from dlmsample.support.files import example_hint
from dlmsample.support.reach import cached_unless_reachable
from dlmsample.support.text import one_line
from dlmsample.tasks.base import Example, Task

T = TypeVar("T")
Row = Mapping[str, Any]
Folder = str | os.PathLike[str]


class Hub(NamedTuple):
    """Where the hub keeps a benchmark: ``splits`` maps our split names to its own."""

    path: str
    splits: Mapping[str, str]
    config: str | None = None
    revision: str | None = None


class Benchmark(Task):
    """A task over rows that somebody published; ``origin`` says what was read (a path, or a name on the hub).

    ``data_dir`` is the folder with the files of ``files``, or a folder that has such a folder by the task's name
    (so one folder serves many tasks). None reads the hub, which needs the ``datasets`` package and a network.

    Subclasses give ``files`` (split -> file names, the first that exists is read), ``needs`` (fields of a row;
    each entry lists the names under which a field is published), ``build`` and ``score``. Raises: ValueError:
    no such file, a row without its fields, or no way to the hub, naming what to do.
    """

    needs: ClassVar[tuple[tuple[str, ...], ...]]
    files: Mapping[str, tuple[str, ...]]  # these two of the class, or of the task where an option decides
    hub: Hub | None = None

    def __init__(self, split: str = "test", limit: int | None = None, *, data_dir: Folder | None = None) -> None:
        super().__init__(split, limit)
        if data_dir is None:
            rows, self.origin = self._from_hub()
        else:
            path = self._find(data_dir)
            rows, self.origin = self.read(path), str(path)
        self._check(rows)
        kept = (at for at, row in enumerate(rows, 1) if self._applied(at, self.keep, row))
        self._numbers = list(islice(kept, limit))  #: of the rows, as they stand in the file
        self._rows = [rows[at - 1] for at in self._numbers]
        if not self._rows:
            raise ValueError(f"{self.origin} has no rows of {self.name}/{split}")

    @abstractmethod
    def build(self, row: Row) -> Example:
        """The example of a row as published; what is raised over values of another type is told with the row."""

    def read(self, path: Path) -> list[Row]:
        """The rows of a file; a benchmark that spreads them over several files says how they go together."""
        return read_rows(path)

    def keep(self, row: Row) -> bool:
        """Whether the row belongs to the split, where one file holds several."""
        return True

    def __len__(self) -> int:
        return len(self._rows)

    def example(self, index: int) -> Example:
        """The row at ``index`` as an example. Raises: ValueError: its values are not of the published types."""
        return self._applied(self._numbers[index], self._built, self._rows[index])

    def _built(self, row: Row) -> Example:
        example = self.build(row)
        for name in ("prompt", "answer", "reference"):
            if not isinstance(found := getattr(example, name), str):
                raise TypeError(f"its {name} is {type(found).__name__}, not text")
        return example

    def _applied(self, number: int, rule: Callable[[Row], T], row: Row) -> T:
        try:
            return rule(row)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            said = one_line(error, 100)
            raise ValueError(f"{self.origin}, row {number} is not as published ({said}): correct it") from error

    def _find(self, data_dir: Folder) -> Path:
        root = Path(data_dir).expanduser()
        if not root.is_dir():
            raise ValueError(f"data_dir {str(root)!r} of task {self.name} is not a folder")
        names = self.files[self.split]
        for folder in (root / self.name, root):
            for name in names:
                if (folder / name).is_file():
                    return folder / name
        raise ValueError(
            f"task {self.name}/{self.split} found no {' or '.join(names)} in {str(root)!r} or its {self.name!r} folder"
        )

    def _from_hub(self) -> tuple[Sequence[Row], str]:
        remedy = f"give data_dir (--data-dir DIR), a folder with {' or '.join(self.files[self.split])}"
        if self.hub is None or self.split not in self.hub.splits:
            raise ValueError(f"task {self.name}/{self.split} is read from local files: {remedy}")
        try:
            datasets = importlib.import_module("datasets")
        except ImportError:
            raise ValueError(
                f"task {self.name} needs its data: {remedy}, or install dlmsample[data] to read the hub"
            ) from None
        try:
            with cached_unless_reachable():
                rows = datasets.load_dataset(
                    self.hub.path, self.hub.config, split=self.hub.splits[self.split], revision=self.hub.revision
                )
            return list(rows), f"hub:{self.hub.path}"
        except Exception as error:  # its many errors of network, cache and format share no base class
            said = one_line(error, 200)
            raise ValueError(f"{self.hub.path} cannot be read from the hub ({said}); {remedy}") from error

    def _check(self, rows: Sequence[Row]) -> None:
        for number, row in enumerate(rows, 1):
            for names in self.needs:
                if not isinstance(row, Mapping) or not any(name in row for name in names):
                    raise ValueError(f"{self.origin}, row {number}: no field {' or '.join(names)}")


def pick(row: Row, *names: str) -> Any:
    """The first of these fields that the row has.

    Example:
        >>> pick({"text": "a", "code": "b"}, "prompt", "text")
        'a'
    """
    return next(row[name] for name in names if name in row)


def pick_text(row: Row, *names: str) -> str:
    """The first of these fields that the row has, which is a text. Raises: TypeError: it is none."""
    found = pick(row, *names)
    if not isinstance(found, str):
        raise TypeError(f"{names[0]} is {type(found).__name__}, not text")
    return found


def read_rows(path: Path) -> list[Row]:
    r"""The rows of a .jsonl, .json (a list) or .csv file, gzipped or not, with a byte order mark or not.

    Of .jsonl only ``\n`` ends a row, whatever else Unicode calls a line's end. Raises: ValueError naming file and line:
    it cannot be read, is not JSON, or an object has a key twice.
    """
    name = path.name.removesuffix(".gz")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="" if name.endswith(".csv") else "\n") as file:
            if name.endswith(".csv"):
                return list(csv.DictReader(file))
            if name.endswith(".json"):
                whole = _parsed(file.read(), str(path))
                return list(whole if isinstance(whole, list) else pick(whole, "Data", "data"))
            return [_parsed(line, f"{path}, line {at}") for at, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError:
        raise ValueError(f"there is no file {str(path)!r}: check the path{example_hint(path)}") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, StopIteration, TypeError) as error:
        raise ValueError(f"{path} cannot be read: {error or 'no list of rows'}") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {one_line(error, 200)}") from error
    except _TwiceError as error:
        raise ValueError(f"{where}: the key {error} is there twice; keep one of them") from error


class _TwiceError(Exception):
    """A key that an object has twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(repr(next(key for key in keys if keys.count(key) > 1)))
    return found
