"""Keys and values of every layer of a batch's rows, in buffers that are allocated once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache


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
