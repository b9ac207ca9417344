"""The drawings and the table of docs/explanation/architecture.md, made from the figures of benchmarks/moves.py.

    python benchmarks/moves.py --json benchmarks/results/moves.json
    python docs/make_ways.py              # writes docs/assets/*_way.svg, and the table between the page's two marks

A drawing has a box for every file that is visited, in the order in which a reader meets them. Its column is the file's
room: what stands further right is imported by what stands further left. A line is a call from one file into another,
and a box says how often its file is called. The way back is not drawn; it counts as a move of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "benchmarks" / "results" / "moves.json"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
DRAWINGS = {
    "token": ROOT / "docs" / "assets" / "token_way.svg",
    "training step": ROOT / "docs" / "assets" / "training_way.svg",
}
#: Files and moves before the engine, the models, training and the grids got rooms of their own (commit 41b0eca).
BEFORE = {"command": (54, 500), "token": (18, 80), "training step": (17, 170)}
NAMES = {
    "command": "the whole command, from `dlmsample generate` to the printed text, for one token",
    "token": "one further token",
    "training step": "one further training step",
}
BEGIN, END = "<!-- made by docs/make_ways.py -->", "<!-- end -->"
#: Columns of the drawings, from left to right: against the direction of imports.
COLUMNS = ("cli", "train", "decoding", "objectives", "policies", "models", "tasks", "base")
_BASE = "predict rng types support"
_COLUMN, _ROW, _BOX, _TOP = 206, 30, 186, 56
_STYLE = """
text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1c2b2a}
.room{font:600 12px system-ui,sans-serif;fill:#00695c}
.count{font-size:11px;fill:#00695c}
.paper{fill:#fff}.lane{fill:#f2f7f6}.file{fill:#fff;stroke:#80a8a2}.call{fill:none;stroke:#26a69a;stroke-opacity:.75}
@media (prefers-color-scheme:dark){
text{fill:#e4eeec}.room,.count{fill:#80cbc4}.paper{fill:#1b2322}.lane{fill:#222d2b}
.file{fill:#1b2322;stroke:#55736e}}
"""


class Call(NamedTuple):
    caller: str
    callee: str
    times: int


def calls(edges: Sequence[tuple[str, str, int]]) -> list[Call]:
    """The calls among moves, which are in the order in which they first happened; the others are the ways back.

    Example:
        >>> calls([("a.py", "b.py", 2), ("b.py", "a.py", 2)])
        [Call(caller='a.py', callee='b.py', times=2)]
    """
    found: dict[tuple[str, str], int] = {}
    for here, there, count in edges:
        if (there, here) not in found:
            found[here, there] = count
    return [Call(*pair, count) for pair, count in found.items()]


def column(file: str) -> str:
    """The column of a file: its room, or ``base`` for the few files and rooms that everything rests on."""
    room = file.split("/")[0]
    return room if room in COLUMNS else "base"


def in_order(made: Sequence[Call]) -> list[str]:
    """Files as a reader meets them: a file, then what it calls, each with what that calls in turn.

    Example:
        >>> in_order([Call("b", "c", 1), Call("a", "b", 1), Call("a", "d", 1)])
        ['a', 'b', 'c', 'd']
    """
    called = {call.callee for call in made}
    waiting = [call.caller for call in reversed(made)] + [
        call.caller for call in reversed(made) if call.caller not in called
    ]
    files: dict[str, None] = {}
    while waiting:
        file = waiting.pop()
        if file not in files:
            files[file] = None
            waiting += [call.callee for call in reversed(made) if call.caller == file]
    return list(files)


def draw(edges: Sequence[tuple[str, str, int]], title: str) -> str:
    """An SVG of one way."""
    made = calls(edges)
    files = in_order(made)
    columns = [name for name in COLUMNS if any(column(file) == name for file in files)]
    width, height = 20 + _COLUMN * len(columns), _TOP + _ROW * len(files)
    place = {file: (20 + _COLUMN * columns.index(column(file)), _TOP + _ROW * at) for at, file in enumerate(files)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
    ]
    for at, name in enumerate(columns):
        x = 10 + _COLUMN * at
        label = _BASE if name == "base" else f"{name}/"
        parts.append(f'<rect class="lane" x="{x + 3}" y="8" width="{_COLUMN - 6}" height="{height - 16}" rx="6"/>')
        parts.append(f'<text class="room" x="{x + _COLUMN / 2}" y="30" text-anchor="middle">{escape(label)}</text>')
    for call in made:
        into = [other for other in made if other.callee == call.callee]
        spread = 12 / max(len(into) - 1, 2) * (into.index(call) - (len(into) - 1) / 2)
        parts.append(_line(place[call.caller], place[call.callee], spread))
    for file, (x, y) in place.items():
        name, count = file.removeprefix(f"{column(file)}/"), sum(call.times for call in made if call.callee == file)
        squeezed = f' textLength="{_BOX - 34}" lengthAdjust="spacingAndGlyphs"' if len(name) > 22 else ""
        parts.append(f'<rect class="file" x="{x}" y="{y - 11}" width="{_BOX}" height="22" rx="4"/>')
        parts.append(f'<text x="{x + 6}" y="{y + 4}"{squeezed}>{escape(name)}</text>')
        if count > 1:
            parts.append(f'<text class="count" x="{x + _BOX - 5}" y="{y + 4}" text-anchor="end">×{count}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(caller: tuple[int, int], callee: tuple[int, int], spread: float) -> str:
    """A call: from the right side of one box to the left side of another, or around boxes of one column."""
    (x, y), (u, v) = caller, callee
    if x == u:
        return f'<path class="call" d="M{x} {y} C{x - 14} {y},{u - 14} {v + spread:.1f},{u} {v + spread:.1f}"/>'
    if x > u:  # back to a column on the left
        return f'<path class="call" d="M{x} {y} C{x - 40} {y},{u + _BOX + 40} {v},{u + _BOX} {v}"/>'
    bend = 60 if u - x > _COLUMN else 16
    d = f"M{x + _BOX} {y} C{x + _BOX + bend} {y},{u - bend} {v + spread:.1f},{u} {v + spread:.1f}"
    return f'<path class="call" d="{d}"/>'


def table(figures: dict[str, Any]) -> str:
    """Files and moves before and now, as Markdown."""
    lines = ["| way | files before | moves before | files now | moves now |", "|---|---|---|---|---|"]
    for way, (files, moves) in BEFORE.items():
        lines.append(f"| {NAMES[way]} | {files} | {moves} | {figures[way]['files']} | {figures[way]['moves']} |")
    return "\n".join(lines)


def page(text: str, figures: dict[str, Any]) -> str:
    """The page with the table between its marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table(figures)}\n\n{END}{tail}"


def made(figures: dict[str, Any]) -> dict[Path, str]:
    """What this script writes."""
    drawn = {path: draw(figures[way]["edges"], f"The way of {NAMES[way]}") for way, path in DRAWINGS.items()}
    return drawn | {PAGE: page(PAGE.read_text(encoding="utf-8"), figures)}


if __name__ == "__main__":
    for target, content in made(json.loads(FIGURES.read_text(encoding="utf-8"))).items():
        target.write_text(content, encoding="utf-8")
