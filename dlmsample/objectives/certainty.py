"""Certainty-forcing distillation on the model's own answers, "dParallel: Learnable Parallel Decoding for dLLMs"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from dlmsample.objectives.base import (
    Batch,
    Corrupted,
    Draft,
    Objective,
    Outputs,
    cross_entropy,
    means,
    per_row_mean,
    shares,
)
from dlmsample.objectives.draws import BRANCH, MASK, RATE, Draws, ShareRange


class Certainty(Objective):
    """Predict the model's own answer from a partly masked block, and be sure of what is predicted right.

    The sequences must be answers of the model itself, the paper's trajectories; those with a wrong result left out.
    Then this adds no knowledge. It only makes the model sure of more tokens at once, so that a policy with a
    threshold fills more of them in a step.

    Rule (arXiv:2509.26488, Sec. 4.2, Algorithm 1): of blocks of ``block_length`` one is active, all as likely. Blocks
    before it are visible, those behind it masked, and each of its own tokens becomes the mask id with probability q
    (Eq. 4). With M_a its masks and M_c those of them whose argmax is the answer's token (Eq. 6), the loss is
    ``L_consistency + β · L_certainty`` (Eq. 8): the mean cross-entropy over M_a (Eq. 5), and the mean over M_c of the
    entropy of ``softmax(logits / T)`` (Eq. 7), which is 0 where M_c is empty.

    Args:
        mask_ratio: q, a number or a range from which it is drawn uniformly, anew for each block.
        temperature: T of the entropy; no temperature changes which token is the argmax.
        certainty_weight: β; 0 leaves the cross-entropy alone, the paper's "consistency distillation".
        block_length: L_b of a bidirectional model; None: the whole answer is one block. Not read in a batch with
            blocks, which has its own.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, every = torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4, dtype=torch.bool)
        >>> rule = Certainty(mask_ratio=1, block_length=2)
        >>> out = rule.corrupt(Batch(clean, every, torch.tensor([2]), Ids(mask=2)))
        >>> out.input.tolist(), out.weights.tolist()
        ([[5, 6, 2, 2]], [[0.0, 0.0, 0.5, 0.5]])

    Source: arXiv:2509.26488; q = 0.5, T = 0.5 and 32 are the paper's, β = 2 its published code's. Deviations: a batch
    with blocks (a block-causal model, which the paper has none of) has all its blocks active at once, for each sees
    those before it whole and none behind it; q is drawn per block and the two means are the sequence's [choice]. The
    code masks a second copy of every sequence with the complement of its masks: at q = 0.5 that has the same law as
    the first, and is left out. Its argmax and its softmax include the mask id, as here. A last block may be shorter.
    """

    name: ClassVar[str] = "certainty"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "unmask", "threshold": 0.9}
    mask_ratio: ShareRange = (0.5, 0.5)
    temperature: Annotated[float, Field(gt=0)] = 0.5
    certainty_weight: NonNegativeFloat = 2.0
    block_length: Annotated[int, Field(ge=1)] | None = 32

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`; ``draft`` is not used. Sets: ``masked``, the masks of active blocks."""
        clean, editable = batch.clean, batch.editable
        draws = Draws(batch.keys, clean, batch.blocks)
        active, later = editable, torch.zeros_like(editable)
        if batch.blocks is None and self.block_length is not None:
            length = editable.sum(1, keepdim=True)
            # Blocks count from the first editable position, as decoding counts them from the prompt's end.
            block = (editable.cumsum(1) - 1).div(self.block_length, rounding_mode="floor")
            count = (length + self.block_length - 1).div(self.block_length, rounding_mode="floor")
            chosen = (draws.per_row(BRANCH) * count).long()
            active, later = editable & (block == chosen), editable & (block > chosen)
        masked = active & (draws.per_position(MASK) < draws.rate(RATE, self.mask_ratio))
        hidden = clean.masked_fill(masked | later, batch.ids.mask)
        return Corrupted(hidden, clean, per_row_mean(masked), {"masked": masked})

    def loss(self, output: Tensor | Outputs, corrupted: Corrupted) -> tuple[Tensor, dict[str, Tensor]]:
        """See :meth:`Objective.loss`: cross-entropy at the masks and, with β, the entropy at those predicted right.

        Metrics: ``share/``, ``ce/``, ``acc/`` and ``entropy/`` (at temperature T, in nats) of ``masked``; ``share/``
        and ``entropy/`` of ``right``, the masks predicted right.
        """
        logits = output.logits if isinstance(output, Outputs) else output
        ce, hit = cross_entropy(logits, corrupted)
        masked = corrupted.sets["masked"]
        right = masked & hit
        spread = entropy(logits, self.temperature)
        term = corrupted.weights * ce + self.certainty_weight * per_row_mean(right) * spread
        metrics = shares({"masked": masked, "right": right}) | means({"masked": masked}, ce=ce, acc=hit)
        metrics |= means({"masked": masked, "right": right}, entropy=spread)
        return term.sum(1).mean(), metrics


def entropy(logits: Tensor, temperature: float) -> Tensor:
    """float32 ``[row, pos]``: the entropy of ``softmax(logits / temperature)`` in nats.

    Example:
        >>> [round(x, 4) for x in entropy(torch.tensor([[[0.0, 0.0], [0.0, 99.0]]]), 0.5)[0].tolist()]
        [0.6931, 0.0]
    """
    log_p = (logits.float() / temperature).log_softmax(-1)
    return (log_p.exp() * -log_p).sum(-1)
