"""PC-Sampler: position-aware, frequency-corrected confidence as a fill score."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.chain import Chain, NamedChain, chain
from dlmsample.policies.fill import Fill
from dlmsample.policies.piece import STRICT, Positive
from dlmsample.policies.select import lowest
from dlmsample.policies.zoo import frequencies as counts
from dlmsample.types import Block, Prediction


@dataclass(frozen=True, config=STRICT)
class Calibrated(Fill):
    """A quota or a budget of steps that goes by PC-Sampler's score, highest first; see :class:`PCSampler`.

    Args:
        tokens_per_step: tokens a step; None where ``steps`` is given.
        steps: a budget for the whole answer, as in :class:`dlmsample.policies.fill.Steps`.
        position_weight: λ.
        clip: α.
        frequencies: a file of token counts, or None.
        eos: as in :class:`dlmsample.policies.fill.Quota`.
    """

    rule: ClassVar[str] = "calibrated"
    tokens_per_step: Positive | None = None
    steps: Positive | None = None
    position_weight: Annotated[float, Field(strict=True, ge=0)] = 0.25
    clip: Annotated[float, Field(strict=True, gt=0)] = 10.0
    frequencies: str | None = None
    eos: fill.Eos = "none"

    def __post_init__(self) -> None:
        self.table()  # a file that cannot be read is an error now

    @property
    def needs(self) -> frozenset[str]:
        return frozenset() if self.frequencies is None else frozenset({"listed"})

    def table(self) -> Tensor | None:
        return None if self.frequencies is None else counts.surprisal(self.frequencies)

    def score(self, block: Block, pred: Prediction) -> Tensor:
        """float32 ``[row, pos]``: ``exp(-λ i) · min(c · -log f(x̂), α)``; without a table ``exp(-λ i) · c``."""
        salience = pred.prob
        if self.frequencies is not None:
            salience = (pred.prob * fill.needed(pred.listed, "listed")).clamp(max=self.clip)
        # within a block only ratios of weights count: they are those of positions counted from the answer's first
        place = block.editable.cumsum(-1) - 1
        return torch.exp(-self.position_weight * place.float()) * salience

    def choose(self, block: Block, pred: Prediction) -> Tensor:
        ranked = fill.eos_last(-self.score(block, pred), block, pred.token, self.eos)
        count = (self.tokens_per_step or 1) if self.steps is None else fill.due(self.steps, block)
        return lowest(ranked, block.masked, count)

    def max_steps(self, block: Block) -> Tensor:
        if self.steps is None:
            count = self.tokens_per_step or 1
            return (block.size + count - 1) // count
        return torch.minimum(fill.share(self.steps, block), block.size)


class PCSampler(NamedChain):
    """Fill by confidence times surprisal of the token, weighted towards the left; nothing is revised.

    Rule (PC-Sampler, arXiv:2508.13021, its algorithm): position i, counted from the answer's first, scores
    ``exp(-λ i) · min(c · -log f(x̂), α)``, where c is the candidate's confidence and f its frequency in a
    reference corpus. Frequent tokens (punctuation, fillers) score low however sure they are, and λ sets how far
    to the left the filling stays. A step fills the masks that score highest: ``tokens_per_step`` of them, or an
    even split of ``steps`` over the answer as in Unmask.

    When to use: with the whole answer as one block, where confidence alone fills both ends first and then the
    middle. The paper takes λ = 0.25 for mathematics and code, 0 for Sudoku, 0.5 for Countdown (its scripts: 1),
    α = 10. Not with small blocks: they order the positions already. It costs what Unmask costs; the table of
    surprisals is 4 bytes for each id of the vocabulary.

    Args:
        tokens_per_step: tokens, >= 1; None with steps, else 1.
        steps: policy updates for the whole answer (not for each block), >= 1. Blocks share them by their length: of 40
            steps for 160 tokens in blocks of 32 each block takes 8, and each at least 1.
        position_weight: λ, for each position; 0: no preference for the left.
        clip: α, nats, above 0; a larger score counts as this one. Read only with frequencies.
        frequencies: a file of token counts, the published baselines' format; None: no correction, c stands alone.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: both budgets, an option out of range, or a file that cannot be read.

    Example:
        >>> PCSampler(tokens_per_step=2, position_weight=0.5).model_dump(exclude_none=True)
        {'tokens_per_step': 2, 'position_weight': 0.5, 'clip': 10.0, 'eos': 'none'}

    Counts are made by :func:`dlmsample.policies.zoo.frequencies.write`. Deviations: the paper prints log f without
    its sign (the published code has ours, and adds 1e-9 to f); without a file of counts the score is the weighted
    confidence, which is ours; a tie goes to the left.
    """

    name: ClassVar[str] = "pc_sampler"
    summary: ClassVar[str] = "fill by position-weighted, frequency-corrected confidence"
    paper: ClassVar[str] = "arXiv:2508.13021"
    files: ClassVar[frozenset[str]] = frozenset({"frequencies"})

    tokens_per_step: Annotated[int, Field(ge=1)] | None = None
    steps: Annotated[int, Field(ge=1)] | None = None
    position_weight: Annotated[float, Field(ge=0)] = 0.25
    clip: Annotated[float, Field(gt=0)] = 10.0
    frequencies: str | None = None
    eos: fill.Eos = "none"

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.tokens_per_step is not None and self.steps is not None:
            raise ValueError("give one of tokens_per_step, steps, not both")
        return self

    def compose(self) -> Chain:
        options: dict[str, Any] = self.model_dump()
        return chain(Calibrated(**options))
