"""Keys and values of the blocks before the active one, in memory that is made once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache


class BlockCache(Cache):
    """Keys and values of every layer in preallocated buffers, written at each row's own positions.

    The active block is written over itself at every forward; a block becomes history when its row's start moves
    past it, so what history holds is always the last forward over that block.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__(layers=[])
        self._rows, self._capacity = rows, capacity
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._at = torch.empty(0, dtype=torch.long)
        self._extent = 0

    def aim(self, positions: Tensor, extent: int) -> None:
        """Where the next forward writes, int64 ``[row, pos]``, and how far it reads; the rows are the first ones."""
        self._at, self._extent = positions, extent

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if layer_idx == len(self._buffers):
            self._buffers.append((self._empty(key_states), self._empty(value_states)))
        rows = len(key_states)
        at = self._at[:, None, :, None].to(key_states.device).expand_as(key_states)
        keys, values = (buffer[:rows] for buffer in self._buffers[layer_idx])
        keys.scatter_(2, at, key_states)
        values.scatter_(2, at, value_states)
        return keys[:, :, : self._extent], values[:, :, : self._extent]

    def reserve(self, layers: int, like: Tensor) -> None:
        """Make all buffers, for states like these ``[row, head, pos, size]``."""
        self._buffers = [(self._empty(like), self._empty(like)) for _ in range(layers)]

    def pairs(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Keys and values of every layer, ``[row, head, position, size]``."""
        return self._buffers

    def keep(self, rows: Tensor) -> None:
        """Move these rows (int64 indices) up to the front."""
        for buffer in self._each():
            buffer[: len(rows)] = buffer[rows.to(buffer.device)]

    def clear(self, rows: Tensor) -> None:
        """Zeros in these rows (int64 indices): what is masked must still be finite, for 0 times NaN is NaN."""
        for buffer in self._each():
            buffer.index_fill_(0, rows.to(buffer.device), 0)

    def pick(self, rows: Tensor) -> BlockCache:
        """A copy of some rows (int64 indices)."""
        part = BlockCache(len(rows), self._capacity)
        part._buffers = [(k[rows.to(k.device)], v[rows.to(v.device)]) for k, v in self._buffers]
        return part

    def put(self, rows: Tensor, part: BlockCache) -> None:
        """Take over the rows of another cache, which may be shorter."""
        if not self._buffers:
            self._buffers = [(self._empty(keys), self._empty(values)) for keys, values in part._buffers]
        for buffer, new in zip(self._each(), part._each(), strict=True):
            buffer[rows.to(buffer.device), :, : new.shape[2]] = new

    def _each(self) -> Iterator[Tensor]:
        return (buffer for pair in self._buffers for buffer in pair)

    def _empty(self, states: Tensor) -> Tensor:
        return states.new_zeros(self._rows, states.shape[1], self._capacity, states.shape[3])

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0  # positions and masks are always given, nothing is derived from a length
