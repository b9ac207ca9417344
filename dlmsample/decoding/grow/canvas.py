"""Rows whose answers grow: how they begin, and what one forward makes of them; tensors only, no host sync."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from dlmsample.decoding.grow.daedal import Daedal
from dlmsample.decoding.step import FINISHED, MOVED, STAYS, Change, Rows, Settings, advance
from dlmsample.models.attention.base import Features, Layout
from dlmsample.predict import predict


class Growth(NamedTuple):
    """What a row remembers of its growth; ``[row]``."""

    asking: Tensor  #: bool, the model is still asked how long the answer is to be at first
    answer: Tensor  #: int64, canvas position of the answer's first
    most: Tensor  #: int64, positions that the answer can have
    since: Tensor  #: int64, updates of the active block up to its latest insertion: its bound counts from there


class Whereabouts:
    """What the host learns of a forward; read in one go."""

    def __init__(self, outcome: Tensor, start: Tensor, length: Tensor) -> None:
        self._tensor = torch.stack([outcome.long(), start, length], -1)

    @cached_property
    def _read(self) -> list[list[int]]:
        return self._tensor.tolist()

    def flags(self) -> list[int]:
        """STAYS, MOVED or FINISHED by slot."""
        return [row[0] for row in self._read]

    def places(self) -> list[tuple[int, int]]:
        """By slot, where the active block starts now, and how long the canvas is."""
        return [(row[1], row[2]) for row in self._read]


class _Insertion(NamedTuple):
    """Positions to put into the answers, and how long these are then; ``[row]``."""

    at: Tensor  #: int64, canvas position of the first new one
    more: Tensor  #: int64, how many; 0: none
    token: Tensor  #: int64, what they hold
    length: Tensor  #: int64, positions of the answer from now on; what is too much falls off its end


def eos_chance(settings: Settings) -> Callable[[Tensor], Tensor]:
    """Makes of logits ``[row, pos, vocab]`` the probability of the candidate where it is an EOS, else 0."""

    def chance(logits: Tensor) -> Tensor:
        logits = logits[..., : settings.vocabulary]
        nothing = torch.zeros(logits.shape[:2], dtype=torch.long, device=logits.device)
        pred = predict(logits, nothing, settings.mask_id, never=settings.tokenless)
        return pred.prob * (pred.token[..., None] == settings.eos_ids).any(-1)

    return chance


def begun(rows: Rows, layout: Layout, option: Daedal, mask_id: int) -> tuple[Rows, Layout]:
    """Rows that were opened with the largest answers, with short ones."""
    most = rows.before[:, -1]
    answer = torch.searchsorted(rows.before, torch.ones_like(most)[:, None])[:, 0] - 1
    length = most.clamp(max=option.initial_length)
    nothing = torch.zeros_like(most)
    growth = Growth(length < most, answer, most, nothing)
    none = _Insertion(answer + length, nothing, nothing, length)
    return _resized(rows._replace(growth=growth), layout, none, mask_id)


def advance_growing(
    seen: Rows, layout: Layout, features: Features, settings: Settings, option: Daedal
) -> tuple[Rows, Layout, Tensor, Change]:
    """:func:`~dlmsample.decoding.step.advance`, and then what grows, see :class:`Daedal`.

    1. Rows that ask for their length change nothing else: they get more masks, or an EOS behind them, and begin.
    2. The others are advanced. Of the masks left in the block the least sure one may become several; the steps that the
       policy may take in the block then count anew, so that no mask is filled before its time.
    3. A row that moves on goes to the next block with a mask. It is finished where there is none, or where it passes an
       EOS.
    """
    growth: Growth = seen.growth
    asking = growth.asking & ~seen.finished
    # a row that asks stands still, like one that only writes its cache
    rows, outcome, change = advance(seen._replace(writing=asking), layout, features, settings)
    size = seen.before[:, -1]
    sure = _eos_confidence(features, layout, growth.answer, size, option.eos_window)

    longer = asking & (sure < option.eos_confidence)
    low = change.block.masked & (change.after == settings.mask_id) & (change.pred.prob < option.low_confidence)
    inserts = low.any(-1) & ~asking & (sure < option.expand_eos_confidence) & (size < growth.most)
    worst = torch.where(low, change.pred.prob, 2.0).argmin(-1)
    some, behind = torch.full_like(size, option.factor), torch.full_like(size, option.eos_window // 2)
    count = torch.where(asking, torch.where(longer, some, behind), inserts * (some - 1))
    at = torch.where(asking, growth.answer + size, seen.start + worst + 1)
    token = torch.where(asking & ~longer, settings.eos_ids[0], settings.mask_id)
    length = torch.minimum(size + count, growth.most)

    moved = (outcome == MOVED) & ~asking
    rows = rows._replace(
        start=torch.where(asking, seen.start, rows.start),
        entering=torch.where(asking, seen.entering, rows.entering),
        growth=growth._replace(
            asking=longer & (length < growth.most),
            since=torch.where(inserts, rows.step, torch.where(moved, 0, growth.since)),
        ),
    )
    rows, layout = _resized(rows, layout, _Insertion(at, count, token, length), settings.mask_id)
    rows = _moved_on(rows, layout, settings, moved)
    outcome = torch.where(asking, STAYS, torch.where(rows.finished, FINISHED, outcome)).to(torch.int8)
    return rows, layout, outcome, change


def _eos_confidence(features: Features, layout: Layout, answer: Tensor, size: Tensor, window: int) -> Tensor:
    """float64 ``[row]``: exact sums, so that nothing depends on how many positions the batch has."""
    assert features.answer is not None
    chance = features.answer
    place = layout.first[:, None] + torch.arange(chance.shape[1], device=chance.device) - answer[:, None]
    eos = (chance > 0) & (place >= 0) & (place < size[:, None])
    from_end = eos.flip(-1).cumsum(-1).flip(-1)
    return (chance.double() * (eos & (from_end <= window))).sum(-1) / window


def _resized(rows: Rows, layout: Layout, new: _Insertion, mask_id: int) -> tuple[Rows, Layout]:
    """Rows with new positions in their answers; what follows an answer goes on following it."""
    old, growth = rows.before[:, -1], rows.growth
    places = torch.arange(rows.canvas.shape[1], device=rows.canvas.device)
    length = layout.length + new.length - old
    at, end = new.at[:, None], (growth.answer + new.length)[:, None]
    new_end = at + new.more[:, None]
    inside = torch.where(places >= new_end, places - new.more[:, None], places)
    source = torch.where(places >= end, places - (new.length - old)[:, None], inside)
    canvas = rows.canvas.gather(1, source.clamp(0, rows.canvas.shape[1] - 1))
    fresh = (places >= at) & (places < new_end) & (places < end)
    canvas = torch.where(fresh, new.token[:, None], canvas)
    canvas = torch.where(places < length[:, None], canvas, mask_id)  # spare, as where rows are opened
    before = torch.minimum((places - growth.answer[:, None]).clamp(min=0), new.length[:, None])
    return rows._replace(canvas=canvas, before=before), layout._replace(length=length)


def _moved_on(rows: Rows, layout: Layout, settings: Settings, moved: Tensor) -> Rows:
    """The rows where those that move on stand at their next block with a mask, or are finished."""
    places = torch.arange(rows.canvas.shape[1], device=rows.canvas.device)
    editable = torch.zeros_like(rows.canvas, dtype=torch.bool)
    editable[:, :-1] = rows.before[:, 1:] > rows.before[:, :-1]
    masked = editable & (rows.canvas == settings.mask_id)
    full = ~masked.any(-1)
    first = masked.long().argmax(-1)
    block = layout.first + (first - layout.first).div(layout.width, rounding_mode="floor") * layout.width
    passed = editable & ((places < block[:, None]) | full[:, None])
    ended = moved & (passed & (rows.canvas[..., None] == settings.eos_ids).any(-1)).any(-1)
    finished = ended | (moved & full)
    return rows._replace(
        start=torch.where(moved & ~finished, block, rows.start),
        finished=rows.finished | finished,
        counts=rows.counts._replace(eos=rows.counts.eos | ended),
    )
