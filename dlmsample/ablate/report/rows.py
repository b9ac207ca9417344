"""The page's table: fewer and narrower columns than the Markdown's, each with the number that it is sorted by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlmsample.ablate.analysis.comparisons import Comparison
from dlmsample.ablate.analysis.figures import Figures
from dlmsample.ablate.analysis.results import ReportRow
from dlmsample.ablate.report.costs import fronts
from dlmsample.ablate.report.table import NOTHING, difference, done, last_mile, percent, probability
from dlmsample.support.text import printable


@dataclass(frozen=True)
class _Cell:
    text: str
    below: str = ""  #: a second, smaller line
    value: float | None = None  #: to sort by


@dataclass(frozen=True)
class PageColumn:
    """A column of the page."""

    heading: str
    meaning: str
    cell: Callable[[ReportRow], _Cell]
    same: bool = False  #: left out, and told once, where all rows say the same


_EMPTY = _Cell(NOTHING)


def _figure(
    heading: str, meaning: str, value: Callable[[Figures], float | None], form: str, same: bool = False
) -> PageColumn:
    def cell(row: ReportRow) -> _Cell:
        found = None if row.figures is None else value(row.figures)
        return _EMPTY if found is None else _Cell(format(found, form), value=found)

    return PageColumn(heading, meaning, cell, same)


def _accuracy(row: ReportRow) -> _Cell:
    if (figures := row.figures) is None:
        return _EMPTY
    return _Cell(percent(figures.accuracy), f"{percent(figures.low)} to {percent(figures.high)}", figures.accuracy)


def _versus(heading: str, meaning: str, cell: Callable[[Comparison], _Cell]) -> PageColumn:
    return PageColumn(heading, meaning, lambda row: _EMPTY if row.comparison is None else cell(row.comparison))


def _difference(row: ReportRow) -> _Cell:
    if (versus := row.comparison) is None:
        return _Cell(difference(row), value=0.0 if row.is_baseline else None)
    interval = f"{100 * versus.low:+.1f} to {100 * versus.high:+.1f}"
    return _Cell(difference(row), interval, versus.difference)


def _last_mile(row: ReportRow) -> _Cell:
    return _EMPTY if row.figures is None else _Cell(last_mile(row.figures), value=row.figures.last_mile)


def _seeds(row: ReportRow) -> _Cell:
    return _Cell(str(len(row.config.cells)), value=len(row.config.cells))


def _answers(row: ReportRow) -> _Cell:
    return _Cell(done(row), value=sum(cell.done for cell in row.config.cells))


_COLUMNS: tuple[PageColumn, ...] = (
    PageColumn("accuracy %", "share of right answers; below it Wilson's interval", _accuracy),
    PageColumn("difference", "to the baseline, in points; below it its paired bootstrap interval", _difference),
    _versus("p Holm", "adjusted over all comparisons; below it the exact test's own p", lambda c: _Cell(
        probability(c.p_holm), f"p {probability(c.p)}", c.p_holm)),
    _versus("flips", "examples gained and lost against the baseline", lambda c: _Cell(
        f"+{c.gained} -{c.lost}", value=c.gained - c.lost)),
    _figure("positions", "forwarded for an answer, the prompt's included, mean", lambda f: f.positions, ",.0f", True),
    _figure("seconds", "of an answer: its share of the time of its batch", lambda f: f.wall_seconds / f.answers, ".3g"),
    _figure("forwards", "of an answer after the prompt's (nfe), mean", lambda f: f.nfe, ".1f"),
    _figure("tok/fwd", "tokens for each forward", lambda f: f.tokens_per_forward, ".2f"),
    _figure("edits/100", "replaced and remasked tokens for each 100 tokens", lambda f: f.edits_per_100, ".2f", True),
    _figure("remasks", "tokens that became masks, mean of an answer", lambda f: f.remasks, ".2f", True),
    _figure("tokens", "output length, mean", lambda f: f.tokens, ".1f"),
    PageColumn("last mile", "wrong answers whose chain of thought had reached the gold result, of all wrong ones",
               _last_mile, True),
    _figure("forced %", "answers with masks filled as they stood", lambda f: 100 * f.forced, ".1f", True),
    PageColumn("seeds", "runs with different randomness", _seeds, True),
    PageColumn("answers", "answers given, of those wanted", _answers, True),
)  # fmt: skip


def page_table(rows: Sequence[ReportRow], names: Mapping[int, str]) -> dict[str, Any]:
    """What the template shows of one task's table, every text fit to be shown.

    Args:
        rows: of the task.
        names: number of a configuration -> its short name.
    """
    made = {column: [column.cell(row) for row in rows] for column in _COLUMNS}
    told = {column: cells[0].text for column, cells in made.items() if column.same and _alike(cells)}
    columns = [column for column in _COLUMNS if column not in told]
    over = fronts(rows)
    several = len({row.config.checkpoint for row in rows}) > 1
    return {
        "columns": columns,
        "renamed": any(row.config.label != f"{row.config.checkpoint} {names[row.config.number]}" for row in rows),
        "same": [f"{column.heading} {text}" for column, text in told.items() if text != NOTHING],
        "rows": [
            {
                "number": row.config.number,
                "is_baseline": row.is_baseline,
                "name": printable(names[row.config.number]),
                "label": printable(row.config.label),
                "checkpoint": printable(row.config.checkpoint) if several else "",
                "front": over.get(row.config.number, NOTHING),
                "cells": [_shown(made[column][at]) for column in columns],
            }
            for at, row in enumerate(rows)
        ],
    }


def _alike(cells: Sequence[_Cell]) -> bool:
    texts = {(cell.text, cell.below) for cell in cells}
    return len(texts) == 1 and (len(cells) > 1 or cells[0] == _EMPTY)


def _shown(cell: _Cell) -> dict[str, Any]:
    value = "" if cell.value is None else f"{cell.value:.10g}"
    return {"text": printable(cell.text), "below": printable(cell.below), "value": value}


def meanings() -> list[tuple[str, str]]:
    """Headings and what they mean."""
    front = "the costs over which no other configuration is as cheap and as accurate, and better in one"
    return [("on the front by", front), *((column.heading, column.meaning) for column in _COLUMNS)]
