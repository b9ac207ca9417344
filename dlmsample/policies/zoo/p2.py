"""P2: "Path Planning for Masked Diffusion Model Sampling", with the denoiser as its own planner."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.policies.select import lowest
from dlmsample.policies.zoo.rcr import kept_after
from dlmsample.types import Block, EditInfo, Prediction, Update


class P2State(NamedTuple):
    steps: Tensor  #: int64 ``[row]``, S, the steps of this block


class P2(Policy):
    """Score every position by its log-probability, visible ones times η, and mask those with the lowest scores.

    Rule (arXiv:2502.03540, self-planning): a masked position scores ``log c`` of its candidate, a visible one
    ``η · log q`` of its token. After step s of S the ``⌊n·(1 − κ)⌋`` positions with the lowest scores are masked,
    κ = s/S; of the others, masked ones take their candidates and visible ones stay. η weighs how readily visible
    tokens are given up: 0 never (the greedy order of Unmask), 1 like candidates, above 1 more readily.

    When to use: with a fixed budget of forwards, when tokens should be given up for what the model says of them
    *now*. Not on checkpoints whose probabilities of visible tokens mean little, as after training on masks alone;
    lower η there. It costs ``steps`` forwards, fewer where a block is full before.

    Args:
        steps: policy updates for the whole answer (not for each block), shared by the blocks in proportion.
        eta: η, the stochasticity strength, 0 or more; the public code's default is 1.
        planner: what a visible position scores: ``standing``: q, of the token that stands there; ``candidate``: c,
            of what would be predicted there now, as the public code has it.
        eos: ``confidence``: on non-final steps a masked position whose candidate is an EOS is filled after every
            other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> P2(steps=32, eta=0.5).model_dump()
        {'steps': 32, 'eta': 0.5, 'planner': 'standing', 'eos': 'none'}

    Deviations: κ is linear. Ties go to the lower position (the public code masks fewer than it should). ``eos`` is
    ours. Other planners, a BERT or a trained one, are not here.
    """

    name: ClassVar[str] = "p2"
    summary: ClassVar[str] = "keep what scores best, visible tokens weighted by eta, mask the rest"
    paper: ClassVar[str] = "arXiv:2502.03540"

    steps: Annotated[int, Field(ge=1)] = 64
    eta: Annotated[float, Field(ge=0)] = 1.0
    planner: Literal["standing", "candidate"] = "standing"
    eos: fill.Eos = "none"

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("planner",)

    def init(self, block: Block) -> P2State:
        return P2State(fill.share(self.steps, block))

    def step(self, state: P2State, block: Block, pred: Prediction) -> tuple[P2State, Update]:
        keep = kept_after(block, state.steps)
        standing = pred.current_odds if self.planner == "standing" else pred.odds
        # −log p = log(1 + odds), in float64: another device's last bit must not decide between two classes; η = 0 puts
        # visible tokens before candidates of probability 1, too
        visible = self.eta * torch.log1p(standing.double()) if self.eta else torch.full_like(standing, -1).double()
        masked = torch.log1p(fill.order("confidence", block, pred, self.eos).double())
        kept = lowest(torch.where(block.masked, masked, visible), block.editable, keep)
        shown = torch.where(block.masked, pred.token, block.tokens)
        tokens = torch.where(block.editable & ~kept, block.mask_id, shown)
        return state, Update(tokens, keep >= block.size, EditInfo(0, 1 / (1 + standing)))

    def max_steps(self, block: Block) -> Tensor:
        return fill.share(self.steps, block)
