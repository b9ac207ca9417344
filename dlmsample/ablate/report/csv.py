"""The CSV files of a report: rows in a fixed order, and no column depends on the clock but those named wall."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import repeat
from typing import Any

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.figures import Figures, last_miles
from dlmsample.ablate.analysis.results import Results
from dlmsample.ablate.storage.records import CellInfo, ResultColumns
from dlmsample.support.text import printable

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_FORMULA = re.compile(r"\s*[-=+@＝＋－＠']")
_FIGURES = tuple(name for name in Figures.__dataclass_fields__ if name != "wall_seconds")
_CELL = ("key", "task", "checkpoint", "policy", "seed")
_SETTINGS = ("policy_name", "options", "block_length", "temperature", "max_new_tokens", "status", "expected", "done")
_VERSUS = ("examples", "accuracy", "baseline_accuracy", "difference", "low", "high", "p", "p_holm", "gained", "lost")
_COUNTS = ("steps", "nfe", "prefill", "tokens", "fills", "replaces", "remasks", "forced", "finish_reason")

CELL_COLUMNS = (*_CELL, *_SETTINGS, *_FIGURES, "wall_seconds", "wall_tokens_per_second", "error")
COMPARISON_COLUMNS = ("task", "checkpoint", "policy", "baseline_checkpoint", "baseline_policy", "seeds", *_VERSUS)
EXAMPLE_COLUMNS = (*_CELL, "index", "gold", "extracted", "correct", "last_mile", *_COUNTS, "wall_seconds", "text")


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    r"""Lines of a CSV file (RFC 4180, but for a line feed at each end).

    Numbers have 10 digits, true and false are 1 and 0, None is empty. Characters that do not show (controls but newline
    and tab, marks that reorder text) are written as escapes; results.sqlite has every text as it was. A text that a
    spreadsheet would take for a formula (after blanks it begins with = + - @, and it is no number), and one that begins
    with an apostrophe, gets one apostrophe before it: taking one off a text that begins with one gives the text back.

    Example:
        >>> list(csv_lines(("a", "b"), [("=1+1", -2), ("x,y", None)]))
        ['a,b\n', "'=1+1,-2\n", '"x,y",\n']
    """
    yield ",".join(columns) + "\n"
    yield from lines(rows)


def lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The same without the headings."""
    for row in rows:
        yield f"{','.join(map(_field, row))}\n"


def _field(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(int(value)) if isinstance(value, int) else _text(str(value))


def _text(value: str) -> str:
    value = printable(value)
    if _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        value = "'" + value
    if '"' in value:
        return '"' + value.replace('"', '""') + '"'
    return f'"{value}"' if "," in value or "\n" in value else value


def cell_rows(results: Results) -> Iterator[list[Any]]:
    """Rows of cells.csv: a cell each, with the figures of its own seed."""
    for row in results.rows:
        for cell in row.config.cells:
            found = None if row.measured is None else row.measured.by_seed.get(cell.seed)
            figures = [None] * (len(_FIGURES) + 2)
            if found is not None:
                rate = found.tokens * found.answers / found.wall_seconds if found.wall_seconds else None
                figures = [*(getattr(found, name) for name in _FIGURES), found.wall_seconds, rate]
            options = json.dumps(cell.options, sort_keys=True, ensure_ascii=False)
            settings = [options if name == "options" else getattr(cell, name) for name in _SETTINGS]
            yield [*_cell(row.config, cell), *settings, *figures, cell.error]


def comparison_rows(results: Results) -> Iterator[list[Any]]:
    """Rows of comparisons.csv: a configuration against its baseline each, seeds together."""
    for row in results.rows:
        if (versus := row.comparison) is not None:
            config, base = row.config, versus.baseline
            names = [config.task, config.checkpoint, config.policy, base.checkpoint, base.policy]
            yield [*names, len(config.cells), *(getattr(versus, name) for name in _VERSUS)]


def example_lines(config: Config, cell: CellInfo, answers: ResultColumns) -> Iterator[str]:
    """Lines of examples.csv for one cell, one for each answer. Short texts repeat, so their fields are cached."""
    start, short = ",".join(map(_field, _cell(config, cell))), cache(_field)
    given = (
        *(answers.index, map(short, answers.answer), map(short, answers.extracted)),
        *(answers.correct, map(short, last_miles(answers))),
        *(getattr(answers, name) for name in _COUNTS[:-1]),
        *(map(short, answers.finish_reason), answers.wall_seconds, map(_text, answers.text)),
    )
    line = f"%s,{'%d,%s,%s,%d,%s,'}{'%d,' * len(_COUNTS[:-1])}%s,%.10g,%s\n"
    yield from map(line.__mod__, zip(repeat(start), *given))


def _cell(config: Config, cell: CellInfo) -> list[Any]:
    return [cell.key, config.task, config.checkpoint, config.policy, cell.seed]
