"""A model's body, and the cache of keys and values that its layers write while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from dlmsample.models.attention.base import select
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.interface import cache_argument


class Body:
    """A model's body, LM head and correction head, looked up once for many forwards."""

    def __init__(self, model: Denoiser) -> None:
        self.module, self._lm_head, self._head = model.body, model.lm_head, model.head

    def __call__(
        self, ids: Tensor, positions: Tensor, mask: Tensor, cache: Cache | None, hidden: bool = False, **more: Any
    ) -> Any:
        """One forward.

        Args:
            ids: int64 ``[row, pos]``.
            positions: int64 ``[row, pos]``, counted from each row's first token.
            mask: bool ``[row, 1, query, key]``, True where a query sees a key.
            cache: what the layers write their keys and values to.
            hidden: also return the hidden states of every layer.
            more: for the attention function of the layers.
        """
        body = self.module
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
