"""Fast-dLLM's approximate caches for bidirectional models: keys and values of other blocks are a few forwards old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from einops import repeat
from torch import Tensor

from dlmsample.models.attention import masks
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

    A forward of a batch is made of up to three parts, each of which may be captured by itself, for all of them leave
    what they make at fixed addresses: :meth:`read_blocks` for all rows, then :meth:`read_canvases` for those that
    are due, then :meth:`features`. Rows that are due go through both: a whole forward writes over all that the other
    one left of their rows, and reads none of it. That costs them the block's positions once more, and saves copies of
    the cache, or an attention that finds its rows by an index.

    A correction head attends over the whole canvas. Of what a forward does not recompute it reads the hidden states
    that the last whole forward left, as attention does (ours: the paper has no head).

    Args:
        model: a bidirectional decoder.
        rows: of the batch.
        capacity: positions of a row, one block's width of spare ones included.
        kind: ``prefix`` or ``dual``.
        refresh: forwards in a block from one whole forward to the next; None: only on entering a block.
        score: also run the correction head.
        suffix: positions behind the active block that exist for a forward, also for a whole one; None: all.

    Deviations: the paper refreshes when a block is finished, with a forward of its own; here the first forward in the
    next block does it. A limited ``suffix`` is ours: what lies further behind is no key and is not computed.
    """

    cached = False
    ragged = False

    def __init__(
        self,
        model: Denoiser,
        rows: int,
        capacity: int,
        kind: Approximation,
        refresh: int | None,
        score: bool = False,
        suffix: int | None = None,
    ) -> None:
        self._body, self._kind, self._refresh, self._suffix = Body(model), kind, refresh, suffix
        self._score, self._head = score, model.head
        self._rows, self._capacity = rows, capacity
        self._ahead = int(model.facts.logit_shift)  # a block's first position is predicted by the one before it
        self._cache = BlockCache(rows, capacity)
        self._hidden: Tensor | None = None  # [row, pos, size], the last layer's, where the blocks are predicted
        self._scored: Tensor | None = None  # [row, position, size], those that the head reads
        self._prepare(model)

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Forget the old rows; the first forward in a block is a whole one anyway."""
        self._cache.clear(slots)

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the blocks, and one over the canvases of the rows that need a whole one."""
        due, later = self.parted(at)
        if later:
            self.read_blocks(canvas, layout, start, self.span(later, layout.width), self.reach(later, layout.width))
        if due:
            slots = torch.tensor([row.slot for row in due], device=canvas.device)
            self.read_canvases(slots, canvas, layout, start, self.reach(due, layout.width))
        return self.features(canvas, layout, start, self.reach(at, layout.width))

    def parted(self, at: Sequence[RowPosition]) -> tuple[list[RowPosition], list[RowPosition]]:
        """The rows that are due, whose next forward is a whole one, and the others."""
        due, later = list[RowPosition](), list[RowPosition]()
        for row in at:
            whole = (row.age % self._refresh if self._refresh else row.age) == 0
            (due if whole else later).append(row)
        return due, later

    def reach(self, at: Sequence[RowPosition], width: int) -> int:
        """Positions that exist for any of these rows, whose blocks have ``width``."""
        return max(self._end(row, width) for row in at)

    def span(self, at: Sequence[RowPosition], width: int) -> int:
        """Positions that a forward over the blocks of these rows recomputes, counted from each block's start."""
        return width if self._kind == "dual" else max(self._end(row, width) - row.start for row in at)

    def read_blocks(self, canvas: Tensor, layout: Layout, start: Tensor, span: int, reach: int) -> None:
        """A forward over ``span`` positions of every row, which see all that exists for it.

        Args:
            canvas: int64 ``[row, pos]``.
            layout: of these rows.
            start: int64 ``[row]``, of the active blocks.
            span: at least what :meth:`span` says of the rows that are not due; of others nothing is kept.
            reach: at least what :meth:`reach` says of them.
        """
        layout, begin = self._existing(layout, start), (start - self._ahead).clamp(min=0)
        positions = begin[:, None] + torch.arange(span + self._ahead, device=canvas.device)
        positions = positions.clamp(max=reach)  # the spare position at the end takes what a row does not need
        out = self._decode(canvas.gather(1, positions), positions, layout.length, reach)
        rows = torch.arange(len(canvas), device=canvas.device)
        self._put(rows, out, positions, layout.window(start) - begin[:, None] - self._ahead)

    def read_canvases(self, slots: Tensor, canvas: Tensor, layout: Layout, start: Tensor, reach: int) -> None:
        """A forward over the whole canvases of some rows.

        Args:
            slots: int64, these rows; one may be there twice.
            canvas: int64 ``[row, pos]``, as ``layout`` and ``start`` of all rows.
            reach: at least what :meth:`reach` says of ``slots``.
        """
        ids, layout, start = canvas[slots, :reach], layout.keep(slots), start[slots]
        layout = self._existing(layout, start)
        positions = torch.arange(reach, device=canvas.device).expand(len(slots), -1)
        out = self._refill(slots, ids, positions, masks.bidirectional(layout.holds(positions)))
        self._put(slots, out, positions, layout.window(start) - self._ahead)

    def features(self, canvas: Tensor, layout: Layout, start: Tensor, reach: int) -> Features:
        """What the latest forwards of all rows give.

        ``reach`` is at least what :meth:`reach` says of all rows; without a head it does not matter.
        """
        assert self._hidden is not None
        logits = self._body.logits(self._hidden[: len(canvas)], canvas)
        if self._scored is None or self._head is None:
            return Features(logits, None)
        positions = torch.arange(reach, device=canvas.device).expand(len(canvas), -1)
        valid = self._existing(layout, start).holds(positions)
        # what a row never had there must be finite, though nothing sees it
        hidden = self._scored[: len(canvas), :reach].masked_fill(~valid[..., None].to(self._scored.device), 0)
        error = self._head(hidden, positions, valid)
        return Features(logits, error.gather(1, layout.window(start).clamp(max=reach - 1)))

    def keep(self, rows: Tensor) -> None:
        """Drop the other rows' keys and values."""
        self._cache.keep(rows)
        if self._scored is not None:
            self._scored[: len(rows)] = self._scored[rows.to(self._scored.device)]

    def _prepare(self, model: Denoiser) -> None:
        """What a subclass needs before the first forward."""

    def _end(self, row: RowPosition, width: int) -> int:
        """Behind the last position that exists for a row."""
        return row.length if self._suffix is None else min(row.length, row.start + width + self._suffix)

    def _existing(self, layout: Layout, start: Tensor) -> Layout:
        """The same on the device: rows as long as what exists for them."""
        if self._suffix is None:
            return layout
        return layout._replace(length=torch.minimum(layout.length, start + layout.width + self._suffix))

    def _refill(self, slots: Tensor, ids: Tensor, positions: Tensor, mask: Tensor) -> Any:
        """A forward over whole canvases, written to the cache."""
        part = BlockCache(*ids.shape)
        out = self._body(ids, positions, mask, part, self._score)
        self._cache.put(slots, part)
        return out

    def _decode(self, ids: Tensor, positions: Tensor, length: Tensor, reach: int) -> Any:
        """A forward over some positions of each row, which see all before its ``length [row]``."""
        seen = torch.arange(reach + 1, device=ids.device) < length[:, None]
        mask = repeat(seen, "row key -> row 1 query key", query=ids.shape[1])
        return self._body(ids, positions, mask, self._cache, self._score)

    def _put(self, slots: Tensor, out: Any, positions: Tensor, blocks: Tensor) -> None:
        """Keep what a forward over ``positions [row, pos]`` of these rows gave.

        ``blocks [row, n]`` says where in the forward the active blocks are predicted; what it lacks does not matter.
        """
        last = out.last_hidden_state
        hidden = select(last, blocks.clamp(0, last.shape[1] - 1))
        if self._hidden is None:
            self._hidden = hidden.new_zeros(self._rows, *hidden.shape[1:])
        self._hidden.index_copy_(0, slots.to(hidden.device), hidden)
        if not self._score or self._head is None:
            return
        read: Tensor = out.hidden_states[self._head.layer]
        if self._scored is None:
            self._scored = read.new_zeros(self._rows, self._capacity, read.shape[-1])
        self._scored[slots.to(read.device)[:, None], positions.to(read.device)] = read
