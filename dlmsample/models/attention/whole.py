"""The reader without a cache: every forward sees the whole canvas. Right for every model, and the slowest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlmsample.models.attention import masks
from dlmsample.models.attention.base import Features, Layout, RowPosition, select
from dlmsample.models.attention.cached import Body
from dlmsample.models.denoiser import Denoiser


class WholeReader:
    """Forwards whole canvases; the LM head runs on the active blocks alone. Nothing is kept between forwards.

    Args:
        model: any checkpoint.
        score: also run the correction head: on the active block of block-causal models, else on the canvas.
    """

    cached = False
    ragged = False

    def __init__(self, model: Denoiser, score: bool) -> None:
        self._body, self._score = Body(model), score
        self._causal, self._shift = model.attention == "block_causal", model.facts.logit_shift

    def read(self, canvas: Tensor, layout: Layout, start: Tensor, at: Sequence[RowPosition]) -> Features:
        """One forward over the canvases, as far as any active block can see."""
        end = max(row.length for row in at)
        if self._causal:
            end = min(max(row.start for row in at) + layout.width, end)
        positions = torch.arange(end, device=canvas.device).expand(len(canvas), -1)
        valid = layout.holds(positions)
        mask = masks.block_causal(layout.blocks(positions), valid) if self._causal else masks.bidirectional(valid)
        out = self._body(canvas[:, :end], positions, mask, None, self._score)

        active = layout.window(start).clamp(max=end - 1)  # what a short last block lacks is never read
        error = None
        if self._score and self._causal:  # the head attends within the active block only
            error = self._body.error(out, active, layout.holds(layout.window(start)), at=active)
        elif self._score:
            error = self._body.error(out, positions, valid).gather(1, active)
        if self._shift:
            active = (active - 1).clamp(min=0)  # nothing precedes position 0: it keeps its own
        return Features(self._body.logits(select(out.last_hidden_state, active), canvas), error)

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Nothing to do: the next forward sees the new rows as they are."""

    def keep(self, rows: Tensor) -> None:
        """Nothing to do: nothing is kept between forwards."""
