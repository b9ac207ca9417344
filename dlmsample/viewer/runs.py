"""A decoding as the viewer's script reads it: plain data, texts in place of ids."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from dlmsample.types import Event, RowStats

DecodeIds = Callable[[list[int]], str]


@dataclass(frozen=True)
class TracedRun:
    """What one policy made of a prompt."""

    label: str  #: of the policy, for people
    text: str
    stats: RowStats
    events: Sequence[Event]
    length: int  #: answer positions, or masks


@dataclass(frozen=True)
class TracedAnswer:
    """One prompt or template, and the runs on it, one or two."""

    prompt: str
    runs: Sequence[TracedRun]
    given: Sequence[int | None] | None = None  #: of a template: its ids, None at the masks
    gold: str | None = None  #: the right answer, where it is known


def change_data(event: Event, decode: DecodeIds, eos_ids: Collection[int]) -> dict[str, Any]:
    """One change, as the script reads it; figures in short.

    Example:
        >>> change_data(Event("fill", 0, 0, 3, 2, 7, 0.98765432), lambda ids: f"<{ids[0]}>", [1])
        {'kind': 'fill', 'position': 3, 'text': '<7>', 'probability': 0.987654}
    """
    told: dict[str, Any] = {"kind": event.kind, "position": event.position}
    if event.kind != "remask":
        told["text"] = decode([event.new])
    told["probability"] = round(event.probability, 6)
    if event.kind != "remask" and event.new in eos_ids:
        told["eos"] = True
    if event.reason is not None:
        told |= {"reason": event.reason, "score": round(event.score or 0.0, 6)}
    if event.entropy is not None:
        told["entropy"] = round(event.entropy, 4)
    if event.others:
        told["others"] = [[decode([token]), round(probability, 4)] for token, probability in event.others]
    return told


def run_data(
    run: TracedRun, decode: DecodeIds, eos_ids: Collection[int], given: Sequence[int | None] | None
) -> dict[str, Any]:
    """A whole run, as the script reads it."""
    frames = [
        {"step": step, "block": changes[0].block, "changes": [change_data(e, decode, eos_ids) for e in changes]}
        for step, group in groupby(run.events, key=lambda event: event.step)
        for changes in [list(group)]
    ]
    around = None if given is None else _around(given, decode)
    return {"label": run.label, "length": run.length, "around": around, "frames": frames}


def _around(given: Sequence[int | None], decode: DecodeIds) -> list[str | None]:
    """Given text in one piece wherever it stands together, None for each mask."""
    pieces: list[str | None] = []
    for masked, run in groupby(given, key=lambda token: token is None):
        ids = list(run)
        pieces += [None] * len(ids) if masked else [decode([i for i in ids if i is not None])]
    return pieces


def figures(stats: RowStats) -> dict[str, Any]:
    """Statistics by names for people."""
    return {name.replace("_", " "): value for name, value in asdict(stats).items()}
