"""The exact reader of block-causal models: the prompt's blocks once, then only the active block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import repeat
from torch import Tensor

from dlmsample.models.attention import masks
from dlmsample.models.attention.base import Features, Layout, RowPosition, reach, select
from dlmsample.models.attention.cache import BlockCache, Body
from dlmsample.models.denoiser import Denoiser


class CachedReader:
    """Forwards active blocks alone; earlier blocks are keys and values in a :class:`BlockCache`.

    Block-causal attention makes this exact: the same numbers as a forward over the whole canvas.

    Args:
        model: a block-causal decoder.
        rows: of the batch.
        capacity: positions of a row, one block's width of spare ones included.
        score: also run the correction head, on the active block.
        shadow: positions of a block, to also give the logits of its shadows; 0: none. See
            :mod:`~dlmsample.models.attention.shadow`.
    """

    cached = True
    ragged = False

    def __init__(self, model: Denoiser, rows: int, capacity: int, score: bool, shadow: int = 0) -> None:
        self._body, self._score, self._shadow, self._mask_id = Body(model), score, shadow, model.mask_id
        self._cache = BlockCache(rows, capacity + shadow)
        self._border = _Border(rows) if model.facts.logit_shift else None

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Forward what precedes the first blocks of new rows, and keep its keys and values."""
        self._forget(slots)
        tail = None
        if prefill:
            positions = torch.arange(prefill, device=canvas.device).expand(len(canvas), -1)
            mask = masks.block_causal(layout.blocks(positions), positions < layout.first[:, None])
            out = self._prefill(slots, canvas[:, :prefill], positions, mask)
            tail = select(out.last_hidden_state, (layout.first[:, None] - 1).clamp(min=0))[:, 0]
        if self._border is not None:
            self._border.admit(slots, tail)

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the active blocks, which sees the cache before them."""
        positions, end = layout.window(start), torch.minimum(start + layout.width, layout.length)
        ids, extent, width = canvas.gather(1, positions), reach(layout, at), layout.width
        out = (self._decode_beside if self._shadow else self._decode)(ids, positions, end, extent)
        within = torch.arange(width, device=ids.device).expand_as(ids)
        error = self._body.error(out, positions, layout.holds(positions), at=within) if self._score else None
        hidden = out.last_hidden_state[:, :width]
        if self._border is not None:
            hidden = self._border.shift(hidden, start.to(hidden.device))
        shadow = self._body.logits(out.last_hidden_state[:, width:], canvas) if self._shadow else None
        return Features(self._body.logits(hidden, canvas), error, shadow)

    def keep(self, rows: Tensor) -> None:
        """Drop the other rows' keys and values."""
        self._cache.keep(rows)
        if self._border is not None:
            self._border.keep(rows)

    def _forget(self, slots: Tensor) -> None:
        self._cache.clear(slots)

    def _prefill(self, slots: Tensor, ids: Tensor, positions: Tensor, mask: Tensor) -> Any:
        """A forward over what precedes the first blocks, written to the cache."""
        part = BlockCache(*ids.shape)
        part.aim(positions, ids.shape[1])
        out = self._body(ids, positions, mask, part)
        self._cache.put(slots, part)
        return out

    def _decode(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        """A forward over active blocks; a row sees what stands before its ``end [row]``, and none beyond ``extent``."""
        seen = torch.arange(extent, device=ids.device) < end[:, None]
        mask = repeat(seen, "row key -> row 1 query key", query=ids.shape[1])
        self._cache.aim(positions, extent)
        return self._body(ids, positions, mask, self._cache, self._score)

    def _decode_beside(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        """The same with a shadow of every position, whose keys lie where the next block will write its own."""
        width = ids.shape[1]
        keys = torch.arange(extent + width, device=ids.device)
        block = repeat(keys < end[:, None], "row key -> row query key", query=width)
        own, beside = keys == positions[..., None], keys == positions[..., None] + width
        mask = torch.cat([block, (block & ~own) | beside], 1)[:, None]
        self._cache.aim(torch.cat([positions, positions + width], 1), extent + width)
        twice = torch.cat([ids, torch.full_like(ids, self._mask_id)], 1), torch.cat([positions, positions], 1)
        return self._body(*twice, mask, self._cache, self._score)


class _Border:
    """Hidden states at the end of the block before the active one, for models whose logits are shifted.

    There the first position of a block is predicted from the position before it. Its hidden state is that of the last
    forward over its block, as are the keys and values in the cache.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._tail: Tensor | None = None  #: ``[row, width]``, of the last position of the latest forward
        self._before: Tensor | None = None  #: ``[row, width]``, of the position before the active block
        self._start: Tensor | None = None  #: int64 ``[row]``, the block that ``_before`` precedes; -1: none yet

    def admit(self, slots: Tensor, tail: Tensor | None) -> None:
        """New rows; ``tail [row, width]`` is of the last position before their first block."""
        if self._start is not None:
            self._start[slots.to(self._start.device)] = -1
        if tail is not None:
            self._open(tail)[0][slots.to(tail.device)] = tail

    def shift(self, hidden: Tensor, start: Tensor) -> Tensor:
        """Move ``hidden [row, pos, width]`` of the blocks at ``start`` right by one; a canvas's first keeps its own."""
        tail, before, at = (kept[: len(hidden)] for kept in self._open(hidden[:, 0]))
        before.copy_(torch.where((start != at)[:, None], tail, before))
        at.copy_(start)
        tail.copy_(hidden[:, -1])
        first = torch.where((start == 0)[:, None], hidden[:, 0], before)
        return torch.cat([first[:, None], hidden[:, :-1]], 1)

    def keep(self, rows: Tensor) -> None:
        """Make these rows (int64 indices) the first ones."""
        for kept in (self._tail, self._before, self._start):
            if kept is not None:
                kept[: len(rows)] = kept[rows.to(kept.device)]

    def _open(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three tensors, allocated for hidden states like these ``[row, width]`` when first asked for."""
        if self._tail is None or self._before is None or self._start is None:
            self._tail = like.new_zeros(self._rows, like.shape[-1])
            self._before = torch.zeros_like(self._tail)
            self._start = torch.full((self._rows,), -1, device=like.device)
        return self._tail, self._before, self._start
