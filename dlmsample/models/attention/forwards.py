"""Forwards of the active block: with an exact block cache, or over the whole canvas. One reader serves one batch.

Rows are right-padded and stand at their own offsets, so nothing depends on how long the neighbours are. Both
readers give the same numbers for block-causal models; only the cached one is fast, only the whole-canvas one is
right for bidirectional models. What a reader remembers stays where it is in memory: a captured forward finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from dlmsample.models.attention import masks
from dlmsample.models.attention.cache import BlockCache
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.interface import cache_argument


class Features(NamedTuple):
    """What one forward says of the active block."""

    logits: Tensor  #: ``[row, pos, vocab]``
    error: Tensor | None  #: float ``[row, pos]`` error logit, when a head was asked for


class Layout(NamedTuple):
    """Where the rows of a batch keep what."""

    first: Tensor  #: int64 ``[row]``, first position of the first active block
    length: Tensor  #: int64 ``[row]``, positions of the row's canvas
    width: int  #: positions of a block
    one_prompt_block: bool  #: what precedes ``first`` is one block (else: blocks of ``width``)

    def blocks(self, positions: Tensor) -> Tensor:
        """Block index of each position ``[row, pos]``, rising from left to right."""
        index = (positions - self.first[:, None]).div(self.width, rounding_mode="floor")
        return index.clamp(min=-1) if self.one_prompt_block else index

    def window(self, start: Tensor) -> Tensor:
        """int64 ``[row, width]``: the canvas positions of each row's active block."""
        return start[:, None] + torch.arange(self.width, device=start.device)

    def holds(self, positions: Tensor) -> Tensor:
        """bool: the positions ``[row, pos]`` that are part of the row's canvas."""
        return positions < self.length[:, None]

    def keep(self, rows: Tensor) -> Layout:
        """The layout of these rows (int64 indices)."""
        return self._replace(first=self.first[rows], length=self.length[rows])


class Place(NamedTuple):
    """What the host knows of a row that is still decoded."""

    start: int  #: first position of the active block
    age: int  #: forwards that the row has had in this block
    length: int  #: positions of the row's canvas


class Reader(Protocol):
    """Forwards of the active blocks of a batch."""

    cached: bool  #: a finished block must be written before the row moves on
    ragged: bool  #: forwards are the same however far their rows read: of ``places`` nothing is looked at

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, places: Sequence[Place]) -> Features:
        """One forward over the blocks at ``start [row]``; ``places`` says the same to the host, and more."""
        ...

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """New rows, in the places of others (int64 indices), of which nothing is left.

        ``canvas`` and ``layout`` are those of the new rows alone; ``prefill`` is their largest ``first``.
        """
        ...

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these (int64 indices), which move up to the front."""
        ...


class CachedReader:
    """Exact block cache for block-causal models: the prompt's blocks once, then only the active block."""

    cached = True
    ragged = False

    def __init__(self, model: Denoiser, rows: int, capacity: int, score: bool) -> None:
        self._model, self._score = model, score
        self._cache = BlockCache(rows, capacity)
        self._border = _Border(rows) if model.facts.logit_shift else None

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        self._forget(slots)
        tail = None
        if prefill:
            positions = torch.arange(prefill, device=canvas.device).expand(len(canvas), -1)
            mask = masks.block_causal(layout.blocks(positions), positions < layout.first[:, None])
            out = self._prefill(slots, canvas[:, :prefill], positions, mask)
            tail = taken(out.last_hidden_state, (layout.first[:, None] - 1).clamp(min=0))[:, 0]
        if self._border is not None:
            self._border.admit(slots, tail)

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, places: Sequence[Place]) -> Features:
        positions, end = layout.window(start), torch.minimum(start + layout.width, layout.length)
        out = self._decode(canvas.gather(1, positions), positions, end, _extent(layout, places))
        error = _error(self._model, out, positions, layout.holds(positions)) if self._score else None
        hidden = out.last_hidden_state
        if self._border is not None:
            hidden = self._border.shift(hidden, start.to(hidden.device))
        return Features(logits_of(self._model, hidden, canvas), error)

    def keep(self, rows: Tensor) -> None:
        self._cache.keep(rows)
        if self._border is not None:
            self._border.keep(rows)

    def _forget(self, slots: Tensor) -> None:
        self._cache.clear(slots)

    def _prefill(self, slots: Tensor, ids: Tensor, positions: Tensor, mask: Tensor) -> Any:
        """A forward over what precedes the first blocks, written to the cache."""
        part = BlockCache(*ids.shape)
        part.aim(positions, ids.shape[1])
        out = forward(self._model, ids, positions, mask, part)
        self._cache.put(slots, part)
        return out

    def _decode(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        """A forward over active blocks; row ``r`` sees what stands before ``end[r]``, all rows less than ``extent``."""
        mask = (torch.arange(extent, device=ids.device) < end[:, None])[:, None, None]
        self._cache.aim(positions, extent)
        return forward(self._model, ids, positions, mask.expand(-1, -1, ids.shape[1], -1), self._cache, self._score)


class _Border:
    """Where logits are shifted, a block's first position is predicted from the last of what precedes it.

    That position's hidden state is the one of the last forward over its block: the one that the cache holds too.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._tail: Tensor | None = None  #: ``[row, width]``, of the last position of the latest forward
        self._before: Tensor | None = None  #: ``[row, width]``, of the position before the active block
        self._start: Tensor | None = None  #: int64 ``[row]``, where ``_before`` belongs; -1: nowhere yet

    def admit(self, slots: Tensor, tail: Tensor | None) -> None:
        """New rows; ``tail [row, width]`` belongs to the last position of what precedes their first block."""
        if self._start is not None:
            self._start[slots.to(self._start.device)] = -1
        if tail is not None:
            self._open(tail)[0][slots.to(tail.device)] = tail

    def shift(self, hidden: Tensor, start: Tensor) -> Tensor:
        """``hidden [row, pos, width]`` of the blocks at ``start``, moved by one; a canvas's first keeps its own."""
        tail, before, at = (kept[: len(hidden)] for kept in self._open(hidden[:, 0]))
        before.copy_(torch.where((start != at)[:, None], tail, before))
        at.copy_(start)
        tail.copy_(hidden[:, -1])
        first = torch.where((start == 0)[:, None], hidden[:, 0], before)
        return torch.cat([first[:, None], hidden[:, :-1]], 1)

    def keep(self, rows: Tensor) -> None:
        """Move these rows (int64 indices) up to the front."""
        for kept in (self._tail, self._before, self._start):
            if kept is not None:
                kept[: len(rows)] = kept[rows.to(kept.device)]

    def _open(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self._tail is None or self._before is None or self._start is None:
            self._tail = like.new_zeros(self._rows, like.shape[-1])
            self._before = torch.zeros_like(self._tail)
            self._start = torch.full((self._rows,), -1, device=like.device)
        return self._tail, self._before, self._start


class WholeReader:
    """No cache: every forward sees the whole canvas; the LM head runs on the active block only."""

    cached = False
    ragged = False

    def __init__(self, model: Denoiser, score: bool) -> None:
        self._model, self._score = model, score

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, places: Sequence[Place]) -> Features:
        model, end = self._model, max(place.length for place in places)
        causal = model.attention == "block_causal"
        if causal:
            end = min(_extent(layout, places), end)
        positions = torch.arange(end, device=canvas.device).expand(len(canvas), -1)
        valid = layout.holds(positions)
        mask = masks.block_causal(layout.blocks(positions), valid) if causal else masks.bidirectional(valid)
        out = forward(model, canvas[:, :end], positions, mask, None, self._score)

        active = layout.window(start).clamp(max=end - 1)  # what a short last block lacks is never read
        error = None
        if self._score and causal:  # the head attends within the active block only
            error = _error(model, out, active, layout.holds(layout.window(start)), at=active)
        elif self._score:
            error = _error(model, out, positions, valid).gather(1, active)
        if model.facts.logit_shift:
            active = (active - 1).clamp(min=0)  # nothing precedes position 0: it keeps its own
        return Features(logits_of(model, taken(out.last_hidden_state, active), canvas), error)

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Nothing is remembered between forwards."""

    def keep(self, rows: Tensor) -> None:
        """Nothing is remembered between forwards."""


def forward(
    model: Denoiser,
    ids: Tensor,
    positions: Tensor,
    mask: Tensor,
    cache: Cache | None,
    hidden: bool = False,
    **more: Any,
) -> Any:
    """The body's output; ``more`` goes to its attention function."""
    body = model.body
    if cache is not None:
        more[cache_argument(type(body))] = cache
    return body(
        input_ids=ids,
        position_ids=positions,
        attention_mask=mask,
        use_cache=cache is not None,
        output_hidden_states=hidden,
        **more,
    )


def _extent(layout: Layout, places: Sequence[Place]) -> int:
    """How far the active blocks reach."""
    return max(place.start for place in places) + layout.width


def _error(model: Denoiser, out: Any, positions: Tensor, valid: Tensor, at: Tensor | None = None) -> Tensor:
    """The head's error logits, from the hidden states it reads (only those ``at`` these positions)."""
    assert model.head is not None
    hidden = out.hidden_states[model.head.layer]
    return model.head(hidden if at is None else taken(hidden, at), positions, valid)


def logits_of(model: Denoiser, hidden: Tensor, canvas: Tensor) -> Tensor:
    """The LM head's output, where the canvas is: a large module's last layers may be on another device."""
    return model.lm_head(hidden).to(canvas.device)


def taken(hidden: Tensor, index: Tensor) -> Tensor:
    return hidden.gather(1, index.to(hidden.device)[..., None].expand(-1, -1, hidden.shape[-1]))
