"""report.html: one page that needs no other file and makes no request; every text in it is escaped.

Its one script, which sorts and filters the tables, is fixed text whose hash stands in the page's policy: a browser runs
it and no other. It is given no data but the page itself, and everything can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlmsample.ablate.analysis.comparisons import Flip, Flips
from dlmsample.ablate.analysis.results import ReportRow, Results
from dlmsample.ablate.report import heat
from dlmsample.ablate.report.charts import pareto
from dlmsample.ablate.report.costs import known
from dlmsample.ablate.report.diffs import word_diff
from dlmsample.ablate.report.rows import meanings, page_table
from dlmsample.ablate.report.table import NOTES, ORIGIN, source_lines
from dlmsample.ablate.report.trace import trace_command
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.support.html import allow, render
from dlmsample.support.text import printable

_HERE = Path(__file__).parent
_SHOWN = 4000  # characters of an answer


@dataclass(frozen=True)
class FlippedPair:
    """A configuration and its baseline, and the examples that flipped between them."""

    row: ReportRow
    flips: Flips


def page(
    results: Results,
    pairs: Sequence[FlippedPair],
    names: Mapping[int, str],
    verdicts: Mapping[str, Sequence[str]],
    grid: Mapping[str, Any],
) -> str:
    """The whole page.

    The texts of models and tasks are untrusted: they are escaped by the template engine or set as the text of an SVG
    tree, control characters are spelt out, and the page's policy forbids other scripts and requests all the same.

    Args:
        results: of the grid.
        pairs: what flipped.
        names: number of a configuration -> its short name.
        verdicts: task -> sentences.
        grid: of the run, for the commands that show an answer's steps.
    """
    from markupsafe import Markup

    status = [cell.status for cell in results.cells]
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    tasks = [
        {**_task(at, name, rows, names), "verdict": [printable(said) for said in verdicts.get(name, ())]}
        for at, (name, rows) in enumerate(results.tasks.items(), 1)
    ]
    return render(
        _HERE,
        "page",
        name=printable(results.name),
        configurations=len(results.rows),
        cells=len(status),
        answers=sum(cell.done for cell in results.cells),
        pending=status.count("pending"),
        failed=results.failed,
        meanings=meanings(),
        notes=NOTES,
        provenance=[(name, printable(text)) for name, text in results.provenance],
        origin=ORIGIN,
        sources=[printable(line) for line in source_lines(results.sources)],
        tasks=tasks,
        key=Markup(heat.key("key")) if any(task["maps"] for task in tasks) else None,
        pairs=[_pair(pair, names, grid) for pair in pairs if pair.flips.gained or pair.flips.lost],
        script=Markup(script),
        allowed=allow(script),
    )


def _task(at: int, name: str, rows: Sequence[ReportRow], names: Mapping[int, str]) -> dict[str, Any]:
    from markupsafe import Markup

    drawn = {cost.name: pareto(rows, f"pareto{at}-{cost.name}", name, cost, names) for cost in known(rows)}
    maps, left_out = heat.heatmaps(rows, f"heat{at}", name, names)
    base = next((row.config for row in rows if row.is_baseline), None)
    return {
        "id": f"task{at}",
        "name": printable(name),
        "baseline": "none" if base is None else f"#{base.number} {printable(names[base.number])}",
        "fronts": {cost: Markup(picture) for cost, picture in drawn.items() if picture is not None},
        "maps": [(printable(shown.caption), Markup(shown.markup)) for shown in maps],
        "maps_left_out": left_out,
        "table": page_table(rows, names),
    }


def _pair(pair: FlippedPair, names: Mapping[int, str], grid: Mapping[str, Any]) -> dict[str, Any]:
    versus = pair.row.comparison
    assert versus is not None
    config, base = pair.row.config, versus.baseline

    def told(number: int, checkpoint: str) -> str:
        return printable(names[number] if config.checkpoint == base.checkpoint else f"{checkpoint} {names[number]}")

    sides = [(told(c.number, c.checkpoint), {cell.seed: cell for cell in c.cells}) for c in (base, config)]
    return {
        "number": config.number,
        "label": sides[1][0],
        "task": printable(config.task),
        "base_number": base.number,
        "base_label": sides[0][0],
        "gained": pair.flips.gained,
        "lost": pair.flips.lost,
        "left_out": pair.flips.left_out,
        "flips": [_flip(flip, sides, grid) for flip in pair.flips.shown],
    }


def _flip(flip: Flip, sides: Sequence[tuple[str, Mapping[int, Any]]], grid: Mapping[str, Any]) -> dict[str, Any]:
    given: list[tuple[ExampleResult, int]] = [(flip.before, flip.before_seed), (flip.after, flip.after_seed)]
    texts = word_diff(*(printable(result.text, _SHOWN) for result, _ in given))
    return {
        "index": flip.after.index,
        "gained": flip.gained,
        "prompt": printable(flip.after.prompt, 2000),
        "gold": printable(flip.after.answer, 400),
        "sides": [
            {
                "label": label,
                "seed": seed,
                "result": result,
                "pieces": pieces,
                "command": trace_command(grid, cells[seed], result),
            }
            for (result, seed), (label, cells), pieces in zip(given, sides, texts, strict=True)
        ],
    }
