"""FCA: errors from earlier states for a correction head, "Teach Diffusion LMs to Learn from Their Own Mistakes"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from dlmsample.objectives import draws as d
from dlmsample.objectives.base import (
    Apart,
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
from dlmsample.objectives.draws import Draws

_LOWEST_RATE = 1e-3  # bounds the weight 1/t of joint training, as MDM's eps does


class FCA(Objective):
    """Place tokens the model predicted with less context, and learn which visible tokens are wrong.

    Rule (arXiv:2601.06428, Sec. 4.2, Eq. 4.1): ``Δt = 1/N``, ``t ~ U(0, 1 − Δt)``, ``t' ~ U(Δt, 1 − t)``. ``x_t`` masks
    each of the L editable tokens with probability t, ``x_{t+t'}`` also each still visible one with probability
    ``t'/(1 − t)``. One forward without gradient on ``x_{t+t'}`` gives y, sampled at temperature 1; at
    ``max(1, ⌊L · Δt⌋)`` random positions among all those masked in ``x_{t+t'}`` (at all, if fewer) y is written into
    ``x_t``. The loss is the mean within the sequence, over visible editable positions, of the binary cross-entropy
    of the error logit, target ``input ≠ gold``.

    Args:
        artefacts: ``self``: as above; ``uniform``: random tokens other than gold at as many positions visible in
            ``x_t`` (RemeDi), no draft pass; ``prism``: ``t' = Δt``, positions masked in ``x_{t+Δt}``
            but not in ``x_t``.
        steps: N; None: L/2, two tokens a step.
        gamma: None trains the head alone; a number trains jointly (Eq. 3.3): ``Σ CE/t over the masked positions of x_t,
            divided by the sequence's editable positions, + gamma · BCE``. The cross-entropy is that of x_t without
            artefacts, which takes a forward of its own.

    Raises:
        ValueError: an unknown option, one out of range, no ``draft`` where one is needed, or not the outputs that
            ``needs`` names.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, every = torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4, dtype=torch.bool)
        >>> out = FCA(artefacts="uniform").corrupt(Batch(clean, every, torch.tensor([1]), Ids(2, (0, 1, 2), 40)))
        >>> out.sets["wrong"].sum().item(), FCA().needs == {"error"}
        (2, True)

    Source: arXiv:2601.06428 (v1; called BackPlay, and this "Look-back Correction", since v2). t stays below 1 − Δt,
    beyond which there is no t' [choice]; the mean over visible positions, where Eq. 4.1 sums over all [choice]; the
    target is 1 for *wrong*, as Algorithm 1 uses it. N and gamma are not printed. 1/t is cut at 1000. In a batch
    with blocks each of them is a canvas of its own, with its t, t', L and artefacts [choice]; the means stay the
    sequence's.
    """

    name: ClassVar[str] = "fca"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "dsc"}
    artefacts: Literal["self", "uniform", "prism"] = "self"
    steps: Annotated[int, Field(ge=1)] | None = None
    gamma: Annotated[float, Field(gt=0)] | None = None

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"error"} if self.gamma is None else {"logits", "error"})

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`.

        ``weights`` are those of the binary cross-entropy on visible positions; with ``gamma``, ``apart`` holds x_t and
        the weights of the cross-entropy on its masks. Sets: ``masked``, ``visible`` = ``wrong`` + ``right``,
        ``artefact``, the written positions, and with ``gamma`` ``demasked``, the masks of x_t.
        """
        clean, editable, ids = batch.clean, batch.editable, batch.ids
        draws = Draws(batch.keys, clean, batch.blocks)
        length = draws.size(editable)
        if self.steps is None:
            step, count = (2 / length.clamp(min=2)), length.clamp(max=2)
        else:
            step, count = torch.full_like(length, 1 / self.steps, dtype=torch.float32), length // self.steps
        t = (1 - step) * draws.per_canvas(d.RATE)
        masked = editable & (draws.per_position(d.MASK) < t)
        later = step if self.artefacts == "prism" else step + (1 - t - step) * draws.per_canvas(d.LATER_RATE)
        newly = editable & ~masked & (draws.per_position(d.LATER) < later / (1 - t))
        visible = editable & ~masked
        among = {"self": masked | newly, "uniform": visible, "prism": newly}[self.artefacts]
        chosen = among & (draws.rank(draws.bits(d.ORDER), among) < count.clamp(min=1))
        tokens = torch.where(chosen, self._artefacts(batch, masked | newly, draft, draws), clean)
        first, masked = masked, masked & ~chosen
        visible = editable & ~masked
        wrong = visible & (tokens != clean)
        weights = per_row_mean(visible, 1.0 if self.gamma is None else self.gamma)
        sets = {"masked": masked, "visible": visible, "wrong": wrong, "right": visible & ~wrong, "artefact": chosen}
        apart = None
        if self.gamma is not None:
            answer = editable.sum(1, keepdim=True).clamp(min=1)
            demask = torch.where(first, 1 / (t.clamp(min=_LOWEST_RATE) * answer), 0.0)
            sets["demasked"], apart = first, Apart(clean.masked_fill(first, ids.mask), demask)
        return Corrupted(tokens.masked_fill(masked, ids.mask), clean, weights, sets, apart)

    def _artefacts(self, batch: Batch, hidden: Tensor, draft: Draft | None, draws: Draws) -> Tensor:
        """int64 ``[row, pos]``: what would be written at each position."""
        if self.artefacts == "uniform":
            return d.random_token(batch.clean, draws.bits(d.TOKEN), batch.ids)
        earlier = batch.clean.masked_fill(hidden, batch.ids.mask)
        return d.candidates("FCA", draft, earlier, draws, batch.ids, 1.0).token

    def loss(self, output: Tensor | Outputs, corrupted: Corrupted) -> tuple[Tensor, dict[str, Tensor]]:
        """See :meth:`Objective.loss`: binary cross-entropy, and with ``gamma`` cross-entropy at the masks of x_t.

        Metrics: ``share/<set>``; over ``visible``, ``wrong`` and ``right`` the mean ``bce/``, ``error/`` (P_error) and
        ``acc/`` (P_error > 0.5 is the label); ``positive_rate``; with ``gamma`` also ``ce/demasked`` and
        ``acc/demasked``.
        """
        if self.gamma is not None and not isinstance(output, Outputs):
            raise ValueError("FCA(gamma=...) trains jointly: pass Outputs(logits, error), or gamma=None")
        error = output.error if isinstance(output, Outputs) else output
        if error is None or error.shape != corrupted.weights.shape:
            got = None if error is None else list(error.shape)
            raise ValueError(f"FCA reads error logits [row, pos], not {got}: give a correction head's")
        error = error.float()
        sets = corrupted.sets
        label = sets["wrong"].float()
        term = F.binary_cross_entropy_with_logits(error, label, reduction="none")
        scores = {name: sets[name] for name in ("visible", "wrong", "right")}
        right = (error.detach() > 0) == sets["wrong"]
        metrics = shares(sets) | means(scores, bce=term, error=error.sigmoid(), acc=right)
        metrics |= {"positive_rate": sets["wrong"].sum() / sets["visible"].sum().clamp(min=1)}
        if self.gamma is not None and isinstance(output, Outputs):
            assert corrupted.apart is not None
            ce, hit = cross_entropy(output.logits, corrupted)
            metrics |= means({"demasked": sets["demasked"]}, ce=ce, acc=hit)
            term = corrupted.weights * term + corrupted.apart.weights * ce
            return term.sum(1).mean(), metrics
        return (corrupted.weights * term).sum(1).mean(), metrics
