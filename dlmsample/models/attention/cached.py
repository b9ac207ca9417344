"""The exact reader of block-causal models: the prompt's blocks once, then only the active block.

With it stand the parts that one forward goes through: the reader calls the :class:`Body`, whose layers call
:func:`attention` and write their keys and values to the :class:`BlockCache`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from einops import repeat
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from dlmsample.models.attention import masks
from dlmsample.models.attention.base import Features, Layout, RowPosition, select
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
        assert self._head is not None
        if out.hidden_states is None:
            raise ValueError("a correction head reads hidden states, and this module returns none: decode without it")
        hidden = out.hidden_states[self._head.layer]
        return self._head(hidden if at is None else select(hidden, at), positions, valid)


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


class BlockCache(Cache):
    """Keys and values of every layer, in buffers that are allocated once.

    Each forward writes the active block of every row at the row's own positions, over what the forward before wrote
    there. Once a row moves on, its block is history, so what history holds is always the last forward over that block.

    Args:
        rows: of the batch.
        capacity: positions of a row.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__(layers=[])
        self._rows, self._capacity = rows, capacity
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._at = torch.empty(0, dtype=torch.long)
        self._extent = 0

    def aim(self, positions: Tensor, extent: int) -> None:
        """Say where the next forward writes and how far it reads.

        Args:
            positions: int64 ``[row, pos]``, for the first rows of the cache.
            extent: positions that attention sees, from the first one.
        """
        self._at, self._extent = positions, extent

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Called by every layer with ``[row, head, pos, size]``: write these states, return all that it may see."""
        if layer_idx == len(self._buffers):
            self._buffers.append((self._empty(key_states), self._empty(value_states)))
        rows = len(key_states)
        at = self._at[:, None, :, None].to(key_states.device).expand_as(key_states)
        keys, values = (buffer[:rows] for buffer in self._buffers[layer_idx])
        keys.scatter_(2, at, key_states)
        values.scatter_(2, at, value_states)
        return keys[:, :, : self._extent], values[:, :, : self._extent]

    def reserve(self, layers: int, like: Tensor) -> None:
        """Allocate the buffers of all layers, for states like these ``[row, head, pos, size]``."""
        self._buffers = [(self._empty(like), self._empty(like)) for _ in range(layers)]

    def pairs(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Keys and values of every layer, ``[row, head, position, size]``."""
        return self._buffers

    def keep(self, rows: Tensor) -> None:
        """Make these rows (int64 indices) the first ones."""
        for buffer in self._each():
            buffer[: len(rows)] = buffer[rows.to(buffer.device)]

    def clear(self, rows: Tensor) -> None:
        """Write zeros to these rows (int64 indices): even what is masked must be finite, for 0 times NaN is NaN."""
        for buffer in self._each():
            buffer.index_fill_(0, rows.to(buffer.device), 0)

    def pick(self, rows: Tensor) -> BlockCache:
        """A copy of some rows (int64 indices)."""
        part = BlockCache(len(rows), self._capacity)
        part._buffers = [(k[rows.to(k.device)], v[rows.to(v.device)]) for k, v in self._buffers]
        return part

    def put(self, rows: Tensor, part: BlockCache) -> None:
        """Copy another cache, which may be shorter, to these rows (int64 indices)."""
        if not self._buffers:
            self._buffers = [(self._empty(keys), self._empty(values)) for keys, values in part._buffers]
        for own, new in zip(self._buffers, part._buffers, strict=True):
            write_rows(*own, rows, *new)

    def _each(self) -> Iterator[Tensor]:
        return (buffer for pair in self._buffers for buffer in pair)

    def _empty(self, states: Tensor) -> Tensor:
        return states.new_zeros(self._rows, states.shape[1], self._capacity, states.shape[3])

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing is derived from a length: positions and masks are always given."""
        return 0


@torch.library.custom_op("dlmsample::write_rows", mutates_args=("keys", "values"))
def write_rows(keys: Tensor, values: Tensor, rows: Tensor, new_keys: Tensor, new_values: Tensor) -> None:
    """Write the first positions of some rows of a layer's cache; one operation, also in what is compiled.

    Args:
        keys: ``[row, head, position, size]``, as ``values``.
        values: written in place, too.
        rows: int64 indices.
        new_keys: ``[n, head, pos, size]``, as ``new_values``.
        new_values: what is written.
    """
    for old, new in ((keys, new_keys), (values, new_values)):
        old[rows.to(old.device), :, : new.shape[2]] = new
