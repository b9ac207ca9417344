"""The picture of the Pareto front: accuracy against a cost, every configuration a marker that leads to its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from xml.etree.ElementTree import Element, SubElement

from dlmsample.ablate.analysis.figures import Figures
from dlmsample.ablate.analysis.results import ReportRow
from dlmsample.ablate.report import svg
from dlmsample.ablate.report.costs import Cost, on_front
from dlmsample.ablate.report.place import Box, Places
from dlmsample.ablate.report.table import percent

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1080.0, 430.0, 62.0, 20.0, 52.0
_LEGEND = 250.0
_NUMBERED = 40  # with more points, only those on the front carry their number
_NAME = 400.0  # most room for a label; a longer one is the number alone
_MARGIN = 0.06  # of an axis, free before the first and behind the last value


@dataclass(frozen=True)
class _Axis:
    """What an axis spans, a little more than its values, and the round numbers in it."""

    low: float
    high: float
    ticks: list[float]
    ratio: bool = False  #: on a logarithmic scale

    def share(self, value: float) -> float:
        if self.ratio:
            return log(value / self.low) / log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @classmethod
    def of(cls, values: Sequence[float], floor: float, ceiling: float | None = None, ratios: bool = False) -> _Axis:
        """The axis of some values; it ends at ``floor`` and ``ceiling``, and begins near the smallest value."""
        low, high = min(values), max(values)
        if ratios and low > 0 and high / low > 6:
            reach = (high / low) ** _MARGIN
            return cls(low / reach, high * reach, svg.ratios(low / reach, high * reach), True)
        reach = _MARGIN * ((high - low) or abs(high) or 1.0)
        low, high = max(floor, low - reach), high + reach if ceiling is None else min(ceiling, high + reach)
        return cls(low, high, svg.inside(low, high))


@dataclass(frozen=True)
class _Frame:
    """Where values stand in the picture."""

    across: _Axis
    up: _Axis

    def x(self, value: float) -> float:
        return LEFT + self.across.share(value) * (WIDTH - _LEGEND - LEFT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.up.share(value) * (HEIGHT - BOTTOM - TOP)


@dataclass(frozen=True)
class _Point:
    row: ReportRow
    figures: Figures
    cost: float
    good: bool  #: on the front
    x: float
    y: float

    @property
    def number(self) -> int:
        return self.row.config.number


def pareto(
    rows: Sequence[ReportRow], name: str, task: str, cost: Cost, names: Mapping[int, str] | None = None
) -> str | None:
    """The picture for one task; None without results.

    Shape: policy. Colour: checkpoint. On the front: filled, joined by a line, and told by name; off it: hollow. Bars:
    95 % intervals. Markers are links to the rows of the table (``#cNUMBER``); a pointer over one is told its figures.

    Args:
        rows: of the task.
        name: of the picture, unique in the page.
        task: its label.
        cost: the axis across; known of every row with results.
        names: number of a configuration -> its label; None: the whole one.
    """
    given = [(row, row.figures) for row in rows if row.figures is not None]
    if not given:
        return None
    best = on_front(rows, cost)
    numbers = ", ".join(f"#{number}" for number in sorted(best))
    root = svg.picture(
        name,
        WIDTH,
        HEIGHT,
        f"Accuracy against {cost.name} on {task}",
        f"{len(given)} configurations with 95 % intervals. On the Pareto front: {numbers}. The table has their values.",
        role="group",
    )
    frame = _frame([figures for _, figures in given], cost)
    points = [_point(frame, row, figures, cost, row.config.number in best) for row, figures in given]
    _axes(root, frame, cost)
    line = sorted((point.x, point.y) for point in points if point.good)
    SubElement(root, "path", {"d": svg.path(line), "class": "front"})
    rules = list(dict.fromkeys(row.config.rule for row, _ in given))
    checkpoints = list(dict.fromkeys(row.config.checkpoint for row, _ in given))
    for point in sorted(points, key=lambda point: point.good):  # the front lies on top
        config = point.row.config
        _draw(root, frame, point, cost, rules.index(config.rule), checkpoints.index(config.checkpoint))
    _labels(root, points, names or {})
    _legend(root, rules, checkpoints)
    return svg.markup(root)


def _frame(given: Sequence[Figures], cost: Cost) -> _Frame:
    costs = [cost.of(figures) or 0.0 for figures in given]
    bounds = [100 * bound for figures in given for bound in (figures.low, figures.high)]
    return _Frame(_Axis.of(costs, 0.0, ratios=True), _Axis.of(bounds, 0.0, 100.0))


def _point(frame: _Frame, row: ReportRow, figures: Figures, cost: Cost, good: bool) -> _Point:
    value = cost.of(figures) or 0.0
    return _Point(row, figures, value, good, frame.x(value), frame.y(100 * figures.accuracy))


def _axes(root: Element, frame: _Frame, cost: Cost) -> None:
    right, bottom = WIDTH - _LEGEND, HEIGHT - BOTTOM
    for value in frame.up.ticks:
        svg.line(root, LEFT, frame.y(value), right, frame.y(value), "faint")
        svg.words(root, LEFT - 8, frame.y(value) + 4, f"{value:g}", anchor="end")
    for value in frame.across.ticks:
        svg.line(root, frame.x(value), bottom, frame.x(value), bottom + 5, "axis")
        svg.words(root, frame.x(value), bottom + 19, f"{value:,.10g}", anchor="middle")
    svg.line(root, LEFT, bottom, right, bottom, "axis")
    scale = ", log scale" if frame.across.ratio else ""
    svg.words(root, (LEFT + right) / 2, HEIGHT - 10, cost.axis + scale, anchor="middle")
    label = svg.words(root, 16, (TOP + bottom) / 2, "accuracy, %", anchor="middle")
    label.set("transform", f"rotate(-90 16 {svg.number((TOP + bottom) / 2)})")


def _draw(root: Element, frame: _Frame, point: _Point, cost: Cost, shape: int, colour: int) -> None:
    config, figures = point.row.config, point.figures
    said = (
        f"#{config.number} {config.label}: {percent(figures.accuracy)} % "
        f"({percent(figures.low)} to {percent(figures.high)}), {point.cost:,.4g} {cost.name}"
        f"{', on the front' if point.good else ''}"
    )
    link = svg.link(root, f"#c{config.number}", said, "point")
    low, high = frame.y(100 * figures.low), frame.y(100 * figures.high)
    svg.line(link, point.x, low, point.x, high, f"bar c{colour % svg.COLOURS}")
    svg.mark(link, point.x, point.y, shape, colour, point.good, 7 if point.good else 5.5)


def _labels(root: Element, points: Sequence[_Point], names: Mapping[int, str]) -> None:
    """Number and name beside each marker of the front, the number beside the others, wherever there is room."""
    places = Places(Box(LEFT, TOP - 12, WIDTH - _LEGEND + 14, HEIGHT - BOTTOM))
    for point in points:
        places.take(point.x, point.y, 7)
    for point in sorted(points, key=lambda point: (not point.good, point.number)):
        if not point.good and len(points) > _NUMBERED:
            continue
        told = f"{point.number} {names.get(point.number, point.row.config.policy)}"
        for text in (told, str(point.number)) if point.good else (str(point.number),):
            if svg.extent(text) > _NAME:
                continue
            if spot := places.find(point.x, point.y, svg.extent(text)):
                if spot.far:
                    ends = min(max(point.x, spot.box.left), spot.box.right), (spot.box.top + spot.box.bottom) / 2
                    svg.line(root, point.x, point.y, *ends, "leader")
                kind = "ink strong label" if point.good else "ink label"
                svg.words(root, spot.x, spot.y, text, anchor=spot.anchor, kind=kind)
                break


def _legend(root: Element, rules: Sequence[str], checkpoints: Sequence[str]) -> None:
    x, y = WIDTH - _LEGEND + 22, TOP + 4
    svg.words(root, x, y, "Policy (shape)", kind="ink strong")
    for shape, rule in enumerate(rules[:8]):
        y += 20
        svg.mark(root, x + 7, y - 4, shape, 0, False).set("class", "ink-line hollow")
        svg.words(root, x + 22, y, svg.fit(rule, _LEGEND - 48))
    y += 26
    svg.words(root, x, y, "Checkpoint (colour)", kind="ink strong")
    for colour, checkpoint in enumerate(checkpoints[:7]):
        y += 20
        svg.line(root, x, y - 4, x + 15, y - 4, f"swatch c{colour % svg.COLOURS}")
        svg.words(root, x + 22, y, svg.fit(checkpoint, _LEGEND - 48))
    y += 26
    svg.mark(root, x + 7, y - 4, 0, 0, True).set("class", "ink-line full")
    svg.words(root, x + 22, y, "filled: on the front")
    svg.line(root, x + 7, y + 8, x + 7, y + 22, "bar ink-line")
    svg.words(root, x + 22, y + 19, "95 % interval")
    svg.words(root, x, y + 40, "Numbers: rows of the table")
