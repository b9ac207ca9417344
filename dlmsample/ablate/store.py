"""The store of a run: every finished example, durable, in ``results.sqlite``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dlmsample.ablate import database
from dlmsample.ablate.cells import Cell
from dlmsample.ablate.columns import NAMES, Columns
from dlmsample.ablate.database import COLUMNS, StoreError, checksum, reading
from dlmsample.ablate.records import CellInfo, ExampleResult, Status

__all__ = ["CellInfo", "ExampleResult", "Store", "StoreError"]

_FIGURES = COLUMNS[3:]  # what an ExampleResult has under the same name
_INSERT = f"INSERT INTO results VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
_NAMED = {"index": "r.idx", "answer": "p.answer"}
_COLUMNS = (
    f"SELECT {', '.join(_NAMED.get(name, f'r.{name}') for name in NAMES)} FROM results r "
    "JOIN prompts p ON p.digest = r.digest WHERE r.cell = ? AND r.idx < ? ORDER BY r.idx"
)
_CELLS = """
SELECT c.key, c.info, c.error, m.labels, m.expected,
  (SELECT COUNT(*) FROM results r WHERE r.cell = c.id AND r.idx < m.expected)
FROM members m JOIN cells c ON c.id = m.cell ORDER BY m.position
"""


class Store:
    """The results of a folder, checked on opening; one process writes, any number read meanwhile.

    Results belong to a cell's content hash and an example's index, and carry a hash of the example, so that
    a changed grid finds what is still true and nothing else. Every :meth:`add` is one transaction (write-ahead log,
    ``synchronous=FULL``): what it returned from survives a killed process and a power cut.

    Args:
        folder: the folder of ``--out``.

    Raises:
        StoreError: there is no store, it is damaged, or it is not ours.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / database.NAME
        self._connection = database.connect(self.path)
        self._prompts: set[str] = set()  # written by this object: every cell of a task has the same ones

    @classmethod
    def open_or_create(cls, folder: Path) -> Store:
        """The store of a folder, made where there is none; a damaged one is an error, never replaced."""
        path = Path(folder) / database.NAME
        if not path.exists() and not path.with_name(path.name + "-wal").exists():
            database.create(path)
        return cls(folder)

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

    def grid(self) -> dict[str, Any]:
        """The grid of the last run, with its defaults written out; empty before the first."""
        return json.loads(self._meta("grid") or "{}")

    def about(self) -> dict[str, str]:
        """What was noted of the last run: ``command``, ``device``, versions; empty before the first."""
        return {"version": self._meta("version") or "", **json.loads(self._meta("about") or "{}")}

    def note(self, **about: str) -> None:
        """Note how results came about; what is not given stays as it was."""
        text = json.dumps({**json.loads(self._meta("about") or "{}"), **about})
        with reading(self.path), self._connection as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('about', ?)", (text,))

    def cells(self) -> list[CellInfo]:
        """The cells of the last run's grid, in its order."""
        with reading(self.path):
            rows = self._connection.execute(_CELLS).fetchall()
        return [_cell_info(*row) for row in rows]

    def examples(self, cell_key: str, indices: Sequence[int] | None = None) -> list[ExampleResult]:
        """The results of a cell of the grid, by index; those beyond the grid's limit stay in the file only.

        Args:
            cell_key: of the cell.
            indices: of the examples wanted; None: all.

        Raises:
            KeyError: the grid has no such cell.
        """
        figures = ", ".join(f"r.{name}" for name in _FIGURES)
        query = (
            f"SELECT r.idx, p.prompt, p.reference, p.answer, {figures} FROM results r "
            "JOIN prompts p ON p.digest = r.digest WHERE r.cell = ? AND r.idx < ?"
            f"{'' if indices is None else ' AND r.idx IN (SELECT value FROM json_each(?))'} ORDER BY r.idx"
        )
        wanted = () if indices is None else (json.dumps(list(indices)),)
        with reading(self.path):
            rows = self._connection.execute(query, (*self._member(cell_key), *wanted)).fetchall()
        return [_example(row) for row in rows]

    def columns(self, cell_key: str) -> Columns:
        """The same results as :meth:`examples`, without prompts and gold solutions, column by column.

        Raises:
            KeyError: the grid has no such cell.
        """
        with reading(self.path):
            return Columns.of(self._connection.execute(_COLUMNS, self._member(cell_key)))

    def traceback(self, cell_key: str) -> str | None:
        """Where a failed cell failed; None if it did not."""
        cell, _ = self._member(cell_key)
        with reading(self.path):
            return self._connection.execute("SELECT traceback FROM cells WHERE id = ?", (cell,)).fetchone()[0]

    def begin(
        self, grid: dict[str, Any], cells: Sequence[Cell], digests: Mapping[str, Sequence[str]], version: str
    ) -> None:
        """Make a grid the current one: its cells, their order, and how many examples each has.

        Results of examples that have changed since are deleted; those of cells that left the grid stay.

        Args:
            grid: with its defaults written out.
            cells: in order.
            digests: by task label, the hash of each example.
            version: of the package.
        """
        with reading(self.path), self._connection as db:
            for key, value in (("grid", json.dumps(grid)), ("version", version)):
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            db.execute("DELETE FROM members")
            for position, cell in enumerate(cells):
                expected = digests[cell.task.label]
                made = (cell.key, _info(cell))
                db.execute(
                    "INSERT OR IGNORE INTO cells (key, info, checksum) VALUES (?, ?, ?)", (*made, checksum(made))
                )
                (number,) = db.execute("SELECT id FROM cells WHERE key = ?", (cell.key,)).fetchone()
                db.execute("INSERT INTO members VALUES (?, ?, ?, ?)", (position, number, _labels(cell), len(expected)))
                held = db.execute("SELECT idx, digest FROM results WHERE cell = ?", (number,)).fetchall()
                stale = [(number, i) for i, digest in held if i < len(expected) and digest != expected[i]]
                db.executemany("DELETE FROM results WHERE cell = ? AND idx = ?", stale)

    def missing(self, cell_key: str) -> list[int]:
        """Indices of the examples of a cell of the grid that have no result yet."""
        _, expected = self._member(cell_key)
        there = self.stored(cell_key)
        return [index for index in range(expected) if index not in there]

    def stored(self, cell_key: str) -> dict[int, str]:
        """Index and example's hash of each result of a cell, whether the grid has the cell or not."""
        query = "SELECT r.idx, r.digest FROM results r JOIN cells c ON c.id = r.cell WHERE c.key = ?"
        with reading(self.path):
            return dict(self._connection.execute(query, (cell_key,)).fetchall())

    def add(self, cell_key: str, results: Sequence[ExampleResult], digests: Sequence[str]) -> None:
        """Store the results of a batch in one transaction; ``digests`` are the hashes of their examples.

        Raises:
            StoreError: an example has a result already, or the file cannot be written.
        """
        cell, _ = self._member(cell_key)
        fresh = {d: r for d, r in zip(digests, results, strict=True) if d not in self._prompts}
        prompts = [(d, r.prompt, r.reference, r.answer) for d, r in fresh.items()]
        checked = [(*prompt, checksum(prompt)) for prompt in prompts]
        with reading(self.path), self._connection as db:
            db.executemany("INSERT OR IGNORE INTO prompts VALUES (?, ?, ?, ?, ?)", checked)
            db.executemany(_INSERT, (_row(cell, d, r) for d, r in zip(digests, results, strict=True)))
        self._prompts.update(fresh)

    def fail(self, cell_key: str, error: str, traceback: str) -> None:
        """Record why a cell failed: one line, and where."""
        self._set_error(cell_key, error, traceback)

    def forgive(self, cell_keys: Iterable[str]) -> None:
        """Forget that cells failed."""
        for key in cell_keys:
            self._set_error(key, None, None)

    def _set_error(self, cell_key: str, error: str | None, traceback: str | None) -> None:
        with reading(self.path), self._connection as db:
            db.execute("UPDATE cells SET error = ?, traceback = ? WHERE key = ?", (error, traceback, cell_key))

    def _meta(self, key: str) -> str | None:
        with reading(self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _member(self, cell_key: str) -> tuple[int, int]:
        """Number of a cell, and of its examples."""
        with reading(self.path):
            row = self._connection.execute(
                "SELECT c.id, m.expected FROM cells c JOIN members m ON m.cell = c.id WHERE c.key = ?", (cell_key,)
            ).fetchone()
        if row is None:
            raise KeyError(f"the grid has no cell {cell_key}")
        return row


def _info(cell: Cell) -> str:
    """What of a cell follows from its hash."""
    return json.dumps({"options": cell.options, "seed": cell.seed, **cell.settings.model_dump(mode="json")})


def _labels(cell: Cell) -> str:
    """What of a cell is only a name in the grid."""
    labels = {
        "task": cell.task.label,
        "checkpoint": cell.checkpoint.label,
        "policy": cell.policy,
        "policy_name": cell.policy_name,
    }
    return json.dumps(labels)


def _cell_info(key: str, info: str, error: str | None, labels: str, expected: int, done: int) -> CellInfo:
    status: Status = "done" if done >= expected else "pending" if error is None else "failed"
    return CellInfo(
        key=key,
        **json.loads(labels),
        **json.loads(info),
        expected=expected,
        done=done,
        status=status,
        error=error if status == "failed" else None,
    )


def _row(cell: int, digest: str, result: ExampleResult) -> tuple[Any, ...]:
    values = [cell, result.index, digest, *(getattr(result, name) for name in _FIGURES)]
    plain = [int(value) if isinstance(value, bool) else value for value in values]
    return (*plain, checksum(plain))


def _example(row: tuple[Any, ...]) -> ExampleResult:
    index, prompt, reference, answer, *rest = row
    figures: dict[str, Any] = dict(zip(_FIGURES, rest, strict=True))
    figures |= {name: bool(figures[name]) for name in ("correct", "forced")}
    return ExampleResult(index=index, prompt=prompt, reference=reference, answer=answer, **figures)
