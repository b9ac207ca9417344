"""``--trace``: one page that shows how each answer was decoded, step by step, from the recorded events alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dlmsample
from dlmsample.cli.answers.steps import CanvasCell, CanvasFrame, amid, frames, on_one_line
from dlmsample.models.text.messages import text_of
from dlmsample.support.html import render
from dlmsample.support.text import printable
from dlmsample.types import Event, Output, RowStats

if TYPE_CHECKING:
    from dlmsample.decoding.sampler import Sampler
    from dlmsample.policies.base import Policy

#: Answers on a page, and how many of them are open at first.
MOST, _OPEN = 100, 3
_ROWS = 120  #: an answer of more steps shows its first block and folds the others
_CONTEXT, _KEPT = 60, 400  #: characters of what stands before and after a block, and of unchanged text inside
_MASKS = 8  #: a longer run of masks is drawn as its number
_TOLD = 6  #: changes of a position that its last row tells, the latest
_TAGS = {"fill": "ins", "replace": "mark", "remask": "del"}

DecodeIds = Callable[[list[int]], str]


@dataclass(frozen=True)
class TracedAnswer:
    """One prompt or template and what became of it."""

    prompt: str
    text: str
    stats: RowStats
    events: Sequence[Event]
    length: int  #: answer positions, or masks
    given: Sequence[int | None] | None = None  #: of a template: its ids, None at the masks


class PagePiece(NamedTuple):
    """A stretch of a row: plain where it has no tag."""

    text: str
    tag: str = ""
    title: str = ""
    kind: str = ""


def rows_of(
    asked: Sequence[Any], out: Output, given: Sequence[Sequence[int | None] | None], length: int | None
) -> list[TracedAnswer]:
    """The answers of a call that recorded its events.

    Args:
        asked: prompts, chats or templates.
        out: what came of them.
        given: of each template its ids, None at the masks; of a prompt None.
        length: answer positions of prompts; None: templates, whose masks are counted.
    """
    rows = []
    for prompt, text, stats, events, ids in zip(asked, out.texts, out.stats, out.trace or (), given, strict=True):
        places = length if ids is None else ids.count(None)
        said = prompt if isinstance(prompt, str) else "\n".join(f"{m['role']}: {text_of(m)}" for m in prompt)
        rows.append(TracedAnswer(said, text, stats, events, places or 0, ids))
    return rows


def run_settings(
    sampler: Sampler, seed: int, length: int | None, stop: Sequence[str], block_length: object, cache: str
) -> dict[str, str]:
    """What else decided the answers, in words, for the head of the page."""
    told = {
        "model": f"{sampler.model!r}",
        "block length": str(block_length),
        "new tokens": None if length is None else str(length),
        "sampling": f"temperature {sampler.temperature:g}, top-p {sampler.top_p:g}, top-k {sampler.top_k or 'all'}",
        "seed": str(seed),
        "cache": cache,
        "stop": ", ".join(map(repr, stop)) or None,
        "dlmsample": dlmsample.__version__,
    }
    return {name: value for name, value in told.items() if value is not None}


def page(rows: Sequence[TracedAnswer], decode: DecodeIds, policy: Policy, settings: Mapping[str, str]) -> str:
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


def _answer(row: TracedAnswer, decode: DecodeIds, number: int) -> dict[str, Any]:
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


def _line(frame: CanvasFrame, given: Sequence[int | None] | None, span: slice, drawing: _Drawing) -> dict[str, Any]:
    """One step: what stands around its block, shortened, and the block's cells."""
    cells: list[tuple[CanvasCell, Event | None]] = [(cell, frame.events.get(at)) for at, cell in enumerate(frame.cells)]
    if given is not None:
        cells = amid(cells, [None if token is None else (CanvasCell("kept", token), None) for token in given])
    kinds = [event.kind for event in frame.events.values()]
    return {
        "step": frame.step + 1,
        "counts": [kinds.count(kind) or "" for kind in _TAGS],
        "before": list(drawing.stretch(cells[: span.start], _CONTEXT, head=False)),
        "inside": list(drawing.stretch(cells[span], _KEPT)),
        "after": list(drawing.stretch(cells[span.stop :], _CONTEXT, tail=False)),
    }


def _final(row: TracedAnswer, edges: set[int], drawing: _Drawing) -> list[tuple[bool, PagePiece]]:
    """The canvas as it ended: every token with its history; the flag: a block begins here."""
    told: dict[int, list[Event]] = {}
    for event in row.events:
        told.setdefault(event.position, []).append(event)
    story = [(_standing(told.get(at)), told.get(at)) for at in range(row.length)]
    if row.given is not None:
        story = amid(story, [None if token is None else (CanvasCell("kept", token), None) for token in row.given])
    done: list[tuple[bool, PagePiece]] = []
    for masked, run in groupby(enumerate(story), key=lambda pair: pair[1][0].token is None):
        group = list(run)
        if masked:
            done.append((False, _masks(len(group))))
            continue
        done += [(at in edges, drawing.told(cell, events)) for at, (cell, events) in group]
    return done


def _standing(events: Sequence[Event] | None) -> CanvasCell:
    """What is left of the changes of a position."""
    return CanvasCell("kept", events[-1].new) if events and events[-1].kind != "remask" else CanvasCell("mask", None)


class _Drawing:
    """How cells become pieces."""

    def __init__(self, decode: DecodeIds, unit: str) -> None:
        self._decode, self.unit = decode, unit

    def stretch(
        self, cells: Sequence[tuple[CanvasCell, Event | None]], limit: int, head: bool = True, tail: bool = True
    ) -> Iterator[PagePiece]:
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
                yield PagePiece(_shortened(text, limit, head, tail))

    def told(self, cell: CanvasCell, events: Sequence[Event] | None) -> PagePiece:
        """A token that stayed, with all that happened to its position."""
        text = self._text([] if cell.token is None else [cell.token])
        if not events:
            return PagePiece(text)
        parts = [f"step {e.step + 1} {self._said(e)} {e.probability:.3f}" for e in events[-_TOLD:]]
        more = "" if len(events) <= _TOLD else f"{len(events) - _TOLD} changes, then "
        title = f"{self.unit} {events[0].position + 1}: {more}{'; '.join(parts)}"
        return PagePiece(text, "span", title, "edited" if len(events) > 1 else "")

    def _change(self, event: Event) -> PagePiece:
        remask = event.kind == "remask"
        title = f"{self.unit} {event.position + 1}: {self._said(event, whole=True)}"
        title += f", {'its ' if remask else ''}probability {event.probability:.3f}"
        if event.score is not None:
            title += f", because of {event.reason} {event.score:.3f}"
        return PagePiece(self._text([event.old if remask else event.new]), _TAGS[event.kind], title)

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


def _masks(count: int) -> PagePiece:
    return PagePiece("░" * count if count <= _MASKS else f"░×{count}", "i", f"{count} masked")


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
