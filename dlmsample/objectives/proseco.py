"""ProSeCo: unmasking and correcting in one model, "Learn from Your Mistakes" (of masked diffusion models)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from dlmsample.objectives.base import Apart, Batch, Corrupted, Draft, Objective, Outputs, cross_entropy, means, shares
from dlmsample.objectives.draws import MASK, RATE, Draws, candidates


class SelfCorrection(Objective):
    """Predict what is masked, and gold everywhere from a full text in which the masks hold the model's own guesses.

    Rule (arXiv:2602.11590, Algorithm 1): ``t ~ U(0, 1)``, ``p = (1 - eps) t + eps``; each of the L editable tokens
    becomes the mask id with probability p: ``z_t``. One forward without gradient on ``z_t`` gives ``y_t``, the argmax
    of every masked position in its place. The loss of a row is ``Σ over masked of CE(z_t) / p + λ · Σ over all of
    CE(y_t) / p``, divided by L: the masked-diffusion loss, and the self-correction loss under the same weight
    ``1 / p`` (of a linear schedule, α_t = 1 − t). The batch's is the mean over rows.

    Args:
        eps: lowest mask probability, in (0, 1]; bounds the weight. The public script: 0.1.
        corrector_weight: λ; 0 is MDM.
        weighted: the self-correction loss has the weight 1 / p too; False: 1.
        errors_upweighted: where ``y_t`` is right, the term is −P(gold) and not −log P(gold), so that mistakes weigh
            more (App. C.3; the public script: true).
        drafts: ``masked``: visible tokens enter ``y_t`` as they are; ``all``: they are argmaxes too.

    Raises:
        ValueError: an unknown option, one out of range, no ``draft``, or not the outputs of both texts.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, every = torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4, dtype=torch.bool)
        >>> always_six = lambda tokens: torch.eye(40)[torch.full_like(tokens, 6)]
        >>> batch = Batch(clean, every, torch.tensor([3]), Ids(2, (0, 1, 2), 40))
        >>> out = SelfCorrection(eps=1.0).corrupt(batch, always_six)
        >>> out.apart.input.tolist(), out.input.tolist(), out.weights.sum().item()
        ([[2, 2, 2, 2]], [[6, 6, 6, 6]], 1.0)

    Source: arXiv:2602.11590 by its project page and its public code (Apache-2.0); the numbers of its equations could
    not be read. Deviations: the guesses come from a forward of their own, before the one with gradient (equal but for
    dropout, which a draft has not); the sums are divided by L (the code: by the batch's tokens). In a batch with
    blocks each of them is a canvas of its own, with its t [choice].
    """

    name: ClassVar[str] = "proseco"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "proseco"}
    eps: float = Field(default=0.1, gt=0, le=1)
    corrector_weight: NonNegativeFloat = 1.0
    weighted: bool = True
    errors_upweighted: bool = False
    drafts: Literal["masked", "all"] = "masked"

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`. ``input`` is y_t, ``apart`` z_t.

        Sets: ``demasked``, the masks of z_t; ``wrong`` and ``right``, positions of y_t.
        """
        clean, editable, ids = batch.clean, batch.editable, batch.ids
        draws = Draws(batch.keys, clean, batch.blocks)
        p = (1 - self.eps) * draws.per_canvas(RATE) + self.eps
        masked = editable & (draws.per_position(MASK) < p)
        length = editable.sum(1, keepdim=True).clamp(min=1)
        z = clean.masked_fill(masked, ids.mask)
        guess = candidates("ProSeCo", draft, z, draws, ids, 0.0).token
        y = torch.where(editable if self.drafts == "all" else masked, guess, clean)
        scale = 1 / (p * length)
        own = (scale if self.weighted else 1 / length) * self.corrector_weight
        wrong = editable & (y != clean)
        sets = {"demasked": masked, "wrong": wrong, "right": editable & ~wrong}
        apart = Apart(z, torch.where(masked, scale, 0.0))
        return Corrupted(y, clean, torch.where(editable, own, 0.0), sets, apart)

    def loss(self, output: Tensor | Outputs, corrupted: Corrupted) -> tuple[Tensor, dict[str, Tensor]]:
        """See :meth:`Objective.loss`.

        Metrics: ``share/<set>``; ``ce/`` and ``acc/`` of ``demasked`` from z_t, of ``wrong`` and ``right`` from y_t.
        """
        if not isinstance(output, Outputs) or output.of_input is None or corrupted.apart is None:
            raise ValueError("ProSeCo reads the logits of two texts: pass Outputs(logits=z_t's, of_input=y_t's)")
        sets = corrupted.sets
        unmasking, hit = cross_entropy(output.logits, corrupted)
        correcting, mended = cross_entropy(output.of_input, corrupted)
        metrics = shares(sets) | means({"demasked": sets["demasked"]}, ce=unmasking, acc=hit)
        metrics |= means({name: sets[name] for name in ("wrong", "right")}, ce=correcting, acc=mended)
        if self.errors_upweighted:
            correcting = torch.where(sets["wrong"], correcting, -torch.exp(-correcting))
        return (corrupted.weights * correcting + corrupted.apart.weights * unmasking).sum(1).mean(), metrics
