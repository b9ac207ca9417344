"""What a block-causal model whose logits are shifted keeps of the block before the active one."""

from __future__ import annotations

import torch
from torch import Tensor


class Border:
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
