"""SCOPE: training on the model's own commits, "Revise, Don't Freeze: Sampler-Matched Training"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field

from dlmsample.objectives import draws as d
from dlmsample.objectives.base import Batch, Corrupted, Draft, Objective, per_row_mean
from dlmsample.objectives.draws import Draws, Share, ShareRange, candidates, share_of

_LOWEST_RATE = 1e-3  # of the plain branch: MDM's default, so that both mask the same positions


class SCOPE(Objective):
    """Commit the most confident of the model's own samples and learn to recover gold there and at the masks.

    Rule (arXiv:2606.01026, Sec. 3.2, Algorithm 2, App. B.3): with probability ``mdm_share`` a sequence is plain MDM:
    ``t ~ U(0, 1)``, mask, mean cross-entropy over the masked. Else mask each editable token with a probability
    ~ Beta(2, 2), clamped to [0.05, 0.95]; one forward without gradient; sample each masked position at
    ``temperature``; commit the ``⌊ρ · masked⌋`` samples of highest untempered probability; the loss is the mean
    cross-entropy to gold over committed and still masked positions, within each sequence.

    Args:
        temperature: of the samples; 0 is the argmax.
        commit_rate: ρ, a number or a range from which it is drawn uniformly for each sequence.
        mask_ratio: range of the mask rate of both branches, uniform: a control at the mask ratios of other objectives.
            None: Beta(2, 2) clamped, and U(0, 1) in the plain branch.
        mdm_share: probability of the plain branch; 1 makes no draft pass.
        random_commit: commit at random, not by confidence (ablation).
        supervise: ``corrupted``: committed and still masked positions; ``all``: every editable position of the
            self-conditioned sequences (ablation; the plain branch stays on its masks).

    Raises:
        ValueError: an unknown option, one out of range, or no ``draft`` though ``mdm_share`` is below 1.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, every = torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4, dtype=torch.bool)
        >>> always_six = lambda tokens: torch.eye(40)[torch.full_like(tokens, 6)]
        >>> rule = SCOPE(mdm_share=0, temperature=0, commit_rate=1)
        >>> out = rule.corrupt(Batch(clean, every, torch.tensor([4]), Ids(2, (0, 1, 2), 40)), always_six)
        >>> supervised = out.sets["wrong_commit"] | out.sets["right_commit"]
        >>> bool((out.input[supervised] == 6).all()), round(float(out.weights[supervised].sum()), 4)
        (True, 1.0)

    Source: arXiv:2606.01026. The clamp and ρ = 0.5 are ours (lost in our copy), as is ``mask_ratio``. The plain
    branch leaves out MDM's 1/p [choice]. In a batch with blocks each of them is a canvas of its own: rates are
    drawn, and commits ranked and counted, per block [choice]; the branch, ρ and the mean stay the sequence's. Ties
    go to the lower position. ρ is rounded to millionths.
    """

    name: ClassVar[str] = "scope"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "d3im", "block_length": "all"}
    temperature: Annotated[float, Field(ge=0)] = 1.5
    commit_rate: ShareRange = (0.5, 0.5)
    mask_ratio: ShareRange | None = None
    mdm_share: Share = 0.5
    random_commit: bool = False
    supervise: Literal["corrupted", "all"] = "corrupted"

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`. Sets: ``masked``, ``wrong_commit``, ``right_commit``."""
        clean, editable, ids = batch.clean, batch.editable, batch.ids
        draws = Draws(batch.keys, clean, batch.blocks)
        own = draws.per_row(d.BRANCH) >= self.mdm_share
        plain = (1 - _LOWEST_RATE) * draws.per_canvas(d.RATE) + _LOWEST_RATE
        rate = torch.where(own, draws.beta22(d.BETA).clamp(0.05, 0.95), plain)
        if self.mask_ratio is not None:
            rate = draws.rate(d.RATE, self.mask_ratio)
        hidden = editable & (draws.per_position(d.MASK) < rate)
        tokens = clean.masked_fill(hidden, ids.mask)
        committed = torch.zeros_like(hidden)
        if self.mdm_share < 1:
            sample = candidates("SCOPE", draft, tokens, draws, ids, self.temperature)
            # Odds against a token order as its probability does, and stay apart where that rounds to 1.
            order = draws.bits(d.ORDER) if self.random_commit else sample.odds
            count = share_of(self.commit_rate, draws.per_row(d.COMMIT_RATE), draws.size(hidden))
            committed = hidden & own & (draws.rank(order, hidden) < count)
            tokens = torch.where(committed, sample.token, tokens)
        weights = per_row_mean(hidden)
        if self.supervise == "all":
            weights = torch.where(own, per_row_mean(editable), weights)
        wrong = committed & (tokens != clean)
        sets = {"masked": hidden & ~committed, "wrong_commit": wrong, "right_commit": committed & ~wrong}
        return Corrupted(tokens, clean, weights, sets)
