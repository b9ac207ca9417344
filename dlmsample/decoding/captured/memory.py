"""Rows at addresses that never change, which is where a captured forward finds them."""

from __future__ import annotations

import torch
from torch import Tensor

from dlmsample.decoding.step import Rows, behind, tree_map
from dlmsample.kernels.support import power_of_two
from dlmsample.models.attention.base import Layout


class FixedMemory:
    """Room for ``size`` rows, of which the first few are in use; what is written is copied there.

    A forward has 1, 2, ..., 8, 10, ..., 16, 20, ... rows, or all of them, so that few numbers of rows are captured.
    Rows beyond those that are decoded are copies that count as finished, until a waiting request takes their slot.
    """

    rows: Rows
    layout: Layout

    def __init__(self, size: int) -> None:
        self.size = size
        self.everything: Rows | None = None
        self._all_layout: Layout | None = None

    def open(self, rows: Rows, layout: Layout) -> None:
        """Begin a batch with these rows; the first batch decides the tensors' shapes."""
        if self.everything is None:
            first, length = self.space(layout.first), self.space(layout.length)
            self.everything = tree_map(self.space, rows)
            self._all_layout = layout._replace(first=first, length=length)
        slots = torch.arange(len(rows.start), device=rows.start.device)
        rows, layout = self._padded(rows, layout, slots)
        self._use(len(rows.start))
        self.write(rows._replace(state=self.rows.state), layout)  # a policy's state is made anew on entering a block

    def write(self, rows: Rows, layout: Layout) -> None:
        """Copy what changed to where the rows are."""
        if self.rows.state is None and rows.state is not None:  # the very first forward has made a state
            assert self.everything is not None
            self.everything = self.everything._replace(state=tree_map(self.space, rows.state))
            self._use(len(self.rows.start))
        for old, new in ((self.rows, rows), (self.layout[:2], layout[:2])):
            tree_map(lambda a, b: a if a is b else a.copy_(b), old, new)

    def add(self, rows: Rows, layout: Layout) -> None:
        """More rows behind those that there are, ``size`` of them at most."""
        whole, where = behind(self.rows, rows), self.layout.behind(layout)
        padded, where = self._padded(whole, where, torch.arange(len(whole.start), device=whole.start.device))
        self._use(len(padded.start))
        self.write(padded, where)

    def keep(self, slots: Tensor) -> None:
        """Drop all rows but these (int64 indices), which move up to the front."""
        rows, layout = self._padded(self.rows, self.layout, slots)
        self._use(len(rows.start))
        self.write(rows, layout)

    @property
    def whole(self) -> tuple[Rows, Layout]:
        """All slots, those that are not in use as well."""
        assert self.everything is not None
        assert self._all_layout is not None
        return self.everything, self._all_layout

    def rounded(self, rows: int) -> int:
        """How many rows a forward has when ``rows`` of them are decoded."""
        return min(bucket(rows), self.size)

    def space(self, like: Tensor) -> Tensor:
        """Zeros for all slots, each row shaped like one of ``like``."""
        return like.new_zeros(self.size, *like.shape[1:])

    def _padded(self, rows: Rows, layout: Layout, slots: Tensor) -> tuple[Rows, Layout]:
        """These rows, and as many finished copies of the last one as their rounded number asks for."""
        spare = self.rounded(len(slots)) - len(slots)
        index = torch.cat([slots, slots[-1:].expand(spare)])
        kept: Rows = tree_map(lambda t: t[index], rows)
        kept.finished[len(slots) :] = True
        return kept, layout.keep(index)

    def _use(self, rows: int) -> None:
        """Work on the first ``rows`` slots."""
        everything, layout = self.whole
        self.layout = layout._replace(first=layout.first[:rows], length=layout.length[:rows])
        self.rows = tree_map(lambda t: t[:rows], everything)


def bucket(rows: int) -> int:
    """The next of 1, 2, ..., 8, 10, ..., 16, 20, ..., 32, 40, ...

    Example:
        >>> bucket(7), bucket(9), bucket(17)
        (7, 10, 20)
    """
    step = max(1, power_of_two(rows) // 8)
    return -(-rows // step) * step


def coarse(count: int, least: int) -> int:
    """The next of ..., 64, 96, 128, 192, 256, 384, ..., at least ``least``.

    Example:
        >>> coarse(5, 64), coarse(97, 64), coarse(129, 64)
        (64, 128, 192)
    """
    count = max(count, least)
    power = power_of_two(count)
    return power if count > power * 3 // 4 else power * 3 // 4
