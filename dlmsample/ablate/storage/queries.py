"""The queries of a store, and its rows as plain values and back."""

from __future__ import annotations

import json
from typing import Any

from dlmsample.ablate.spec.cells import Cell
from dlmsample.ablate.storage.database import COLUMNS, checked, insert
from dlmsample.ablate.storage.records import NAMES, CellInfo, ExampleResult, Status

#: A note about the whole store.
META = insert("meta", "REPLACE")
#: Columns that an ExampleResult has under the same name.
FIGURES = COLUMNS[4:]
_NAMED = {"index": "r.idx", "answer": "p.answer"}
#: The results of a cell (:cell, :expected) in an environment. Any environment (:accept): of each example the one of
#: that environment, or else the one of the environment that was recorded last.
CHOSEN = """
FROM results r JOIN prompts p ON p.digest = r.digest
WHERE r.cell = :cell AND r.idx < :expected AND r.environment = CASE WHEN :accept THEN (
  SELECT s.environment FROM results s WHERE s.cell = r.cell AND s.idx = r.idx
  ORDER BY s.environment = :environment DESC, s.environment DESC LIMIT 1
) ELSE :environment END
"""
#: The columns of a report for the same results.
ANSWERS = f"SELECT {', '.join(_NAMED.get(name, f'r.{name}') for name in NAMES)} {CHOSEN} ORDER BY r.idx"
#: The cells of the grid: what their own environments (or all of them: :accept) have computed.
CELLS = """
SELECT c.key, c.info, f.error, m.labels, m.expected,
  (SELECT COUNT(DISTINCT r.idx) FROM results r
   WHERE r.cell = c.id AND r.idx < m.expected AND (:accept OR r.environment = m.environment))
FROM members m JOIN cells c ON c.id = m.cell
LEFT JOIN failures f ON f.cell = m.cell AND f.environment = m.environment ORDER BY m.position
"""
#: The same cells as other environments have computed them.
APART = """
SELECT r.environment, c.key, c.info, NULL, m.labels, m.expected, COUNT(*)
FROM members m JOIN cells c ON c.id = m.cell
JOIN results r ON r.cell = m.cell AND r.idx < m.expected AND r.environment != m.environment
GROUP BY r.environment, m.position ORDER BY r.environment, m.position
"""
#: Number of answers by environment, in the cells of the grid.
SOURCES = """
SELECT e.id, e.dlmsample, e.torch, e.transformers, e.device, COUNT(*)
FROM members m JOIN results r ON r.cell = m.cell AND r.idx < m.expected JOIN environments e ON e.id = r.environment
GROUP BY e.id ORDER BY e.id
"""


def info(cell: Cell) -> str:
    """The part of a cell that its hash decides, as JSON."""
    return json.dumps({"options": cell.options, "seed": cell.seed, **cell.settings.model_dump(mode="json")})


def labels(cell: Cell) -> str:
    """The labels that the grid gives a cell, as JSON; they do not enter its hash."""
    labels = {
        "task": cell.task.label,
        "checkpoint": cell.checkpoint.label,
        "policy": cell.policy,
        "policy_name": cell.policy_name,
    }
    return json.dumps(labels)


def cell_info(key: str, info: str, error: str | None, labels: str, expected: int, done: int) -> CellInfo:
    """A cell, from a row of :data:`CELLS`."""
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


def row(cell: int, environment: int, digest: str, result: ExampleResult) -> tuple[Any, ...]:
    """A result as a row of the table, with its checksum."""
    return checked([cell, result.index, environment, digest, *(getattr(result, name) for name in FIGURES)])


def example(row: tuple[Any, ...]) -> ExampleResult:
    """A result, from its index, its example and its :data:`FIGURES`."""
    index, prompt, reference, answer, *rest = row
    figures: dict[str, Any] = dict(zip(FIGURES, rest, strict=True))
    figures |= {name: bool(figures[name]) for name in ("correct", "forced")}
    return ExampleResult(index=index, prompt=prompt, reference=reference, answer=answer, **figures)
