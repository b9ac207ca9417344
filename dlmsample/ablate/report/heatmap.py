"""The heat map of accuracy, policy x checkpoint, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from dlmsample.ablate.analysis.results import Row
from dlmsample.ablate.report import svg
from dlmsample.ablate.report.table import percent

_ROW, _TOP, _MARGIN = 30.0, 34.0, 8.0
_POLICY, _CHECKPOINT = 400.0, 200.0  # most room for their names


def heatmap(rows: Sequence[Row], name: str, task: str) -> str | None:
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


def _cell(root: Element, row: Row, x: float, y: float, width: float, share: float | None) -> None:
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
