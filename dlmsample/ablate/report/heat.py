"""Heat maps of accuracy: options that were swept against each other, and policies against checkpoints.

Colours are absolute, 0 to 100 %, so that two maps, and two reports, can be compared; the figure stands in each cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from dlmsample.ablate.analysis.results import ReportRow
from dlmsample.ablate.report import svg
from dlmsample.ablate.report.naming import options_of, swept
from dlmsample.ablate.report.table import percent
from dlmsample.support.text import scalar

_ROW, _TOP, _MARGIN = 30.0, 54.0, 8.0
_NAMES, _CELL = 420.0, 200.0  # most room for the names of lines and columns
MOST = 16  #: maps of one task


class HeatMap(NamedTuple):
    """A picture and what it shows, in words."""

    caption: str
    markup: str


def heatmaps(rows: Sequence[ReportRow], name: str, task: str, names: Mapping[int, str]) -> tuple[list[HeatMap], int]:
    """The maps of one task, and how many more there would be.

    One for each policy and checkpoint: the two options with the most values against each other, or the one there is;
    further options that were swept give a map for each of their combinations. With several checkpoints also the
    policies against them.

    Args:
        rows: of the task.
        name: of the pictures, unique in the page.
        task: its label.
        names: number of a configuration -> its short name.
    """
    if not any(row.figures for row in rows):
        return [], 0
    found = [*_sweeps(rows), *_checkpoints(rows, names)]
    shown = [HeatMap(table.caption, table.drawn(f"{name}-{at}", task)) for at, table in enumerate(found[:MOST])]
    return shown, len(found) - len(shown)


class _Table(NamedTuple):
    """Rows of the report in lines and columns."""

    caption: str
    line: str  #: what the lines are
    column: str
    lines: list[str]
    columns: list[str]
    cells: dict[tuple[str, str], ReportRow]

    def drawn(self, name: str, task: str) -> str:
        left = max(60.0, min(_NAMES, max(map(svg.extent, (*self.lines, self.line)))) + 16)
        width = max(84.0, min(_CELL, max(map(svg.extent, self.columns))) + 12)
        top = _TOP if self.column else _TOP - 20
        root = svg.picture(
            name,
            max(left + width * len(self.columns) + _MARGIN, svg.extent(self.column) + left),
            top + _ROW * len(self.lines) + _MARGIN,
            f"Accuracy on {task}: {self.caption}",
            f"Accuracy in %, {self.line} by {self.column or 'checkpoint'}; darker is higher, from 0 to 100 %.",
        )
        svg.words(root, left + 2, 16, self.column, kind="ink strong")
        svg.words(root, left - 8, top - 12, self.line, anchor="end", kind="ink strong")
        for at, column in enumerate(self.columns):
            middle = left + width * (at + 0.5)
            svg.hint(svg.words(root, middle, top - 12, svg.fit(column, width), anchor="middle"), column)
        for at, line in enumerate(self.lines):
            label = svg.words(root, left - 8, top + _ROW * (at + 0.5) + 4, svg.fit(line, left - 16), anchor="end")
            svg.hint(label, line)
        for (at, line), (across, column) in product(enumerate(self.lines), enumerate(self.columns)):
            if (row := self.cells.get((line, column))) is not None:
                _cell(root, row, left + width * across, top + _ROW * at, width)
        return svg.markup(root)


def _sweeps(rows: Sequence[ReportRow]) -> list[_Table]:
    """The options of each policy that take several values, against each other."""
    found: list[_Table] = []
    checkpoints = list(dict.fromkeys(row.config.checkpoint for row in rows))
    for rule, options in swept([row.config for row in rows]).items():
        if not options:
            continue
        members = [row for row in rows if row.config.rule == rule]
        most = sorted(options, key=lambda option: -len(options[option]))[:2]
        rest = [option for option in options if option not in most]
        if len(most) == 1:
            lines = _by(members, lambda row: row.config.checkpoint, _value(most[0]))
            found.append(_table(f"{rule}: {most[0]}", "checkpoint", most[0], lines, checkpoints, options))
            continue
        groups: dict[tuple[str, ...], list[ReportRow]] = {}  # by checkpoint and what the other options are
        for row in members:
            options_here = options_of(row.config)
            rest_here = [scalar(options_here.get(option)) for option in rest]
            groups.setdefault((row.config.checkpoint, *rest_here), []).append(row)
        for (checkpoint, *values), chosen in groups.items():
            if len(chosen) > 1:
                told = [f"{option}={value}" for option, value in zip(rest, values, strict=True)]
                told += [checkpoint] if len(checkpoints) > 1 else []
                caption = ", ".join([f"{rule}: {most[0]} by {most[1]}", *told])
                cells = _by(chosen, _value(most[0]), _value(most[1]))
                found.append(_table(caption, most[0], most[1], cells, list(map(scalar, options[most[0]])), options))
    return found


def _table(
    caption: str,
    line: str,
    column: str,
    cells: dict[tuple[str, str], ReportRow],
    lines: Sequence[str],
    options: Mapping[str, Sequence[Any]],
) -> _Table:
    """Lines and columns that hold anything."""
    held, across = {line for line, _ in cells}, {column for _, column in cells}
    columns = [value for value in map(scalar, options[column]) if value in across]
    return _Table(caption, line, column, [line for line in lines if line in held], columns, cells)


def _checkpoints(rows: Sequence[ReportRow], names: Mapping[int, str]) -> list[_Table]:
    """Policies against checkpoints, where there are several."""
    checkpoints = list(dict.fromkeys(row.config.checkpoint for row in rows))
    if len(checkpoints) < 2:
        return []
    cells = _by(rows, lambda row: names[row.config.number], lambda row: row.config.checkpoint)
    lines = list(dict.fromkeys(line for line, _ in cells))
    return [_Table("policies by checkpoints", "policy", "checkpoint", lines, checkpoints, cells)]


_Key = Callable[[ReportRow], str]


def _by(rows: Sequence[ReportRow], line: _Key, column: _Key) -> dict[tuple[str, str], ReportRow]:
    return {(line(row), column(row)): row for row in rows}


def _value(option: str) -> _Key:
    return lambda row: scalar(options_of(row.config).get(option))


def _cell(root: Element, row: ReportRow, x: float, y: float, width: float) -> None:
    group = SubElement(root, "g")
    box = {"x": x + 1, "y": y + 1, "width": width - 2, "height": _ROW - 2}
    shape = SubElement(group, "rect", {"rx": "3", **{key: svg.number(value) for key, value in box.items()}})
    figures, middle, base = row.figures, x + width / 2, y + _ROW / 2 + 4
    if figures is None:
        shape.set("class", "empty")
        svg.words(group, middle, base, row.config.status, anchor="middle")
        svg.hint(group, f"#{row.config.number} {row.config.label}: no results")
        return
    fill, ink = svg.ramp(figures.accuracy)
    shape.set("fill", fill)
    partial = "" if row.config.status == "done" else " *"
    words = svg.words(group, middle, base, percent(figures.accuracy) + partial, anchor="middle", kind="number")
    words.set("fill", ink)
    svg.hint(
        group,
        f"#{row.config.number} {row.config.label}: {percent(figures.accuracy)} % "
        f"({percent(figures.low)} to {percent(figures.high)}){', not complete' if partial else ''}",
    )


def key(name: str) -> str:
    """The scale of the maps' colours."""
    root = svg.picture(name, 460, 46, "Colours of the maps", "Accuracy from 0 % (light) to 100 % (dark).")
    for at in range(11):
        fill, ink = svg.ramp(at / 10)
        place = {"x": 4 + 41 * at, "y": 16, "width": 41, "height": 26}
        SubElement(root, "rect", {"fill": fill, **{side: svg.number(value) for side, value in place.items()}})
        svg.words(root, 24.5 + 41 * at, 33, str(10 * at), anchor="middle", kind="number").set("fill", ink)
    svg.words(root, 4, 11, "accuracy, %")
    return svg.markup(root)
