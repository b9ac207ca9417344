"""``--trace``: one page that shows how each answer was decoded, step by step, from the recorded events alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlmsample.cli.steps import Cell, Frame, amid, frames, on_one_line
from dlmsample.support.html import render
from dlmsample.support.text import printable
from dlmsample.types import Event, RowStats

if TYPE_CHECKING:
    from dlmsample.policies.base import Policy

#: Answers on a page, and how many of them are open at first.
MOST, _OPEN = 100, 3
_ROWS = 120  #: an answer of more steps shows its first block and folds the others
_CONTEXT, _KEPT = 60, 400  #: characters of what stands before and after a block, and of unchanged text inside
_MASKS = 8  #: a longer run of masks is drawn as its number
_TOLD = 6  #: changes of a position that its last row tells, the latest
_TAGS = {"fill": "ins", "replace": "mark", "remask": "del"}

Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Decoded:
    """One prompt or template and what became of it."""

    prompt: str
    text: str
    stats: RowStats
    events: Sequence[Event]
    length: int  #: answer positions, or masks
    given: Sequence[int | None] | None = None  #: of a template: its ids, None at the masks


class Piece(NamedTuple):
    """A stretch of a row: plain where it has no tag."""

    text: str
    tag: str = ""
    title: str = ""
    kind: str = ""


def page(rows: Sequence[Decoded], decode: Decode, policy: Policy, settings: Mapping[str, str]) -> str:
    """The page; texts of prompts, tokens and settings are untrusted: escaped, and what does not show is spelt out.

    Args:
        rows: in the prompts' order; those past ``MOST`` are counted only.
        decode: ids to text, special tokens kept.
        policy: for its name, rule, paper and options.
        settings: what else decided the answers, for people.
    """
    shown = [_answer(row, decode, number) for number, row in enumerate(rows[:MOST], 1)]
    return render(
        Path(__file__).parent,
        "trace",
        answers=shown,
        left_out=len(rows) - len(shown),
        open=len(shown) if len(shown) <= _OPEN else 1,
        policy={"name": policy.name, "rule": policy.summary, "paper": policy.paper},
        options={name: _value(value) for name, value in policy.model_dump().items()},
        settings=settings,
    )


def _answer(row: Decoded, decode: Decode, number: int) -> dict[str, Any]:
    places = [i for i, token in enumerate(row.given) if token is None] if row.given else list(range(row.length))
    drawing = _Drawing(decode, "position" if row.given is None else "mask")
    first: dict[int, int] = {}  # block -> its first answer position
    for event in row.events:
        first[event.block] = min(first.get(event.block, event.position), event.position)
    last = max((event.position for event in row.events), default=-1)
    starts = [*sorted(first.values()), last + 1]
    blocks: list[dict[str, Any]] = []
    for at, (block, group) in enumerate(groupby(frames(row.events, row.length), key=lambda frame: frame.block)):
        inside = range(starts[at], starts[at + 1])
        span = slice(places[inside[0]], places[inside[-1]] + 1)
        lines = [_line(frame, row.given, span, drawing) for frame in group]
        ends = (lines[0]["step"], lines[-1]["step"])
        head = f"{_range(drawing.unit, inside[0] + 1, inside[-1] + 1)}, {_range('step', *ends)}"
        blocks.append({"head": f"Block {block + 1}: {head}", "lines": lines})
    return {
        "number": number,
        "prompt": row.prompt,
        "text": row.text,
        "figures": {name.replace("_", " "): _value(value) for name, value in row.stats.asdict().items()},
        "blocks": blocks,
        "steps": (steps := sum(len(block["lines"]) for block in blocks)),
        "whole": steps <= _ROWS,
        "final": _final(row, {places[at] for at in starts[:-1]}, drawing),
    }


def _line(frame: Frame, given: Sequence[int | None] | None, span: slice, drawing: _Drawing) -> dict[str, Any]:
    """One step: what stands around its block, shortened, and the block's cells."""
    cells: list[tuple[Cell, Event | None]] = [(cell, frame.events.get(at)) for at, cell in enumerate(frame.cells)]
    if given is not None:
        cells = amid(cells, [None if token is None else (Cell("kept", token), None) for token in given])
    kinds = [event.kind for event in frame.events.values()]
    return {
        "step": frame.step + 1,
        "counts": [kinds.count(kind) or "" for kind in _TAGS],
        "before": list(drawing.stretch(cells[: span.start], _CONTEXT, head=False)),
        "inside": list(drawing.stretch(cells[span], _KEPT)),
        "after": list(drawing.stretch(cells[span.stop :], _CONTEXT, tail=False)),
    }


def _final(row: Decoded, edges: set[int], drawing: _Drawing) -> list[tuple[bool, Piece]]:
    """The canvas as it ended: every token with its history; the flag: a block begins here."""
    told: dict[int, list[Event]] = {}
    for event in row.events:
        told.setdefault(event.position, []).append(event)
    story = [(_standing(told.get(at)), told.get(at)) for at in range(row.length)]
    if row.given is not None:
        story = amid(story, [None if token is None else (Cell("kept", token), None) for token in row.given])
    done: list[tuple[bool, Piece]] = []
    for masked, run in groupby(enumerate(story), key=lambda pair: pair[1][0].token is None):
        group = list(run)
        if masked:
            done.append((False, _masks(len(group))))
            continue
        done += [(at in edges, drawing.told(cell, events)) for at, (cell, events) in group]
    return done


def _standing(events: Sequence[Event] | None) -> Cell:
    """What is left of the changes of a position."""
    return Cell("kept", events[-1].new) if events and events[-1].kind != "remask" else Cell("mask", None)


class _Drawing:
    """How cells become pieces."""

    def __init__(self, decode: Decode, unit: str) -> None:
        self._decode, self.unit = decode, unit

    def stretch(
        self, cells: Sequence[tuple[Cell, Event | None]], limit: int, head: bool = True, tail: bool = True
    ) -> Iterator[Piece]:
        """Cells as pieces: changes one by one, unchanged tokens together and shortened to ``limit`` characters.

        Args:
            cells: of one stretch of the canvas.
            limit: of unchanged text.
            head: whether its beginning is kept where it is shortened.
            tail: whether its end is.
        """
        for kind, run in groupby(cells, key=lambda pair: pair[0].kind if pair[1] is None else pair[1]):
            group = list(run)
            if isinstance(kind, Event):
                yield self._change(kind)
            elif kind == "mask":
                yield _masks(len(group))
            else:
                text = self._text([cell.token for cell, _ in group if cell.token is not None])
                yield Piece(_shortened(text, limit, head, tail))

    def told(self, cell: Cell, events: Sequence[Event] | None) -> Piece:
        """A token that stayed, with all that happened to its position."""
        text = self._text([] if cell.token is None else [cell.token])
        if not events:
            return Piece(text)
        parts = [f"step {e.step + 1} {self._said(e)} {e.probability:.3f}" for e in events[-_TOLD:]]
        more = "" if len(events) <= _TOLD else f"{len(events) - _TOLD} changes, then "
        title = f"{self.unit} {events[0].position + 1}: {more}{'; '.join(parts)}"
        return Piece(text, "span", title, "edited" if len(events) > 1 else "")

    def _change(self, event: Event) -> Piece:
        remask = event.kind == "remask"
        title = f"{self.unit} {event.position + 1}: {self._said(event, whole=True)}"
        title += f", {'its ' if remask else ''}probability {event.probability:.3f}"
        return Piece(self._text([event.old if remask else event.new]), _TAGS[event.kind], title)

    def _said(self, event: Event, whole: bool = False) -> str:
        if event.kind == "remask":
            return f"{self._quoted(event.old)} remasked" if whole else "remasked"
        if event.kind == "replace":
            return f"{self._quoted(event.old) + ' ' if whole else ''}replaced by {self._quoted(event.new)}"
        return f"filled with {self._quoted(event.new)}"

    def _quoted(self, token: int) -> str:
        return f"“{self._text([token])}”"

    def _text(self, ids: list[int]) -> str:
        return on_one_line(printable(self._decode(ids)))


def _masks(count: int) -> Piece:
    return Piece("░" * count if count <= _MASKS else f"░×{count}", "i", f"{count} masked")


def _shortened(text: str, limit: int, head: bool, tail: bool) -> str:
    """At most about ``limit`` characters, with how many are left out."""
    if len(text) <= limit:
        return text
    kept = limit // 2 if head and tail else limit
    left = len(text) - (2 * kept if head and tail else kept)
    return f"{text[:kept] if head else ''}…({left} characters)…{text[-kept:] if tail else ''}"


def _range(unit: str, first: int, last: int) -> str:
    return f"{unit} {first}" if first == last else f"{unit}s {first} to {last}"


def _value(value: Any) -> str:
    """As it would be written after ``--set``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
