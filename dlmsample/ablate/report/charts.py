"""The pictures of a report: the Pareto front of accuracy against forwards, and the heat map of accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from xml.etree.ElementTree import Element, SubElement

from dlmsample.ablate.analysis.figures import Figures
from dlmsample.ablate.analysis.results import ReportRow
from dlmsample.ablate.report import svg
from dlmsample.ablate.report.table import percent

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860.0, 430.0, 62.0, 20.0, 52.0
_LEGEND = 250.0
_NUMBERED = 40  # with more points, only those on the front carry their number


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points (forwards, accuracy) no other beats: as few forwards and as accurate, and better in one.

    Example:
        >>> front([(10, 0.5), (20, 0.5), (20, 0.7), (5, 0.1)])
        [True, False, True, True]
    """
    return [not any(x <= a and y >= b and (x, y) != (a, b) for x, y in points) for a, b in points]


@dataclass(frozen=True)
class _Frame:
    """Where values stand in the picture."""

    xs: list[float]
    ys: list[float]
    ratio: bool  #: forwards on a scale of ratios

    def x(self, value: float) -> float:
        low, high = self.xs[0], self.xs[-1]
        share = log(value / low) / log(high / low) if self.ratio else (value - low) / (high - low)
        return LEFT + share * (WIDTH - _LEGEND - LEFT)

    def y(self, value: float) -> float:
        share = (value - self.ys[0]) / (self.ys[-1] - self.ys[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def pareto(rows: Sequence[ReportRow], name: str, task: str) -> str | None:
    """The picture for one task; None without results.

    Shape: policy. Colour: checkpoint. On the front: filled, joined by a line; off it: hollow. Bars: 95 % intervals.
    """
    given = [(row, row.figures) for row in rows if row.figures is not None]
    if not given:
        return None
    best = front([(figures.nfe, figures.accuracy) for _, figures in given])
    on_front = sorted((f.nfe, f.accuracy) for (_, f), good in zip(given, best, strict=True) if good)
    numbers = ", ".join(f"#{row.config.number}" for (row, _), good in zip(given, best, strict=True) if good)
    root = svg.picture(
        name,
        WIDTH,
        HEIGHT,
        f"Accuracy against forwards on {task}",
        f"{len(given)} configurations with 95 % intervals. On the Pareto front: {numbers}. The table has their values.",
    )
    frame = _frame([figures for _, figures in given])
    _axes(root, frame)
    steps = [(frame.x(x), frame.y(100 * y)) for x, y in on_front]
    SubElement(root, "path", {"d": svg.path(steps), "class": "front"})
    rules = list(dict.fromkeys(row.config.rule for row, _ in given))
    checkpoints = list(dict.fromkeys(row.config.checkpoint for row, _ in given))
    points = sorted(zip(given, best, strict=True), key=lambda point: point[1])  # the front lies on top
    for (row, figures), good in points:
        shape, colour = rules.index(row.config.rule), checkpoints.index(row.config.checkpoint)
        _point(root, frame, row, figures, good, shape, colour)
    numbered = [(row, f, good) for (row, f), good in points if good or len(given) <= _NUMBERED]
    _numbers(root, frame, sorted(numbered, key=lambda point: point[0].config.number))
    _legend(root, rules, checkpoints)
    return svg.markup(root)


def _frame(given: Sequence[Figures]) -> _Frame:
    forwards = [f.nfe for f in given]
    ratio = min(forwards) > 0 and max(forwards) / min(forwards) > 6
    xs = svg.powers(min(forwards), max(forwards)) if ratio else svg.ticks(0, max(1.0, *forwards))
    low, high = 100 * min(f.low for f in given), 100 * max(f.high for f in given)
    return _Frame(xs, svg.ticks(low, high), ratio)


def _axes(root: Element, frame: _Frame) -> None:
    right, bottom = WIDTH - _LEGEND, HEIGHT - BOTTOM
    for value in frame.ys:
        svg.line(root, LEFT, frame.y(value), right, frame.y(value), "faint")
        svg.words(root, LEFT - 8, frame.y(value) + 4, f"{value:g}", anchor="end")
    for value in frame.xs:
        svg.line(root, frame.x(value), bottom, frame.x(value), bottom + 5, "axis")
        svg.words(root, frame.x(value), bottom + 19, f"{value:g}", anchor="middle")
    svg.line(root, LEFT, bottom, right, bottom, "axis")
    scale = ", scale of ratios" if frame.ratio else ""
    svg.words(root, (LEFT + right) / 2, HEIGHT - 10, f"forwards of an answer (nfe){scale}", anchor="middle")
    label = svg.words(root, 16, (TOP + bottom) / 2, "accuracy, %", anchor="middle")
    label.set("transform", f"rotate(-90 16 {svg.number((TOP + bottom) / 2)})")


def _point(root: Element, frame: _Frame, row: ReportRow, figures: Figures, good: bool, shape: int, colour: int) -> None:
    x, y = frame.x(figures.nfe), frame.y(100 * figures.accuracy)
    group = SubElement(root, "g", {"class": "point"})
    svg.hint(
        group,
        f"#{row.config.number} {row.config.label}: {percent(figures.accuracy)} % "
        f"({percent(figures.low)} to {percent(figures.high)}), {figures.nfe:.1f} forwards"
        f"{', on the front' if good else ''}",
    )
    svg.line(group, x, frame.y(100 * figures.low), x, frame.y(100 * figures.high), f"bar c{colour % svg.COLOURS}")
    svg.mark(group, x, y, shape, colour, good, 7 if good else 5.5)


def _numbers(root: Element, frame: _Frame, points: Sequence[tuple[ReportRow, Figures, bool]]) -> None:
    """The number beside each marker; markers that lie together share one line."""
    placed: list[tuple[float, float, list[int], bool]] = []
    for row, figures, good in points:
        x, y = frame.x(figures.nfe), frame.y(100 * figures.accuracy)
        near = next((at for at, (a, b, *_) in enumerate(placed) if abs(a - x) < 18 and abs(b - y) < 12), None)
        if near is None:
            placed.append((x, y, [row.config.number], good))
        else:
            a, b, held, strong = placed[near]
            placed[near] = a, b, [*held, row.config.number], strong or good
    for x, y, numbers, strong in placed:
        shown = ", ".join(map(str, numbers[:4])) + (", …" if len(numbers) > 4 else "")
        svg.words(root, x + 9, y - 7, shown, kind="ink strong" if strong else "ink")


def _legend(root: Element, rules: Sequence[str], checkpoints: Sequence[str]) -> None:
    x, y = WIDTH - _LEGEND + 22, TOP + 4
    svg.words(root, x, y, "Policy (shape)", kind="ink strong")
    for shape, rule in enumerate(rules):
        y += 20
        svg.mark(root, x + 7, y - 4, shape, 0, False).set("class", "ink-line hollow")
        svg.words(root, x + 22, y, svg.fit(rule, _LEGEND - 48))
    y += 30
    svg.words(root, x, y, "Checkpoint (colour)", kind="ink strong")
    for colour, checkpoint in enumerate(checkpoints[:10]):
        y += 20
        svg.line(root, x, y - 4, x + 15, y - 4, f"swatch c{colour % svg.COLOURS}")
        svg.words(root, x + 22, y, svg.fit(checkpoint, _LEGEND - 48))
    y += 30
    svg.mark(root, x + 7, y - 4, 0, 0, True).set("class", "ink-line full")
    svg.words(root, x + 22, y, "filled: on the front")
    svg.line(root, x + 7, y + 8, x + 7, y + 26, "bar ink-line")
    svg.words(root, x + 22, y + 21, "95 % interval")
    svg.words(root, x, y + 44, "Numbers: rows of the table below")


_ROW, _TOP, _MARGIN = 30.0, 34.0, 8.0
_POLICY, _CHECKPOINT = 400.0, 200.0  # most room for their names


def heatmap(rows: Sequence[ReportRow], name: str, task: str) -> str | None:
    """The picture for one task: the number stands in each cell, darker is better; None without results."""
    given = [row.figures.accuracy for row in rows if row.figures is not None]
    if not given:
        return None
    policies = list(dict.fromkeys(row.config.policy for row in rows))
    checkpoints = list(dict.fromkeys(row.config.checkpoint for row in rows))
    left = min(_POLICY, max(map(svg.extent, policies))) + 16
    width = max(84.0, min(_CHECKPOINT, max(map(svg.extent, checkpoints))) + 12)
    root = svg.picture(
        name,
        left + width * len(checkpoints) + _MARGIN,
        _TOP + _ROW * len(policies) + _MARGIN,
        f"Accuracy by policy and checkpoint on {task}",
        f"Accuracy in %, {len(policies)} policies by {len(checkpoints)} checkpoints, "
        f"from {percent(min(given))} to {percent(max(given))}; darker is higher.",
    )
    for column, checkpoint in enumerate(checkpoints):
        label = svg.words(root, left + width * (column + 0.5), _TOP - 12, svg.fit(checkpoint, width), anchor="middle")
        svg.hint(label, checkpoint)
    for line, policy in enumerate(policies):
        label = svg.words(root, left - 8, _TOP + _ROW * (line + 0.5) + 4, svg.fit(policy, left - 16), anchor="end")
        svg.hint(label, policy)
    low, span = min(given), max(given) - min(given)
    for row in rows:
        x = left + width * checkpoints.index(row.config.checkpoint)
        y = _TOP + _ROW * policies.index(row.config.policy)
        _cell(root, row, x, y, width, None if row.figures is None else (row.figures.accuracy - low) / (span or 1.0))
    return svg.markup(root)


def _cell(root: Element, row: ReportRow, x: float, y: float, width: float, share: float | None) -> None:
    group = SubElement(root, "g")
    box = {"x": x + 1, "y": y + 1, "width": width - 2, "height": _ROW - 2}
    shape = SubElement(group, "rect", {"rx": "3", **{key: svg.number(value) for key, value in box.items()}})
    figures = row.figures
    if figures is None or share is None:
        shape.set("class", "empty")
        svg.words(group, x + width / 2, y + _ROW / 2 + 4, row.config.status, anchor="middle")
        svg.hint(group, f"#{row.config.number} {row.config.label}: no results")
        return
    fill, ink = svg.ramp(share)
    shape.set("fill", fill)
    partial = "" if row.config.status == "done" else " *"
    words = svg.words(
        group, x + width / 2, y + _ROW / 2 + 4, percent(figures.accuracy) + partial, anchor="middle", kind="number"
    )
    words.set("fill", ink)
    svg.hint(
        group,
        f"#{row.config.number} {row.config.label}: {percent(figures.accuracy)} % "
        f"({percent(figures.low)} to {percent(figures.high)}){', not complete' if partial else ''}",
    )
