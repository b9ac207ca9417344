"""Fast-dLLM's approximate caches for bidirectional models: keys and values of other blocks are a few forwards old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from einops import repeat
from torch import Tensor

from dlmsample.models.attention.base import Features, Layout, RowPosition, select
from dlmsample.models.attention.cached import BlockCache, Body
from dlmsample.models.denoiser import Denoiser

Approximation = Literal["prefix", "dual"]
APPROXIMATIONS: tuple[Approximation, ...] = ("prefix", "dual")


class ApproximateReader:
    """A forward over the whole canvas when a row enters a block, and every ``refresh`` forwards; else over less.

    Rule (arXiv:2505.22618, Sec. 3.2): keys and values of what precedes the active block stay as the last whole forward
    left them ("prefix"), and those of what follows it as well ("dual"). Between whole forwards "prefix" recomputes
    everything from the block's start on, "dual" the block alone. What a row sees depends on its own forwards only.

    Args:
        model: a bidirectional decoder.
        rows: of the batch.
        capacity: positions of a row, one block's width of spare ones included.
        kind: ``prefix`` or ``dual``.
        refresh: forwards in a block from one whole forward to the next; None: only on entering a block.

    Deviation: the paper refreshes when a block is finished, with a forward of its own; here the first forward in the
    next block does it.
    """

    cached = False
    ragged = False

    def __init__(self, model: Denoiser, rows: int, capacity: int, kind: Approximation, refresh: int | None) -> None:
        self._body, self._kind, self._refresh = Body(model), kind, refresh
        self._ahead = int(model.facts.logit_shift)  # a block's first position is predicted by the one before it
        self._cache = BlockCache(rows, capacity)

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Forget the old rows; the first forward in a block is a whole one anyway."""
        self._cache.clear(slots)

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the rows that need a whole one, and one over the others."""
        whole = [row.age % self._refresh == 0 if self._refresh else row.age == 0 for row in at]
        if all(whole) or not any(whole):
            return Features(self._logits(self._cache, canvas, layout, start, at, whole[0]), None)
        logits: list[Tensor] = []
        order: list[int] = []
        for kind in (True, False):
            some = [row for row, is_whole in enumerate(whole) if is_whole is kind]
            rows = torch.tensor(some, device=start.device)
            part = self._cache.pick(rows)
            theirs = [at[row] for row in some]
            logits.append(self._logits(part, canvas[rows], layout.keep(rows), start[rows], theirs, kind))
            self._cache.put(rows, part)
            order += some
        back = torch.tensor(order, device=canvas.device).argsort()
        return Features(torch.cat(logits)[back], None)

    def keep(self, rows: Tensor) -> None:
        """Drop the other rows' keys and values."""
        self._cache.keep(rows)

    def _logits(
        self, cache: BlockCache, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition], whole: bool
    ) -> Tensor:
        """Logits of the active blocks, from a forward over the whole canvas or over what is recomputed."""
        longest, ahead = max(row.length for row in at), self._ahead
        if whole:
            positions = torch.arange(longest, device=canvas.device).expand(len(canvas), -1)
            begin = torch.zeros_like(start)
        else:
            count = layout.width if self._kind == "dual" else longest - min(row.start for row in at)
            begin = (start - ahead).clamp(min=0)
            positions = (begin[:, None] + torch.arange(count + ahead, device=canvas.device)).clamp(max=longest)
        keys = torch.arange(longest + 1, device=canvas.device).expand(len(canvas), -1)
        valid = layout.holds(keys)  # the spare position at the end takes what a row does not need
        mask = repeat(valid, "row key -> row 1 query key", query=positions.shape[1])
        hidden = self._body(canvas.gather(1, positions), positions, mask, cache).last_hidden_state
        active = layout.window(start) - begin[:, None] - ahead
        return self._body.logits(select(hidden, active.clamp(0, positions.shape[1] - 1)), canvas)
