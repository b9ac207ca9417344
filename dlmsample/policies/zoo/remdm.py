"""ReMDM: stochastic remasking, "Remasking Discrete Diffusion Models with Inference-Time Scaling"."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from dlmsample import rng
from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.types import Block, EditInfo, Prediction, Update

_ETA = {"cap": 0.008, "rescale": 0.015, "conf": 1.0}
_LOOP_ETA = 0.02


class ReMDMState(NamedTuple):
    steps: Tensor  #: int64 ``[row]``, T, the steps of this block
    sure: Tensor  #: float32 ``[row, pos]``, ψ, the confidence with which each position was committed


class _Times(NamedTuple):
    """A step of the reverse process; all float64 or bool ``[row, 1]``."""

    alpha: Tensor  #: α_t, the share of tokens that should be visible before the step
    alpha_next: Tensor  #: α_s, and after it
    remasks: Tensor  #: σ may be above 0
    final: Tensor


class ReMDM(Policy):
    """Every step unmasks and remasks at random, at rates that keep the expected share of visible tokens on schedule.

    Rule (arXiv:2503.00307): with ``t = 1 − k/T`` before step k and ``s = t − 1/T`` after it,
    ``α_t = 1 − t``, a visible token is masked with probability σ, and a masked position takes its candidate with
    probability ``(α_s − (1 − σ)·α_t) / (1 − α_t)``; the final step fills all. With ``σ_max = min(1, (1 − α_s)/α_t)``:
    ``cap``: σ = min(η, σ_max); ``rescale``: σ = η·σ_max; ``conf``: σ = η·σ_max times the softmax of −ψ over the
    block's visible positions, ψ the confidence at the time of commitment, and 0 where masked. ``switch``: σ = 0 while
    t > t_on. ``loop``: α rises to ``alpha_on`` at t_on, stays there while tokens are exchanged, and rises to 1 from
    t_off on; outside the loop σ = 0.

    When to use: where many steps are affordable and samples should be diverse (temperature 1, top_p 0.9, as in the
    paper). Not with few steps: which positions are filled is left to chance, so that Unmask and D3IM are better at
    equal cost. It costs ``steps`` forwards; fewer where a block is full and nothing can be remasked any more.

    Args:
        steps: T, policy updates for the whole answer (not for each block), shared by the blocks in proportion; the
            public code: 1024 for 1024 tokens.
        sigma: cap, rescale or conf.
        eta: η; None: the paper's values for T = 1024: cap 0.008, rescale 0.015, conf 1; in a loop 0.02.
        when: ``always``; ``switch``; ``loop``.
        t_on: where switch and loop begin to remask; the paper's loop: 0.55.
        t_off: where the loop ends; the paper: 0.05.
        alpha_on: α during the loop; the paper: 0.9.

    Raises:
        ValueError: an unknown option, one out of range, or two that do not fit together.

    Example:
        >>> ReMDM(sigma="rescale").level
        0.015

    ``eta=0`` is LLaDA's random remasking: each masked position stays masked with probability s/t. Deviations: time
    runs in each block; the final step fills what is left (the paper: one more forward); ψ is untempered.
    """

    name: ClassVar[str] = "remdm"
    summary: ClassVar[str] = "unmask and remask at random, on schedule"
    paper: ClassVar[str] = "arXiv:2503.00307"

    steps: Annotated[int, Field(ge=1)] = 64
    sigma: Literal["cap", "rescale", "conf"] = "cap"
    eta: Annotated[float, Field(ge=0, le=1)] | None = None
    when: Literal["always", "switch", "loop"] = "always"
    t_on: Annotated[float, Field(gt=0, lt=1)] = 0.55
    t_off: Annotated[float, Field(gt=0, lt=1)] = 0.05
    alpha_on: Annotated[float, Field(gt=0, lt=1)] = 0.9

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.when == "loop" and self.t_off >= self.t_on:
            raise ValueError(f"a loop runs from t_on down to t_off: {self.t_on} is not above {self.t_off}")
        if self.when == "loop" and self.sigma == "conf":
            raise ValueError("conf gives masked positions no share of sigma, so a loop would never fill: set sigma=cap")
        return self

    @property
    def level(self) -> float:
        """η in force."""
        standard = _LOOP_ETA if self.when == "loop" else _ETA[self.sigma]
        return standard if self.eta is None else self.eta

    @property
    def reasons(self) -> tuple[str, ...]:
        return (self.sigma,)

    @property
    def draws(self) -> bool:
        return True

    def init(self, block: Block) -> ReMDMState:
        return ReMDMState(fill.share(self.steps, block), torch.ones_like(block.tokens, dtype=torch.float32))

    def step(self, state: ReMDMState, block: Block, pred: Prediction) -> tuple[ReMDMState, Update]:
        now = self._times(block.step, state.steps)
        sigma = torch.where(now.remasks, self._sigma(now, state, block), 0.0)
        shown = (now.alpha_next - (1 - sigma) * now.alpha) / (1 - now.alpha)
        positions = torch.arange(block.tokens.shape[1], device=block.tokens.device)
        draw = rng.uniform(rng.fold(block.key[:, None], rng.OWN, positions)).double()
        filled = block.masked & (now.final | (draw < shown))
        remasked = block.visible & (draw < sigma)
        tokens = torch.where(filled, pred.token, torch.where(remasked, block.mask_id, block.tokens))

        full = block.is_full(tokens)
        next_t = (state.steps - block.step - 1) / state.steps.double()
        later = (block.step + 2 < state.steps) & ((next_t > self.t_off) | (self.when != "loop")) & (self.level > 0)
        sure = torch.where(filled, pred.prob, state.sure)
        done = now.final[:, 0] | (full & ~later)
        return ReMDMState(state.steps, sure), Update(tokens, done, EditInfo(0, sigma.float().expand_as(sure)))

    def _times(self, step: Tensor, steps: Tensor) -> _Times:
        step, steps = step[:, None], steps[:, None]
        final = step >= steps - 1
        t = (steps - step) / steps.double()
        alpha, alpha_next = step / steps.double(), (step + 1) / steps.double()
        if self.when == "loop":
            rising = self.alpha_on / (1 - self.t_on)
            falling = (1 - self.alpha_on) / self.t_off
            s = (steps - step - 1) / steps.double()
            early, late = t > self.t_on, t <= self.t_off
            alpha = torch.where(early, alpha * rising, torch.where(late, 1 - t * falling, self.alpha_on))
            alpha_next = torch.where(early, alpha_next * rising, torch.where(late, 1 - s * falling, self.alpha_on))
            return _Times(alpha, alpha_next, ~(early | late | final), final)
        remasks = ~final & (t <= self.t_on) if self.when == "switch" else ~final
        return _Times(alpha, alpha_next, remasks, final)

    def _sigma(self, now: _Times, state: ReMDMState, block: Block) -> Tensor:
        """σ, float64 ``[row, 1]`` or ``[row, pos]``."""
        most = ((1 - now.alpha_next) / now.alpha.clamp(min=1e-300)).clamp(max=1.0)
        if self.sigma == "cap":
            return most.clamp(max=self.level)
        if self.sigma == "rescale":
            return most * self.level
        weight = torch.where(block.visible, torch.exp(-state.sure.double()), 0.0)
        return most * self.level * weight / weight.sum(-1, keepdim=True).clamp(min=1e-300)

    def max_steps(self, block: Block) -> Tensor:
        return fill.share(self.steps, block)
