"""Self-Generated T2T: editing learned on the model's own drafts, "Self-Generated Error Training for Token Editing"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from dlmsample.objectives import draws as d
from dlmsample.objectives.base import Batch, Corrupted, Draft
from dlmsample.objectives.draws import Draws, Share, ShareRange
from dlmsample.objectives.t2t import TokenToToken


class SelfGeneratedT2T(TokenToToken):
    """Back-fill masked positions with the model's own argmax drafts, and predict gold everywhere.

    Rule (arXiv:2606.17175, Sec. 3.2, Eq. 3): mask each editable token with a probability m; one forward without
    gradient on that input; each masked position stays masked with a probability s, else takes its argmax draft, or,
    with probability ``random_probability``, a random token other than gold; each gold token that was never masked
    is replaced by a random one with a probability r. The loss is the weighted mean of the cross-entropy over masked,
    wrong and right positions of the sequence (:class:`TokenToToken`); a right draft is a right position.

    Args:
        mask_ratio: range of m, uniform.
        edit_ratio: range of r, uniform.
        draft_remask: range of s, uniform.
        random_probability: chance of a random token in place of a draft.
        masked_weight: λ of the masked positions.
        wrong_weight: λ of the wrong visible positions.
        right_weight: λ of the right visible positions.
        normalise: ``tokens``: one mean over all supervised tokens; ``set``: a mean for each of the three sets.

    Raises:
        ValueError: an unknown option, one out of range, or no ``draft``.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, every = torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4, dtype=torch.bool)
        >>> always_six = lambda tokens: torch.eye(40)[torch.full_like(tokens, 6)]
        >>> rule = SelfGeneratedT2T(mask_ratio=1, draft_remask=0, random_probability=0)
        >>> out = rule.corrupt(Batch(clean, every, torch.tensor([3]), Ids(2, (0, 1, 2), 40)), always_six)
        >>> out.input.tolist(), out.sets["right"].tolist()
        ([[6, 6, 6, 6]], [[False, True, False, False]])

    Source: arXiv:2606.17175. The three ranges and the weights are ours (lost in our copy); that the draft pass sees
    gold and masks only, not the edited gold tokens, too. "num_forwards=2" is read as the draft and the supervised
    forward. m, r and s are drawn per sequence, and per block where the batch has any.
    """

    name: ClassVar[str] = "self_generated_t2t"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "t2t"}
    edit_ratio: ShareRange = (0.0, 0.0)
    draft_remask: ShareRange = (0.0, 1.0)
    random_probability: Share = 0.05

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`. Sets: ``masked``, ``wrong``, ``right``."""
        clean, editable, ids = batch.clean, batch.editable, batch.ids
        draws = Draws(batch.keys, clean, batch.blocks)
        masked = self.masked(editable, draws)
        drafts = d.candidates("SelfGeneratedT2T", draft, clean.masked_fill(masked, ids.mask), draws, ids, 0.0).token
        left = masked & (draws.per_position(d.KEEP) < draws.rate(d.KEEP_RATE, self.draft_remask))
        edited = draws.per_position(d.EDIT) < draws.rate(d.EDIT_RATE, self.edit_ratio)
        replaced = draws.per_position(d.REPLACE) < self.random_probability
        random = editable & torch.where(masked, replaced, edited)
        tokens = torch.where(masked, drafts, clean)
        tokens = torch.where(random, d.random_token(clean, draws.bits(d.TOKEN), ids), tokens)
        return self.supervise(batch, tokens, left)
