"""The exact reader of block-causal models: the prompt's blocks once, then only the active block.

With it stand the parts that one forward goes through: the reader calls the :class:`Body`, whose layers call
:func:`attention` and write their keys and values to the :class:`~dlmsample.models.attention.block_cache.BlockCache`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from einops import repeat
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from dlmsample.models.attention import masks
from dlmsample.models.attention.base import Features, Layout, RowPosition, select
from dlmsample.models.attention.block_cache import BlockCache
from dlmsample.models.attention.border import Border
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.interface import cache_argument


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
        self._body, self._score, self._shadow, self._mask_id = Body(model), score, shadow, model.facts.mask_id
        self._cache = BlockCache(rows, capacity + shadow)
        self._border = Border(rows) if model.facts.logit_shift else None

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Forward what precedes the first blocks of new rows, and keep its keys and values."""
        self._forget(slots)
        tail = None
        if prefill:
            positions = torch.arange(prefill, device=canvas.device).expand(len(canvas), -1)
            mask = masks.block_causal(layout.blocks(positions), positions < layout.first[:, None])
            out = self._prefill(slots, canvas[:, :prefill], positions, mask)
            if self._border is not None:
                tail = select(out.last_hidden_state, (layout.first[:, None] - 1).clamp(min=0))[:, 0]
        if self._border is not None:
            self._border.admit(slots, tail)

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the active blocks, which sees the cache before them."""
        width, extent = layout.width, max(row.start for row in at) + layout.width
        within, end = torch.arange(width, device=start.device), torch.minimum(start + width, layout.length)
        positions = start[:, None] + within
        ids = canvas.gather(1, positions)
        out = (self._decode_beside if self._shadow else self._decode)(ids, positions, end, extent)
        own = within.expand_as(ids)
        error = self._body.error(out, positions, layout.holds(positions), at=own) if self._score else None
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
        out = self._body(ids, positions, mask, part)
        self._cache.put(slots, part)
        return out

    def _decode(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        """A forward over active blocks; a row sees what stands before its ``end [row]``, and none beyond ``extent``."""
        seen = torch.arange(extent, device=ids.device) < end[:, None]
        mask = repeat(seen, "row key -> row 1 query key", query=ids.shape[1])
        return self._body(ids, positions, mask, self._cache, self._score)

    def _decode_beside(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        """The same with a shadow of every position, whose keys lie where the next block will write its own."""
        width = ids.shape[1]
        keys = torch.arange(extent + width, device=ids.device)
        block = repeat(keys < end[:, None], "row key -> row query key", query=width)
        own, beside = keys == positions[..., None], keys == positions[..., None] + width
        mask = torch.cat([block, (block & ~own) | beside], 1)[:, None]
        places = torch.cat([positions, positions + width], 1)
        twice = torch.cat([ids, torch.full_like(ids, self._mask_id)], 1), torch.cat([positions, positions], 1)
        return self._body(*twice, mask, self._cache, self._score, places=places)


class Body:
    """A model's body, LM head and correction head, looked up once for many forwards."""

    def __init__(self, model: Denoiser) -> None:
        (self.module, self._lm_head), self._head = model.interface.parts(model.module), model.head

    def __call__(
        self,
        ids: Tensor,
        positions: Tensor,
        mask: Tensor,
        cache: BlockCache | None,
        hidden: bool = False,
        *,
        places: Tensor | None = None,
        **more: Any,
    ) -> Any:
        """One forward.

        Args:
            ids: int64 ``[row, pos]``.
            positions: int64 ``[row, pos]``, counted from each row's first token.
            mask: bool ``[row, 1, query, key]``, True where a query sees a key.
            cache: what the layers write their keys and values to; as far as the mask reaches, they see it.
            hidden: also return the hidden states of every layer.
            places: int64 ``[row, pos]``, where in the cache they write; None: at ``positions``.
            more: for the attention function of the layers.
        """
        body = self.module
        if cache is not None:
            cache.aim(positions if places is None else places, mask.shape[-1])
            more[cache_argument(type(body))] = cache
        return body(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            use_cache=cache is not None,
            output_hidden_states=hidden,
            **more,
        )

    def logits(self, hidden: Tensor, canvas: Tensor) -> Tensor:
        """The LM head's output, on the canvas's device: the last layers of a large model may be on another one."""
        return self._lm_head(hidden).to(canvas.device)

    def error(self, out: Any, positions: Tensor, valid: Tensor, at: Tensor | None = None) -> Tensor:
        """The correction head's error logits ``[row, pos]``, from the layer it reads.

        Args:
            out: of a forward with ``hidden``.
            positions: int64 ``[row, pos]``.
            valid: bool ``[row, pos]``.
            at: int64 ``[row, pos]``, where in the forward these positions are; None: it has no others.
        """
        hidden = self.scored(out)
        return self.judged(hidden if at is None else select(hidden, at), positions, valid)

    def scored(self, out: Any) -> Tensor:
        """The hidden states ``[row, pos, width]`` that the correction head reads; ``out`` is as for :meth:`error`."""
        assert self._head is not None
        if out.hidden_states is None:
            raise ValueError("a correction head reads hidden states, and this module returns none: decode without it")
        return out.hidden_states[self._head.layer]

    def judged(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        """What the correction head makes of them; as for :meth:`error`."""
        assert self._head is not None
        return self._head(hidden, positions, valid)


class LayerBlocks(Protocol):
    """One layer's cache, for a forward that reads and writes it in place of a cache of transformers."""

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Attention that also writes the new keys and values."""
        ...


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    blocks: LayerBlocks | list[LayerBlocks] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function for transformers: its own SDPA or, where ``blocks`` are given, over their cache.

    Args:
        module: the attention layer.
        query: ``[row, head, pos, size]``.
        key: ``[row, key head, pos, size]``.
        value: as ``key``.
        attention_mask: bool ``[row, 1, query, key]``.
        scaling: of the products.
        blocks: the cache of this layer, or of every layer.
        others: for SDPA.
    """
    if blocks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    mine = blocks[module.layer_idx] if isinstance(blocks, list) else blocks
    return mine.attend(module, query, key, value, attention_mask, scaling), None
