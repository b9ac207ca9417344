"""docs/results/parallel.md and its picture, made from what benchmarks/parallel.py measured.

    python docs/make_parallel.py     # once benchmarks/results/parallel.json is there (and parallel_cpu.json, maybe)

The page and the picture exist only where the results do; with them the page is entered into mkdocs.yml.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from math import log10
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from dlmsample.ablate.report.svg import INK, PALETTE, line, mark, markup, path, picture, ratios, words

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE, PICTURE, SITE = ROOT / "docs/results/parallel.md", ROOT / "docs/assets/parallel.svg", ROOT / "mkdocs.yml"
BEFORE = "      - Speed: results/speed.md\n"
ENTRY = "      - Fewer forwards: results/parallel.md\n"
LABELS = {
    "unmask-threshold": "Unmask, threshold",
    "t2m": "T2M",
    "t2t": "T2T",
    "unmask-tokens": "Unmask, tokens a step",
    "d3im": "D3IM",
    "dsc": "DSC with fca",
}
"""Series that are drawn; the others stand in the tables."""
WIDE, HIGH, GAP, LEFT, TOP = 340.0, 210.0, 70.0, 56.0, 96.0

Cells = list[dict[str, Any]]


class Line(NamedTuple):
    """One drawn series."""

    label: str
    cells: Cells
    look: int
    solid: bool


def style() -> str:
    """The picture's style sheet, for light and dark."""

    def rules(dark: bool) -> str:
        lines = [f".{name}{{fill:{pair[dark]};stroke:none}}" for name, *pair in INK]
        lines.append(f".grid{{stroke:{('#d0d7de', '#3d444d')[dark]};fill:none}}")
        for i, pair in enumerate(PALETTE[: len(LABELS)]):
            lines.append(f".c{i}{{stroke:{pair[dark]};fill:none;stroke-width:2}}.c{i}.full{{fill:{pair[dark]}}}")
        return "".join(lines)

    text = "text{font:12px system-ui,sans-serif}.head{font-weight:600}"
    return f"{text}{rules(False)}@media(prefers-color-scheme:dark){{{rules(True)}}}"


def lines_of(record: dict[str, Any]) -> tuple[list[Line], list[Line]]:
    """What is drawn on the left (the base under every policy) and on the right (base and adapter)."""

    def cells(owner: str, series: str) -> Cells:
        return [c for c in record["cells"] if (c["checkpoint"], c["series"]) == (owner, series)]

    drawn = [Line(label, cells("base", name), i, True) for i, (name, label) in enumerate(LABELS.items())]
    pairs = [
        Line(f"{LABELS[name]}, {owner}", cells(owner, name), list(LABELS).index(name), owner != "base")
        for name in ("unmask-threshold", "t2m")
        for owner in ("base", record["adapter"])
        if owner
    ]
    return [d for d in drawn if d.cells], [d for d in pairs if d.cells]


def panel(root: Element, x: float, y: float, title: str, axis: str, key: str, drawn: Sequence[Line]) -> None:
    """Accuracy over a logarithmic axis."""
    values = [log10(max(c[key], 1e-3)) for one in drawn for c in one.cells]
    low, high = min(values) - 0.05, max(values) + 0.05

    def place(cell: dict[str, Any]) -> tuple[float, float]:
        return x + WIDE * (log10(max(cell[key], 1e-3)) - low) / (high - low), y + HIGH * (1 - cell["accuracy"])

    words(root, x, y - 10, title, kind="ink head")
    for share in (0, 0.25, 0.5, 0.75, 1):
        line(root, x, y + HIGH * (1 - share), x + WIDE, y + HIGH * (1 - share), "grid")
        words(root, x - 6, y + HIGH * (1 - share) + 4, f"{100 * share:.0f} %", anchor="end", kind="faint")
    for value in ratios(10**low, 10**high):
        at = x + WIDE * (log10(value) - low) / (high - low)
        words(root, at, y + HIGH + 18, f"{value:,g}", anchor="middle", kind="faint")
    words(root, x + WIDE / 2, y + HIGH + 36, axis, anchor="middle", kind="faint")
    for one in drawn:
        points = [place(cell) for cell in one.cells]
        SubElement(root, "path", {"d": path(points), "class": f"c{one.look}"})
        for at in points:
            mark(root, *at, one.look, one.look, one.solid, radius=4.5)


def legend(root: Element, x: float, y: float, drawn: Sequence[Line], columns: int, step: float) -> None:
    """The lines' marks and labels, row by row."""
    for i, one in enumerate(drawn):
        left, high = x + (i % columns) * step, y + (i // columns) * 18
        mark(root, left, high - 4, one.look, one.look, one.solid, radius=5)
        words(root, left + 12, high, one.label)


def draw(gpu: dict[str, Any], cpu: dict[str, Any] | None) -> str:
    """Accuracy over tokens a forward, then over tokens a second; follows light and dark."""
    rows = [("tokens a forward", "tokens_per_forward", gpu), (f"tokens/s, {gpu['device']}", "tokens_per_wall_s", gpu)]
    rows += [(f"tokens/s, {cpu['device']}", "tokens_per_wall_s", cpu)] if cpu else []
    root = picture(
        "parallel",
        2 * (LEFT + WIDE) + 40,
        TOP + len(rows) * (HIGH + GAP),
        "Accuracy over tokens a forward and tokens a second",
        f"{gpu['problems']} problems, batch {gpu['batch_size']}, every policy over the option that makes it faster",
    )
    SubElement(root, "style").text = style()
    for at, (axis, key, record) in enumerate(rows):
        y = TOP + at * (HIGH + GAP)
        for column, (title, drawn) in enumerate(zip(("nano", "nano and its adapter"), lines_of(record), strict=True)):
            x = LEFT + column * (WIDE + LEFT)
            if not drawn:
                continue
            panel(root, x, y, title, axis, key, drawn)
            if at == 0:
                legend(root, x, 14, drawn, columns=2, step=170)
    return markup(root)


def span(found: dict[str, Any], digits: int = 1) -> str:
    """A value with its interval.

    Example:
        >>> span({"value": 2.0, "low": 1.5, "high": 2.25})
        '2.0 [1.5, 2.2]'
    """
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def areas(record: dict[str, Any]) -> list[str]:
    """AUP of every series, the best first."""
    owners = ["base", *([record["adapter"]] if record["adapter"] else [])]
    found = {(a["checkpoint"], a["series"]): a for a in record["aup"]}
    names = sorted(
        {name for _, name in found}, key=lambda n: -max(found[o, n]["value"] for o in owners if (o, n) in found)
    )
    lines = ["| series | " + " | ".join(f"AUP, {owner}" for owner in owners) + " |", "|" + "---|" * (1 + len(owners))]
    for name in names:
        shown = [span(found[owner, name]) if (owner, name) in found else "" for owner in owners]
        lines.append(f"| {LABELS.get(name, name)} | " + " | ".join(shown) + " |")
    return lines


def compared(record: dict[str, Any]) -> list[str]:
    """Base and adapter at equal accuracy."""
    lines = ["| series | base | adapter | tokens a forward, times | accuracy, points |", "|---|---|---|---|---|"]
    for found in record["equal_accuracy"]:
        label = LABELS.get(found["series"], found["series"])
        if "cell" not in found:
            lines.append(f"| {label} | | no cell at {found['least_accuracy']:.1f} % or more | | |")
            continue
        ratio, points = span(found["tokens_per_forward_ratio"], 2), span(found["points"])
        lines.append(f"| {label} | `{found['base']}` | `{found['cell']}` | {ratio} | {points} |")
    return lines


def cells_of(record: dict[str, Any]) -> list[str]:
    """Every cell of the drawn series."""
    lines = ["| checkpoint | policy | exact answers | tokens a forward | tokens/s |", "|---|---|---|---|---|"]
    for c in record["cells"]:
        if c["series"] in LABELS:
            share = f"{100 * c['accuracy']:.1f} % [{100 * c['low']:.1f}, {100 * c['high']:.1f}]"
            lines.append(
                f"| {c['checkpoint']} | `{c['policy']}` | {share} | {c['tokens_per_forward']:.2f} "
                f"| {c['tokens_per_wall_s']:,.0f} |"
            )
    return lines


def page(gpu: dict[str, Any], cpu: dict[str, Any] | None) -> str:
    """The page as Markdown."""
    adapter = gpu["adapter"]
    parts = [
        "# How accurate with how few forwards?",
        "<!-- made by docs/make_parallel.py: do not edit -->",
        prose("""Policies over the option that makes it faster: a threshold, the tokens of a step, or the number of
            steps. Up and to the right is better."""),
    ]
    if "note" in gpu:
        parts.append(prose(f"**{gpu['note']}**"))
    if not gpu["complete"]:
        parts.append("**Not all cells are measured yet.**")
    parts += [
        "![Accuracy over tokens a forward and tokens a second](../assets/parallel.svg)",
        prose(f"""{gpu["problems"]:,} problems of the {gpu["split"]} split, {gpu["new_tokens"]} new tokens, greedy,
            batch {gpu["batch_size"]}, {gpu["dtype"].removeprefix("torch.")}, {gpu["device"]}, torch {gpu["torch"]},
            transformers {gpu["transformers"]}. Tokens are those up to the EOS; forwards include those that only write
            a block to the cache, not the prompt's. Tokens a second are of the whole batch, and hold for this machine
            alone. A cell is run twice where that is quick, and the second run counts: the first one captures
            forwards."""),
        f"```sh\n{gpu['command']}\n```",
    ]
    if gpu.get("not_measured"):
        parts.append(prose(f"Not measured yet: the series {', '.join(gpu['not_measured'])}."))
    if cpu is not None:
        parts += [
            f"The lowest row of the picture: {cpu['problems']:,} problems, {cpu['device']}, batch {cpu['batch_size']}.",
            f"```sh\n{cpu['command']}\n```",
        ]
    parts += [
        "## Area under the curve",
        prose("""AUP (accuracy under parallelism, arXiv:2601.07568) is the area under accuracy, in percent, over tokens
            a forward, in which less accurate points weigh less, and points more than five below the slowest one count
            nothing. It depends on the points that were measured, so it compares series of this page, not of other
            pages. Intervals: 95 %, bootstrap over the problems."""),
        "\n".join(areas(gpu)),
    ]
    if adapter:
        parts += [
            f"## The adapter `{adapter}` at equal accuracy",
            prose("""From base and adapter the fastest cell whose accuracy is at most one point below the base's best of
                that series, with paired bootstrap intervals over the problems. The cells are chosen on the problems
                they are compared on: the intervals do not cover that choice."""),
            "\n".join(compared(gpu)),
            prose(f"""The adapter comes from the recipe `nano_{adapter}`, in whose file both commands stand: nano
                answers problems of the training split, and the right answers are what it learns from."""),
        ]
    parts += ["## All cells of the picture", "Accuracy with Wilson's 95 % interval.", "\n".join(cells_of(gpu))]
    return "\n\n".join(parts) + "\n"


def prose(text: str) -> str:
    """A paragraph, wrapped."""
    return textwrap.fill(" ".join(text.split()), 150, break_long_words=False, break_on_hyphens=False)


def made(gpu: dict[str, Any], cpu: dict[str, Any] | None) -> dict[Path, str]:
    """What this script writes."""
    site = SITE.read_text(encoding="utf-8")
    site = site if ENTRY in site else site.replace(BEFORE, BEFORE + ENTRY)
    return {PAGE: page(gpu, cpu), PICTURE: draw(gpu, cpu), SITE: site}


def results() -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The GPU's results and the CPU's, where they are there."""
    files = (RESULTS / "parallel.json", RESULTS / "parallel_cpu.json")
    gpu, cpu = (json.loads(file.read_text(encoding="utf-8")) if file.exists() else None for file in files)
    return gpu, cpu


if __name__ == "__main__":
    measured, own = results()
    if measured is None:
        raise SystemExit("no benchmarks/results/parallel.json: run python -m benchmarks.parallel first")
    for target, content in made(measured, own).items():
        target.write_text(content, encoding="utf-8")
