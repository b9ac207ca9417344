"""What all readers share: where the rows of a batch keep what, and what a forward over their active blocks returns.

A *reader* makes the forwards of one batch. The exact one (:mod:`~dlmsample.models.attention.cached`) forwards only the
active blocks of block-causal models, :mod:`~dlmsample.models.attention.whole` forwards whole canvases, and
:mod:`~dlmsample.models.attention.approximate` something in between. Rows are right-padded and each stands at its own
block, so that nothing depends on how long the neighbours are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from einops import repeat
from torch import Tensor


class Features(NamedTuple):
    """What one forward computes for the active block of every row."""

    logits: Tensor  #: ``[row, pos, vocab]``
    error: Tensor | None  #: float ``[row, pos]``, the correction head's error logit; None where it was not asked for
    shadow: Tensor | None = None  #: ``[row, pos, vocab]``, logits of the shadow block; None where it was not asked for
    answer: Tensor | None = None  #: float ``[row, pos]``, a number for each position from ``Layout.first`` on; likewise


class Layout(NamedTuple):
    """Where the blocks of each row's canvas lie."""

    first: Tensor  #: int64 ``[row]``, first position of the first active block
    length: Tensor  #: int64 ``[row]``, positions of the row's canvas
    width: int  #: positions of a block
    one_prompt_block: bool  #: what precedes ``first`` is one block (else: blocks of ``width``)

    def blocks(self, positions: Tensor) -> Tensor:
        """Block index of each position ``[row, pos]``; it grows from left to right."""
        index = (positions - self.first[:, None]).div(self.width, rounding_mode="floor")
        return index.clamp(min=-1) if self.one_prompt_block else index

    def window(self, start: Tensor) -> Tensor:
        """int64 ``[row, width]``: the positions of each row's active block, which begins at ``start [row]``."""
        return start[:, None] + torch.arange(self.width, device=start.device)

    def holds(self, positions: Tensor) -> Tensor:
        """bool ``[row, pos]``: whether the row's canvas has these positions."""
        return positions < self.length[:, None]

    def behind(self, more: Layout) -> Layout:
        """This layout's rows, and behind them those of another with blocks of the same width."""
        first, length = (torch.cat(pair) for pair in zip(self[:2], more[:2], strict=True))
        return self._replace(first=first, length=length)

    def keep(self, rows: Tensor) -> Layout:
        """The layout of these rows alone (int64 indices)."""
        return self._replace(first=self.first[rows], length=self.length[rows])


class RowPosition(NamedTuple):
    """Where a row stands, as numbers on the host: what a reader may know without asking the device."""

    start: int  #: first position of the active block
    age: int  #: forwards that the row has had in this block
    length: int  #: positions of the row's canvas
    first: int = 0  #: first position of the first active block
    slot: int = 0  #: which row of the batch it is


class Reader(Protocol):
    """Makes the forwards over the active blocks of one batch.

    Whatever a reader remembers stays at the same addresses in memory, so that a captured forward finds it there.
    """

    cached: bool  #: a finished block must be forwarded once more before the row moves on, if its tokens changed since
    ragged: bool  #: a forward has the same shapes however far its rows read; ``at`` is then ignored

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the blocks that begin at ``start``, int64 ``[row]``.

        ``at`` says the same of every row that is still decoded, and more, to the host.
        """
        ...

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Take in new rows in place of old ones, of which nothing is kept.

        Args:
            slots: int64, which rows of the batch they become.
            canvas: int64 ``[row, pos]`` of the new rows alone, as is ``layout``.
            layout: of the new rows.
            prefill: the largest ``first`` among them.
        """
        ...

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these (int64 indices), which become the first ones."""
        ...


def select(hidden: Tensor, positions: Tensor) -> Tensor:
    """Hidden states ``[row, pos, width]`` at some positions of each row, int64 ``[row, n]``."""
    index = repeat(positions.to(hidden.device), "row n -> row n width", width=hidden.shape[-1])
    return hidden.gather(1, index)
