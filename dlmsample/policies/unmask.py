"""Unmask: commit masked positions and never look back; the fill rule every other policy is compared with."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from dlmsample.policies import fill
from dlmsample.policies.chain import Chain, NamedChain, chain


class Unmask(NamedChain):
    """Commit the most confident masked positions of each step; committed tokens are never revised.

    Rule (LLaDA, arXiv:2502.09992, low-confidence remasking; threshold form: Fast-dLLM, arXiv:2505.22618): step
    s of a block commits the ``n_s`` masked positions that rank first. ``tokens_per_step=k``: n_s = k.
    ``steps=N``: the budget of the whole answer, shared by the blocks in proportion and split evenly within a
    block, the remainder on the earliest steps. ``threshold=τ``: every position with ``c > τ``, at least
    ``min_commit``. ``entropy_bound=b``: in order of rising entropy while the sum of the previous ones is <= b
    nats. Give one of the four; none of them: one token per step.

    When to use: as the reference for every other policy, and where nothing may be revised. ``tokens_per_step=1`` is
    the most careful decoding, at one forward per token.

    Args:
        tokens_per_step: tokens, >= 1.
        steps: policy updates for the whole answer (not for each block), >= 1. Blocks share them by their length: of 40
            steps for 160 tokens in blocks of 32 each block takes 8, and each at least 1.
        threshold: probability in [0, 1], strict.
        entropy_bound: nats, >= 0.
        min_commit: tokens a threshold step commits at least.
        score: what ranks the positions: confidence, margin, entropy or random.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: more than one budget, an option out of range, or one that the budget does not read.

    Example:
        >>> Unmask(tokens_per_step=2).model_dump(exclude_none=True)
        {'tokens_per_step': 2, 'min_commit': 1, 'score': 'confidence', 'eos': 'none'}

    Deviations: the mask id is never a candidate and confidence is float32 (LLaDA: model dtype, mask id allowed). What
    ``eos="confidence"`` (arXiv:2606.01026, App. B.2) means under a threshold or an entropy bound is ours: an EOS is
    not accepted while a masked position has another candidate.
    """

    name: ClassVar[str] = "unmask"
    summary: ClassVar[str] = "commit the most confident masks, never revise"
    paper: ClassVar[str] = "arXiv:2502.09992"

    tokens_per_step: Annotated[int, Field(ge=1)] | None = None
    steps: Annotated[int, Field(ge=1)] | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    entropy_bound: Annotated[float, Field(ge=0)] | None = None
    min_commit: Annotated[int, Field(ge=1)] = 1
    score: fill.Score = "confidence"
    eos: fill.Eos = "none"

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        budgets = ("tokens_per_step", "steps", "threshold", "entropy_bound")
        given = [name for name in budgets if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(budgets)}, not {' and '.join(given)}")
        if self.entropy_bound is not None and self.score != "confidence":
            raise ValueError("entropy_bound goes by rising entropy: leave score out")
        if self.threshold is None and self.min_commit != 1:
            raise ValueError("min_commit belongs to threshold: give a threshold, or leave it out")
        return self

    def compose(self) -> Chain:
        if self.threshold is not None:
            return chain(fill.Threshold(self.threshold, self.min_commit, self.score, self.eos))
        if self.entropy_bound is not None:
            return chain(fill.EntropyBound(self.entropy_bound, eos=self.eos))
        if self.steps is not None:
            return chain(fill.Steps(self.steps, self.score, self.eos))
        return chain(fill.Quota(self.tokens_per_step or 1, self.score, self.eos))
