"""report.html: one page that needs no other file. It has no script and makes no request; every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlmsample.ablate.analysis.comparisons import Flips
from dlmsample.ablate.analysis.results import ReportRow, Results
from dlmsample.ablate.report.charts import heatmap, pareto
from dlmsample.ablate.report.table import COLUMNS, NOTES, ORIGIN, source_lines
from dlmsample.support.html import render
from dlmsample.support.text import printable


@dataclass(frozen=True)
class FlippedPair:
    """A configuration and its baseline, and the examples that flipped between them."""

    row: ReportRow
    flips: Flips


def page(results: Results, pairs: Sequence[FlippedPair]) -> str:
    """The whole page.

    The texts of models and tasks are untrusted: they are escaped by the template engine or set as the text of an SVG
    tree, control characters are spelt out, and the page's policy forbids scripts and requests all the same.
    """
    status = [cell.status for cell in results.cells]
    return render(
        Path(__file__).parent,
        "page",
        name=printable(results.name),
        configurations=len(results.rows),
        cells=len(status),
        answers=sum(cell.done for cell in results.cells),
        pending=status.count("pending"),
        failed=results.failed,
        columns=COLUMNS,
        notes=NOTES,
        provenance=[(name, printable(text)) for name, text in results.provenance],
        origin=ORIGIN,
        sources=[printable(line) for line in source_lines(results.sources)],
        tasks=[_task(at, name, rows) for at, (name, rows) in enumerate(results.tasks.items(), 1)],
        pairs=[_pair(pair) for pair in pairs if pair.flips.gained or pair.flips.lost],
    )


def _task(at: int, name: str, rows: Sequence[ReportRow]) -> dict[str, Any]:
    from markupsafe import Markup

    pictures = {"pareto": pareto(rows, f"pareto{at}", name), "heatmap": heatmap(rows, f"heat{at}", name)}
    return {
        "id": f"task{at}",
        "name": printable(name),
        "baseline": next(
            (f"#{row.config.number} {printable(row.config.label)}" for row in rows if row.is_baseline), "none"
        ),
        "rows": [
            {
                "number": row.config.number,
                "is_baseline": row.is_baseline,
                "texts": [(printable(column.text(row)), column.words) for column in COLUMNS],
            }
            for row in rows
        ],
        **{kind: None if drawn is None else Markup(drawn) for kind, drawn in pictures.items()},
    }


def _pair(pair: FlippedPair) -> dict[str, Any]:
    versus = pair.row.comparison
    assert versus is not None
    config, base = pair.row.config, versus.baseline
    return {
        "number": config.number,
        "label": printable(config.label),
        "task": printable(config.task),
        "base_number": base.number,
        "base_label": printable(base.label),
        "flips": pair.flips,
    }
