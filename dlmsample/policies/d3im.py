"""D3IM: clean-slate re-prediction, "Revise, Don't Freeze"."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Asked, Policy
from dlmsample.policies.select import lowest
from dlmsample.types import Block, Prediction, Update


class D3IMState(NamedTuple):
    steps: Tensor  #: int64 ``[row]``, S, the steps of this block


class D3IM(Policy):
    """Re-predict every position of the block at each step, keep the k most confident candidates, mask the rest.

    Rule (arXiv:2606.01026, Algorithm 1, App. B): step s keeps ``k_s`` candidates, the running total of the
    Unmask quota; the final step accepts all. A token may be kept, overwritten or demoted in one step. All S
    steps are made. No thresholds.

    When to use: for a fixed budget of forwards, on short answers decoded as one block (``block_length="all"``, as in
    the paper), best on a checkpoint trained with the objective scope.

    Args:
        steps: policy updates for the whole answer (not for each block), shared by the blocks in proportion.
        t2t: a visible position's candidate is the new prediction (False: its standing token, with confidence q).
        t2m: visible positions compete and may be masked again (False: all are kept, only the masked ones compete).
        eos: ``confidence``: on non-final steps a candidate that is EOS ranks after every other; ``none``;
            ``logit_nonfinal``, ``logit_all``: EOS gets logit -inf on the non-final / on all steps (App. B.2, Table 6).

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> D3IM(steps=32).model_dump()
        {'steps': 32, 't2t': True, 't2m': True, 'eos': 'confidence'}

    Deviations: the schedule ("the same linear schedule"), the value of the EOS confidence and the rule of
    ``t2t=False`` are not printed; ours are above. With both channels off a full block ends at once, so that
    with ``eos="none"`` it is Unmask.
    """

    name: ClassVar[str] = "d3im"
    summary: ClassVar[str] = "re-predict everything each step, keep the top k"
    paper: ClassVar[str] = "arXiv:2606.01026"

    steps: Annotated[int, Field(ge=1)] = 64
    t2t: bool = True
    t2m: bool = True
    eos: Literal["confidence", "none", "logit_nonfinal", "logit_all"] = "confidence"

    def init(self, block: Block) -> D3IMState:
        return D3IMState(fill.share(self.steps, block))

    def asks(self, state: D3IMState, block: Block) -> Asked:
        if self.eos == "logit_all":
            return Asked(no_eos=torch.ones_like(block.step, dtype=torch.bool))
        return Asked(no_eos=block.step < state.steps - 1 if self.eos == "logit_nonfinal" else None)

    def step(self, state: D3IMState, block: Block, pred: Prediction) -> tuple[Any, Update]:
        final = block.step >= state.steps - 1
        _, keep = fill.even_split(block.size, state.steps, block.step)
        candidate, odds = pred.token, pred.odds
        if not self.t2t:
            candidate = torch.where(block.visible, block.tokens, candidate)
            odds = torch.where(block.visible, pred.current_odds, odds)
        if self.eos == "confidence":  # the final step keeps everything, in whatever order
            odds = fill.eos_last(odds, block, candidate, "confidence")
        if self.t2m:
            kept = lowest(odds, block.editable, keep)
        else:
            kept = block.visible | lowest(odds, block.masked, keep - block.visible.sum(-1))
        kept = torch.where(final[:, None], block.editable, kept)

        tokens = torch.where(kept, candidate, torch.where(block.editable, block.mask_id, block.tokens))
        frozen = not (self.t2t or self.t2m)
        full = ~(block.editable & ~kept).any(-1)
        return state, Update(tokens, final | full if frozen else final)

    def max_steps(self, block: Block) -> Tensor:
        return fill.share(self.steps, block)
