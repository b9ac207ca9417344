"""The reader without a cache: every forward sees the whole canvas. Right for every model, and the slowest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlmsample.models.attention import masks
from dlmsample.models.attention.base import Features, Layout, RowPosition, select
from dlmsample.models.attention.cached import Body
from dlmsample.models.attention.shadow import from_copies, mask_beside, takes_shadows
from dlmsample.models.denoiser import Denoiser

_PART = 256  #: positions whose logits over the vocabulary are there at once, where the whole answer is looked at


class WholeReader:
    """Forwards whole canvases; the LM head runs on the active blocks alone. Nothing is kept between forwards.

    Args:
        model: any checkpoint.
        score: also run the correction head: on the active block of block-causal models, else on the canvas.
        shadow: also give the logits of shadows, see :mod:`~dlmsample.models.attention.shadow`.
        behind: also give the logits of so many blocks behind each active one; without ``score`` and ``shadow``.
        answer: what to make of the logits ``[row, pos, vocab]`` of the whole answer: a number for each position.
    """

    cached = False
    ragged = False

    def __init__(
        self,
        model: Denoiser,
        score: bool,
        shadow: bool = False,
        behind: int = 0,
        answer: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._answer = answer
        self._body, self._score, self._shadow, self._blocks = Body(model), score, shadow, 1 + behind
        self._beside, self._mask_id = shadow and takes_shadows(model), model.mask_id
        self._causal, self._shift = model.attention == "block_causal", model.facts.logit_shift

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the canvases, as far as any active block can see."""
        end = max(row.length for row in at)
        if self._causal:
            end = min(max(row.start for row in at) + self._blocks * layout.width, end)
        positions = torch.arange(end, device=canvas.device).expand(len(canvas), -1)
        valid = layout.holds(positions)
        mask = masks.block_causal(layout.blocks(positions), valid) if self._causal else masks.bidirectional(valid)
        window = layout._replace(width=self._blocks * layout.width).window(start)
        ids, active = canvas[:, :end], window.clamp(max=end - 1)  # what a short last block lacks
        if self._beside:
            beside = torch.cat([ids, torch.full_like(active, self._mask_id)], 1), torch.cat([positions, active], 1)
            out = self._body(*beside, mask_beside(mask, active), None, self._score)
        else:
            out = self._body(ids, positions, mask, None, self._score)

        error = None
        if self._score and self._causal:  # the head attends within the active block only
            error = self._body.error(out, active, layout.holds(layout.window(start)), at=active)
        elif self._score:
            error = self._body.error(out, positions, valid, at=positions).gather(1, active)
        shadow = None
        if self._beside:
            shadow = self._body.logits(out.last_hidden_state[:, end:], canvas)
        elif self._shadow:
            shadow = from_copies(self._body, ids, positions, mask, active, self._mask_id, self._shift)
        if self._shift:
            active = (active - 1).clamp(min=0)  # nothing precedes position 0: it keeps its own
        logits = self._body.logits(select(out.last_hidden_state, active), canvas)
        return Features(logits, error, shadow, self._of_answer(out.last_hidden_state[:, :end], canvas, layout, at))

    def _of_answer(self, hidden: Tensor, canvas: Tensor, layout: Layout, at: Sequence[RowPosition]) -> Tensor | None:
        """The numbers of the longest answer's positions, and of as many of the other rows."""
        if self._answer is None:
            return None
        longest = max(row.length - row.first for row in at)
        positions = layout._replace(width=longest).window(layout.first) - int(self._shift)
        parts = positions.clamp(0, hidden.shape[1] - 1).split(_PART, 1)
        return torch.cat([self._answer(self._body.logits(select(hidden, part), canvas)) for part in parts], 1)

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Nothing to do: the next forward sees the new rows as they are."""

    def keep(self, rows: Tensor) -> None:
        """Nothing to do: nothing is kept between forwards."""
