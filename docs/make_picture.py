"""The README's picture: one block of nano's answer, decoded under two policies with as many forwards, side by side.

    python docs/make_picture.py                 # writes docs/assets/two_policies.svg; a minute on a CPU

Everything in it is recorded: both policies decode the same problem, and every colour is an event of ``Output.trace``.
Where nothing moves (a printer, a reader that asked for reduced motion, a converter without CSS) the last step stands,
and the grid below each text shows all steps at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import dlmsample as ds

PROBLEM = 2  # of the validation split
BLOCK = 32  # tokens
PANEL, GAP, MARGIN = 452, 28, 14  # px
CHAR, LINE, TOP = 8.0, 25, 74  # px: a character's width, a line's height, where the text begins
CELL, ROW = PANEL / BLOCK, 11  # px of the grid
SECONDS = 1.1  # a step
HOLD = 4  # steps that the end stands still


class Frame(NamedTuple):
    """The block after a step: the text at each position (None: a mask) and what happened there."""

    texts: list[str | None]
    marks: list[str]


class Run(NamedTuple):
    """One policy's way through the block."""

    title: str
    verdict: str
    frames: list[Frame]


def follow(model: ds.Denoiser, policy: ds.Policy, title: str, problem: ds.tasks.Example) -> Run:
    """Decode the problem and replay the first block's events, step by step."""
    out = ds.Sampler(model, policy, block_length=BLOCK).generate([problem.prompt], max_new_tokens=160, record=True)
    assert out.trace is not None
    events = [event for event in out.trace[0] if event.block == 0]
    texts: list[str | None] = [None] * BLOCK
    frames = [Frame(list(texts), ["mask"] * BLOCK)]
    for step in range(max(event.step for event in events) + 1):
        marks = ["mask" if text is None else "kept" for text in texts]
        for event in (e for e in events if e.step == step):
            texts[event.position] = None if event.kind == "remask" else model.decode([event.new])
            marks[event.position] = event.kind
        frames.append(Frame(list(texts), marks))
    said = out.texts[0].strip().split("####")[-1].strip()
    right = ds.tasks.load("wordproblems", split="valid").score(problem, out.texts[0]).correct
    verdict = f"whole answer: {said}, {'right' if right else f'wrong ({problem.answer} is right)'}"
    return Run(title, verdict, frames)


def layout(run: Run) -> list[tuple[float, float, float]]:
    """x, y and width of each token's box: wide enough for all that ever stands there, so that nothing jumps."""
    places, x, y = [], 0.0, 0.0
    for position in range(BLOCK):
        longest = max(len(shown(frame.texts[position])) for frame in run.frames)
        width = CHAR * longest + 6
        if x + width > PANEL:
            x, y = 0.0, y + LINE
        places.append((x, y, width))
        x += width + 3
    return places


def shown(text: str | None) -> str:
    """A token as it is drawn; a line's end as a sign, a space and a mask as nothing."""
    return "" if text is None else text.strip(" ").replace("\n", "↵")


def panel(run: Run, left: float, steps: int, height: float) -> Iterator[str]:
    """The drawing of one policy: title, text, grid, verdict."""
    places = layout(run)
    yield f'<g transform="translate({left} 0)">'
    yield f'<text class="title" x="0" y="52">{escape(run.title)}</text>'
    for index in range(steps + 1):
        frame = run.frames[min(index, len(run.frames) - 1)]
        ended = index >= len(run.frames)
        last = " last" if index == steps else ""
        yield f'<g class="frame{last} s{index}">'
        for (x, y, width), text, mark in zip(places, frame.texts, frame.marks, strict=True):
            mark = "kept" if ended and text is not None else mark
            yield f'<rect class="{mark}" x="{x:g}" y="{TOP + y:g}" width="{width:g}" height="{LINE - 5}" rx="4"/>'
            if text is not None and (word := shown(text)):
                length = CHAR * len(word)
                yield (
                    f'<text x="{x + (width - length) / 2:g}" y="{TOP + y + 14.5:g}" textLength="{length:g}" '
                    f'lengthAdjust="spacingAndGlyphs">{escape(word)}</text>'
                )
        yield "</g>"
    for index, frame in enumerate(run.frames[1:]):
        y = height + index * ROW
        for position, mark in enumerate(frame.marks):
            x = position * CELL
            yield f'<rect class="{mark}" x="{x:.1f}" y="{y:g}" width="{CELL - 1.5:.1f}" height="{ROW - 1.5}" rx="1.5"/>'
        yield f'<rect class="cursor s{index + 1}" x="-8" y="{y:g}" width="4" height="{ROW - 1.5}" rx="2"/>'
    yield f'<text class="verdict" x="0" y="{height + steps * ROW + 20:g}">{escape(run.verdict)}</text>'
    yield "</g>"


def style(steps: int) -> str:
    """Colours for light and dark, and one animation per step."""
    total = steps + 1 + HOLD
    rules = [
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328}",
        ".title{font:600 15px system-ui,-apple-system,Segoe UI,sans-serif}",
        ".verdict,.small{font:13px system-ui,-apple-system,Segoe UI,sans-serif;fill:#59636e}",
        ".mask{fill:#d1d9e0}.kept{fill:#eef1f4}.fill{fill:#9be0ac}.replace{fill:#f6c760}.remask{fill:#f49a94}",
        ".cursor{fill:#59636e;opacity:0}.frame{opacity:0}.frame.last{opacity:1}",
        "@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.verdict,.small{fill:#9198a1}.mask{fill:#3d444d}"
        ".kept{fill:#1f262e}.fill{fill:#1e6b34}.replace{fill:#845306}.remask{fill:#9c2f2a}.cursor{fill:#9198a1}}",
    ]
    moving = []
    for index in range(steps + 1):
        begin, end = 100 * index / total, 100 * (index + 1) / total if index < steps else 100
        before = f"0%,{begin - 0.01:.2f}%{{opacity:0}}" if index else ""
        after = f"{end + 0.01:.2f}%,100%{{opacity:0}}" if index < steps else ""
        moving.append(f"@keyframes k{index}{{{before}{begin:.2f}%,{end:.2f}%{{opacity:1}}{after}}}")
        moving.append(f".s{index}{{animation:k{index} {total * SECONDS:.1f}s infinite}}")
    return "".join([*rules, "@media (prefers-reduced-motion:no-preference){", *moving, "}"])


def legend(y: float) -> Iterator[str]:
    words = {"mask": "mask", "fill": "filled", "kept": "kept", "replace": "replaced", "remask": "masked again"}
    x = 0.0
    for mark, word in words.items():
        yield f'<rect class="{mark}" x="{x}" y="{y - 11}" width="14" height="14" rx="3"/>'
        yield f'<text class="small" x="{x + 20}" y="{y}">{word}</text>'
        x += 20 + 7.2 * len(word) + 26
    yield f'<text class="small" x="{x}" y="{y}">grids: a line is one forward, a column one position</text>'


def draw(runs: Sequence[Run]) -> str:
    """The whole picture."""
    steps = max(len(run.frames) for run in runs) - 1
    lines = 1 + max(y for run in runs for _, y, _ in layout(run)) / LINE
    grid = TOP + lines * LINE + 10
    bottom = grid + steps * ROW + 56
    width = 2 * MARGIN + 2 * PANEL + GAP
    told = "; ".join(f"{run.title}: {run.verdict}" for run in runs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom:g}" role="img" aria-labelledby="t">',
        f'<title id="t">One block decoded under two policies. {escape(told)}</title>',
        f"<style>{style(steps)}</style>",
        f'<g transform="translate({MARGIN} 0)">',
        *legend(20),
    ]
    for number, run in enumerate(runs):
        parts += panel(run, number * (PANEL + GAP), steps, grid)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "assets" / "two_policies.svg")
    parser.add_argument("--problem", type=int, default=PROBLEM)
    args = parser.parse_args()
    model = ds.load("nano")
    problem = ds.tasks.load("wordproblems", split="valid")[args.problem]
    runs = [
        follow(model, ds.Unmask(tokens_per_step=4), "Unmask: what is filled stays", problem),
        follow(model, ds.D3IM(steps=40), "D3IM: every forward looks again", problem),
    ]
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(draw(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
