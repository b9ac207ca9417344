"""The results of ``benchmarks.speed`` as a picture and as a Markdown table."""

from __future__ import annotations

from math import log10
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from dlmsample.ablate.report.svg import INK, PALETTE, inside, line, mark, markup, path, picture, words

LABELS = {
    "ours": "dlmsample",
    "ours_fused": "dlmsample, compiled",
    "ours_plain": "dlmsample, no captured graphs",
    "ours_prefix": 'dlmsample, cache="prefix"',
    "ours_dual": 'dlmsample, cache="dual"',
    "ours_prefix_fused": 'dlmsample, cache="prefix", compiled',
    "ours_dual_fused": 'dlmsample, cache="dual", compiled',
    "ours_dual_plain": 'dlmsample, cache="dual", no captured graphs',
    "diffusers": "diffusers LLaDA2Pipeline",
    "llada2": "LLaDA2-style loop",
    "llada": "LLaDA-style loop",
}
_NOT_DRAWN = ("ours_plain", "ours_prefix_fused", "ours_dual_fused", "ours_dual_plain")
_INK = (*INK, ("grid", "#d0d7de", "#3d444d"))
_PANEL, _HIGH, _GAP, _LEFT = 250.0, 190.0, 62.0, 52.0
_COLUMNS = 3

Cells = list[dict[str, Any]]


def done(record: dict[str, Any]) -> Cells:
    """The cells that were measured."""
    return [cell for cell in record["cells"] if "skipped" not in cell]


def new_tokens(cell: dict[str, Any], record: dict[str, Any]) -> int:
    """Of a cell; in older results all have the same."""
    return cell.get("new", record["new_tokens"])


def usual(record: dict[str, Any]) -> Cells:
    """The cells, measured or not, with as many new tokens as the results say in general."""
    return [cell for cell in record["cells"] if new_tokens(cell, record) == record["new_tokens"]]


def merge(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Several runs on one kind of machine as one; of a cell in several, the last that was measured.

    What each run's machine can do stands in its cells. The first one's number of new tokens is the one that tables and
    plots show.

    Raises:
        ValueError: the runs differ in more than their cells.
    """
    same = ("device", "torch", "versions", "dtype", "prompt_tokens")
    if any(record.get(key) != records[0].get(key) for record in records for key in same):
        raise ValueError(f"these runs differ in {', '.join(same)}: they make no one table")
    cells: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in (_whole(cell, record) for record in records for cell in record["cells"]):
        key = tuple(cell[name] for name in ("shape", "policy", "batch", "peer", "new"))
        if key not in cells or "skipped" not in cell:
            cells[key] = cell
    commands = [command for record in records for command in record["command"]]
    first = {"new_tokens": records[0]["new_tokens"], "command": commands}
    return records[-1] | first | {"cells": list(cells.values())}


def _whole(cell: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """A cell with what its run alone knows of it."""
    machine = {"machine": record["machine"]} if "machine" in record and "skipped" not in cell else {}
    return machine | cell | {"new": new_tokens(cell, record)}


def _style() -> str:
    def rules(dark: bool) -> str:
        lines = [f".{name}{{fill:{pair[dark]};stroke:none}}" for name, *pair in _INK if name != "grid"]
        lines += [f".{name}{{stroke:{pair[dark]};fill:none}}" for name, *pair in _INK if name == "grid"]
        for i, pair in enumerate(PALETTE):
            lines.append(f".c{i}{{stroke:{pair[dark]};fill:none;stroke-width:2}}.c{i}.full{{fill:{pair[dark]}}}")
        return "".join(lines)

    text = "text{font:12px system-ui,sans-serif}.head{font-weight:600}"
    return f"{text}{rules(False)}@media(prefers-color-scheme:dark){{{rules(True)}}}"


def plot(record: dict[str, Any]) -> str:
    """Tokens per second over the batch size, a panel for each shape; both axes logarithmic; follows light and dark.

    One policy is drawn, the first one of the results.
    """
    cells = [cell for cell in usual(record) if "skipped" not in cell and cell["peer"] not in _NOT_DRAWN]
    cells = [cell for cell in cells if cell["policy"] == cells[0]["policy"]]
    shapes = list(dict.fromkeys(cell["shape"] for cell in cells))
    peers = [peer for peer in LABELS if any(cell["peer"] == peer for cell in cells)]
    batches = sorted({cell["batch"] for cell in cells})
    columns = min(_COLUMNS, len(shapes))
    rows = -(-len(shapes) // columns)
    top = 52.0 + 20 * -(-len(peers) // 3)
    width = max(_LEFT + columns * (_PANEL + _GAP) - 30, 780.0)
    root = picture(
        "speed",
        width,
        top + rows * (_HIGH + 72),
        "Generated tokens per second by batch size",
        f"{record['device']}, policy {cells[0]['policy'] if cells else 'none'}, {record['prompt_tokens']} prompt and "
        f"{record['new_tokens']} new tokens",
    )
    SubElement(root, "style").text = _style()
    words(root, _LEFT, 18, f"Generated tokens per second, {record['device']}", kind="ink head")
    for i, peer in enumerate(peers):
        x, y = _LEFT + (i % 3) * 250, 42 + (i // 3) * 20
        mark(root, x, y - 4, i, i, True, radius=5)
        words(root, x + 12, y, LABELS[peer])
    for i, shape in enumerate(shapes):
        x, y = _LEFT + (i % columns) * (_PANEL + _GAP), top + (i // columns) * (_HIGH + 72)
        _panel(root, x, y, shape, [cell for cell in cells if cell["shape"] == shape], peers, batches)
    return markup(root)


def _panel(root: Element, x: float, y: float, shape: str, cells: Cells, peers: list[str], batches: list[int]) -> None:
    logs = [log10(cell["tokens_per_s"]) for cell in cells]
    low, high = min(logs), max(logs)
    low, high = low - 0.08 * (high - low + 0.1), high + 0.08 * (high - low + 0.1)
    step = _PANEL / max(len(batches) - 1, 1)

    def height(value: float) -> float:
        return y + _HIGH * (1 - (log10(value) - low) / (high - low))

    for value in _decades(low, high):
        line(root, x, height(value), x + _PANEL, height(value), "grid")
        words(root, x - 6, height(value) + 4, _count(value), anchor="end", kind="faint")
    for at, batch in enumerate(batches):
        words(root, x + at * step, y + _HIGH + 18, str(batch), anchor="middle", kind="faint")
    words(root, x + _PANEL / 2, y + _HIGH + 36, "batch", anchor="middle", kind="faint")
    words(root, x, y - 8, shape, kind="ink head")
    for i, peer in enumerate(peers):
        mine = sorted((c["batch"], c["tokens_per_s"]) for c in cells if c["peer"] == peer)
        points = [(x + batches.index(batch) * step, height(speed)) for batch, speed in mine]
        if points:
            SubElement(root, "path", {"d": path(points), "class": f"c{i}"})
        for px, py in points:
            mark(root, px, py, i, i, True, radius=4.5)


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten; only the powers where there are many."""
    powers = range(int(low) - 1, int(high) + 2)
    factors = (1,) if high - low > 2.5 else (1, 3) if high - low > 1.2 else (1, 2, 5)
    found = [factor * 10.0**power for power in powers for factor in factors]
    found = [value for value in found if low <= log10(value) <= high]
    return found if len(found) > 1 else [v for v in inside(10**low, 10**high, 4) if v > 0 and low <= log10(v) <= high]


def _count(value: float) -> str:
    """A number of tokens as people write it.

    Example:
        >>> _count(12.3), _count(940.0), _count(1234.0), _count(56789.0)
        ('12', '940', '1.2k', '57k')
    """
    if value < 1000:
        return f"{value:.0f}"
    return f"{value / 1000:.1f}k".replace(".0k", "k") if value < 10000 else f"{value / 1000:.0f}k"


def table(record: dict[str, Any]) -> str:
    """A row for each shape, policy and batch: tokens per second of every decoder, and what ours comes to.

    The last columns are those of the faster of ours as it comes and compiled. Marked: ``≈`` a decoder that gives
    other tokens by its rule, ``*`` one that made another number of steps.
    """
    cells = usual(record)
    peers = [peer for peer in LABELS if any(cell["peer"] == peer and "skipped" not in cell for cell in cells)]
    heads = ["shape", "batch", *(LABELS[peer] for peer in peers), "over the best other", "ms a step", "of the roofline"]
    heads += ["forward", "GiB"]
    several = len({cell["policy"] for cell in done(record)}) > 1
    if several:
        heads.insert(1, "policy")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    shapes = list(dict.fromkeys(cell["shape"] for cell in cells))
    keys = dict.fromkeys((cell["shape"], cell["policy"], cell["batch"]) for cell in cells)
    for key in sorted(keys, key=lambda key: (shapes.index(key[0]), *key[1:])):
        here = [c for c in cells if (c["shape"], c["policy"], c["batch"]) == key]
        found = {c["peer"]: c for c in here}
        ours = [found[p] for p in ("ours", "ours_fused", "ours_plain") if "tokens_per_s" in found.get(p, {})]
        mine = max(ours, key=lambda cell: cell["tokens_per_s"], default=None)
        others = [c["tokens_per_s"] for p, c in found.items() if not p.startswith("ours") and "tokens_per_s" in c]
        row = [key[0], *([f"`{key[1]}`"] if several else []), str(key[2])]
        row += [_shown(found.get(peer), mine) for peer in peers]
        row.append(f"{mine['tokens_per_s'] / max(others):.1f}×" if mine and others else "")
        row += [f"{mine['ms_per_step']:.1f}", _percent(mine["roofline_share"])] if mine else ["", ""]
        row += [_percent(mine["forward_share"]), _gib(mine["peak_gib"])] if mine else ["", ""]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _gib(size: float | None) -> str:
    return "" if size is None else f"{size:.1f}"


def _shown(cell: dict[str, Any] | None, mine: dict[str, Any] | None) -> str:
    """Tokens per second, and what marks a decoder."""
    if cell is None:
        return ""
    if "skipped" in cell:
        return "out of memory" if "memory" in cell["skipped"] else "–"
    other_steps = mine is not None and cell["steps"] != mine["steps"]
    return "≈ " * cell.get("approximate", False) + _count(cell["tokens_per_s"]) + "*" * other_steps
