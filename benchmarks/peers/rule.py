"""What every decoder is given and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.policies.base import Policy


class Unfit(Exception):
    """A decoder that cannot do a job; the text says why."""


@dataclass(frozen=True)
class Rule:
    """A policy as a plain loop knows it: which masks are filled at a step, and which tokens are replaced."""

    per_step: int | None  #: fill this many, the most confident
    fill: float = 1.0  #: or every one with a confidence above this, at least one
    edit: float | None = None  #: replace tokens the model now disagrees with at a confidence above this
    post: int = 0  #: forwards of a block without masks


@dataclass(frozen=True)
class Job:
    """Prompts ``[row, pos]`` of one length to answer with ``new`` tokens each."""

    model: ds.Denoiser
    prompts: Tensor
    new: int
    policy: Policy

    @property
    def width(self) -> int:
        """Positions of a block."""
        return self.model.block_length

    @property
    def rule(self) -> Rule:
        """The policy.

        Raises:
            Unfit: the plain loops do not know it.
        """
        policy = self.policy
        if isinstance(policy, ds.Unmask) and policy.score == "confidence" and policy.min_commit == 1:
            if policy.threshold is not None:
                return Rule(None, fill=policy.threshold)
            if policy.steps is None and policy.entropy_bound is None:
                return Rule(policy.tokens_per_step or 1)
        if isinstance(policy, ds.T2T):
            off = policy.edit_threshold is None
            return Rule(None, policy.fill_threshold, policy.edit_threshold, 0 if off else policy.max_post_steps)
        raise Unfit(f"knows no {policy!r}")

    def canvas(self) -> Tensor:
        """The prompts, then masks, in whole blocks for a block-causal checkpoint.

        Raises:
            Unfit: a last block that would be short.
        """
        rows, length = self.prompts.shape
        if self.model.attention == "block_causal" and (length + self.new) % self.width:
            raise Unfit("the canvas is not made of whole blocks")
        masks = torch.full((rows, self.new), self.model.mask_id, device=self.prompts.device)
        return torch.cat([self.prompts, masks], 1)


@dataclass(frozen=True)
class Answer:
    """Tokens ``[row][position]``, the forwards made, and how many of them changed the answer."""

    tokens: list[list[int]]
    forwards: int
    steps: int
    together: bool = True  #: every row ended with the same forward


@dataclass(frozen=True)
class Opened:
    """A decoder ready for its job; called, it does it."""

    model: ds.Denoiser  #: what it runs: ours may have compiled one of its own, on the same weights
    run: Callable[[], Answer]

    def __call__(self) -> Answer:
        return self.run()
