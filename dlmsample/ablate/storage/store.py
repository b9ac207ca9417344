"""The store of a run: every finished example, durable, in ``results.sqlite``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from dlmsample.ablate.spec.cells import Cell
from dlmsample.ablate.storage import database, lock, migrations, queries
from dlmsample.ablate.storage.database import StoreError, checked, insert, reading
from dlmsample.ablate.storage.environment import Environment
from dlmsample.ablate.storage.records import CellInfo, ExampleResult, ResultColumns, ResultSource

__all__ = ["CellInfo", "ExampleResult", "Store", "StoreError"]


class Store:
    """The results of a folder, checked on opening; one process writes, any number read meanwhile.

    A result belongs to a cell's content hash and an example's index, and carries a hash of the example. A changed grid
    therefore finds what is still true and nothing else. Every :meth:`add` is one transaction (write-ahead log,
    ``synchronous=FULL``): once it has returned, its results survive a killed process and a power cut.

    A result also belongs to the environment that computed it (versions and kind of device, see
    :class:`~dlmsample.ablate.storage.environment.Environment`), so one example of a cell may have a result from each
    environment. The environment in which the last run computed a cell is the cell's own, and the methods here give
    the results of that environment. Results of others are kept, and :meth:`apart` lists them. With
    ``accept_versions`` all environments count as the same: an example has a result if any environment gave one. If
    several did, the one of the cell's own environment is taken, else the one of the environment recorded last.

    A store with the tables of an earlier version is brought up to date when it is opened; where it cannot be written, a
    copy of it is.

    Args:
        folder: the folder of ``--out``.
        accept_versions: count results of other environments as the same.

    Raises:
        StoreError: there is no store, it is damaged, or it is not ours.
    """

    def __init__(self, folder: Path, accept_versions: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / database.NAME
        self._copy = None  # of an older store that cannot be written
        if migrations.outdated(self.path) and not database.writable(self.path):
            self._copy = TemporaryDirectory()
            self.path = migrations.copied(self.path, Path(self._copy.name))
        elif migrations.outdated(self.path):
            with lock.held(self.folder):
                migrations.migrate(self.path)
        self._connection = database.connect(self.path)
        self._accept = accept_versions
        self._prompts: set[str] = set()  # written by this object: every cell of a task has the same ones

    @classmethod
    def open_or_create(cls, folder: Path, accept_versions: bool = False) -> Store:
        """The store of a folder, made where there is none; a damaged one is an error, never replaced.

        The caller holds the folder's lock.
        """
        path = Path(folder) / database.NAME
        if not path.exists() and not path.with_name(path.name + "-wal").exists():
            database.create(path)
        if migrations.outdated(path):
            migrations.migrate(path)
        return cls(folder, accept_versions)

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete a folder's store, whatever its state; reports and other files stay."""
        database.remove(Path(folder) / database.NAME)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; SQLite then folds its journal into it."""
        self._connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def grid(self) -> dict[str, Any]:
        """The grid of the last run, with its defaults written out; empty before the first."""
        return json.loads(self._meta("grid") or "{}")

    def about(self) -> dict[str, str]:
        """What was noted of the last run: command, grid file, date, device, versions; empty before the first."""
        return {"version": self._meta("version") or "", **json.loads(self._meta("about") or "{}")}

    def note(self, **about: str) -> None:
        """Note how results came about; what is not given stays as it was."""
        text = json.dumps({**json.loads(self._meta("about") or "{}"), **about})
        with reading(self.path), self._connection as db:
            db.execute(queries.META, checked(("about", text)))

    def cells(self) -> list[CellInfo]:
        """The cells of the last run's grid, in its order, with what their own environment has computed."""
        with reading(self.path):
            rows = self._connection.execute(queries.CELLS, {"accept": self._accept}).fetchall()
        return [queries.cell_info(*row) for row in rows]

    def apart(self) -> list[CellInfo]:
        """Results of other environments for the same cells, by environment; a run does not continue them."""
        if self._accept:
            return []
        with reading(self.path):
            rows = self._connection.execute(queries.APART).fetchall()
        return [replace(queries.cell_info(*row), environment=number, status="done") for number, *row in rows]

    def sources(self) -> list[ResultSource]:
        """The environments that results in the cells of the grid come from, in the order in which they were recorded.

        Those of a cell's own environment stand in the report's main part; the others apart, unless accepted.
        """
        with reading(self.path):
            rows = self._connection.execute(queries.SOURCES).fetchall()
        return [ResultSource(number, Environment(*versions), answers) for number, *versions, answers in rows]

    def examples(
        self, cell_key: str, indices: Sequence[int] | None = None, environment: int | None = None
    ) -> list[ExampleResult]:
        """The results of a cell of the grid, by index; those beyond the grid's limit stay in the file only.

        Args:
            cell_key: of the cell.
            indices: of the examples wanted; None: all.
            environment: the number of another environment, of a cell of :meth:`apart`; None: as the store counts.

        Raises:
            KeyError: the grid has no such cell.
        """
        figures = ", ".join(f"r.{name}" for name in queries.FIGURES)
        some = "" if indices is None else "AND r.idx IN (SELECT value FROM json_each(:indices))"
        query = f"SELECT r.idx, p.prompt, p.reference, p.answer, {figures} {queries.CHOSEN} {some} ORDER BY r.idx"
        given = {**self._wanted(cell_key, environment), "indices": json.dumps(list(indices or ()))}
        with reading(self.path):
            rows = self._connection.execute(query, given).fetchall()
        return [queries.example(row) for row in rows]

    def columns(self, cell_key: str, environment: int | None = None) -> ResultColumns:
        """The same results as :meth:`examples`, without prompts and gold solutions, column by column.

        Raises:
            KeyError: the grid has no such cell.
        """
        with reading(self.path):
            return ResultColumns.of(self._connection.execute(queries.ANSWERS, self._wanted(cell_key, environment)))

    def traceback(self, cell_key: str) -> str | None:
        """Where a failed cell failed; None if it did not."""
        cell, environment, _ = self._member(cell_key)
        query = "SELECT traceback FROM failures WHERE cell = ? AND environment = ?"
        with reading(self.path):
            row = self._connection.execute(query, (cell, environment)).fetchone()
        return None if row is None else row[0]

    def begin(
        self,
        grid: dict[str, Any],
        cells: Sequence[Cell],
        digests: Mapping[str, Sequence[str]],
        environments: Mapping[str, Environment],
    ) -> None:
        """Make a grid the current one: its cells, their order, how many examples each has, and their environments.

        Results of examples that have changed since are deleted; those of cells that left the grid, and those of other
        environments, stay.

        Args:
            grid: with its defaults written out.
            cells: in order.
            digests: by task label, the hash of each example.
            environments: by checkpoint label, where its cells are computed from now on.
        """
        with reading(self.path), self._connection as db:
            db.execute(queries.META, checked(("grid", json.dumps(grid))))
            db.execute("DELETE FROM members")
            numbers = {label: _environment(db, given) for label, given in environments.items()}
            for position, cell in enumerate(cells):
                expected = digests[cell.task.label]
                number = _cell(db, cell)
                member = (position, number, numbers[cell.checkpoint.label], queries.labels(cell), len(expected))
                db.execute(insert("members"), checked(member))
                held = db.execute("SELECT DISTINCT idx, digest FROM results WHERE cell = ?", (number,)).fetchall()
                stale = [(number, i, digest) for i, digest in held if i < len(expected) and digest != expected[i]]
                db.executemany("DELETE FROM results WHERE cell = ? AND idx = ? AND digest = ?", stale)

    def missing(self, cell_key: str) -> list[int]:
        """Indices of the examples of a cell of the grid that have no result yet."""
        wanted = self._wanted(cell_key)
        with reading(self.path):
            there = {index for (index,) in self._connection.execute(f"SELECT r.idx {queries.CHOSEN}", wanted)}
        return [index for index in range(wanted["expected"]) if index not in there]

    def stored(self, cell_key: str, environment: Environment) -> dict[int, str]:
        """Index and example's hash of each result of a cell, whether the grid has the cell or not.

        Args:
            cell_key: of the cell.
            environment: that must have computed them, unless all are accepted.
        """
        query = (
            "SELECT r.idx, r.digest FROM results r JOIN cells c ON c.id = r.cell JOIN environments e "
            "ON e.id = r.environment WHERE c.key = ? AND (? OR (e.dlmsample, e.torch, e.transformers, e.device) "
            "= (?, ?, ?, ?))"
        )
        with reading(self.path):
            given = (cell_key, self._accept, *astuple(environment))
            return dict(self._connection.execute(query, given).fetchall())

    def add(self, cell_key: str, results: Sequence[ExampleResult], digests: Sequence[str]) -> None:
        """Store the results of a batch, computed in the cell's own environment, in one transaction.

        Args:
            cell_key: of a cell of the grid.
            results: of the batch.
            digests: the hash of each example.

        Raises:
            StoreError: an example has a result of this environment already, or the file cannot be written.
        """
        cell, environment, _ = self._member(cell_key)
        fresh = {d: r for d, r in zip(digests, results, strict=True) if d not in self._prompts}
        prompts = [checked((d, r.prompt, r.reference, r.answer)) for d, r in fresh.items()]
        rows = [queries.row(cell, environment, d, r) for d, r in zip(digests, results, strict=True)]
        with reading(self.path), self._connection as db:
            db.executemany(insert("prompts", "IGNORE"), prompts)
            db.executemany(insert("results"), rows)
        self._prompts.update(fresh)

    def fail(self, cell_key: str, error: str, traceback: str) -> None:
        """Record why a cell failed in its own environment: one line, and where."""
        cell, environment, _ = self._member(cell_key)
        with reading(self.path), self._connection as db:
            db.execute(insert("failures", "REPLACE"), checked((cell, environment, error, traceback)))

    def forgive(self, cell_keys: Iterable[str]) -> None:
        """Forget that cells failed in their own environments."""
        for key in cell_keys:
            cell, environment, _ = self._member(key)
            with reading(self.path), self._connection as db:
                db.execute("DELETE FROM failures WHERE cell = ? AND environment = ?", (cell, environment))

    def _meta(self, key: str) -> str | None:
        with reading(self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _member(self, cell_key: str) -> tuple[int, int, int]:
        """Number of a cell, of its own environment, and how many examples it has."""
        with reading(self.path):
            row = self._connection.execute(
                "SELECT c.id, m.environment, m.expected FROM cells c JOIN members m ON m.cell = c.id WHERE c.key = ?",
                (cell_key,),
            ).fetchone()
        if row is None:
            raise KeyError(f"the grid has no cell {cell_key}")
        return row

    def _wanted(self, cell_key: str, environment: int | None = None) -> dict[str, int]:
        """What :data:`queries.CHOSEN` asks for."""
        cell, own, expected = self._member(cell_key)
        accept = self._accept and environment is None
        return {"cell": cell, "environment": environment or own, "expected": expected, "accept": accept}


def _environment(db: sqlite3.Connection, given: Environment) -> int:
    """The number of an environment, which is recorded where it is new."""
    query = "SELECT id FROM environments WHERE (dlmsample, torch, transformers, device) = (?, ?, ?, ?)"
    if (row := db.execute(query, astuple(given)).fetchone()) is not None:
        return row[0]
    return _numbered(db, "environments", astuple(given))


def _cell(db: sqlite3.Connection, cell: Cell) -> int:
    """The number of a cell, which is recorded where it is new."""
    if (row := db.execute("SELECT id FROM cells WHERE key = ?", (cell.key,)).fetchone()) is not None:
        return row[0]
    return _numbered(db, "cells", (cell.key, queries.info(cell)))


def _numbered(db: sqlite3.Connection, table: str, values: Sequence[Any]) -> int:
    """Insert a row under the next number."""
    (number,) = db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()
    db.execute(insert(table), checked((number, *values)))
    return number
