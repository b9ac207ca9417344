"""T2M: token-to-mask refinement, "Remask, Don't Replace"."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlmsample.policies import detect, edit, fill
from dlmsample.policies.chain import Chain, NamedChain, chain

Detector = Literal["low_prob", "t2t_remask", "logit_diff"]


_DETECTORS = {"low_prob": detect.LowProb, "t2t_remask": detect.T2TRemask, "logit_diff": detect.LogitDiff}


class T2M(NamedChain):
    """Fill above a threshold and reset suspicious tokens to mask, under two safety caps.

    Rule (arXiv:2604.18738, Eqs. 2–5, Algorithm 1): threshold fill as in T2T; then, among the editable positions
    visible *before* the fill, the detector flags suspects. A position is reset at most ``max_remasks`` times in
    a block (C_max), and at most ``max(min_per_step, ⌊max_ratio·|E|⌋)`` positions a step (ρ_max), the worst
    first. Done as in T2T.

    When to use: on any checkpoint, trained for editing or not, where a threshold fill commits some tokens too early:
    a reset position is decided anew, with more context.

    Args:
        detector: ``low_prob``: q < τ; ``t2t_remask``: c > τ and x̂ ≠ z; ``logit_diff``: q fell by more than τ in a step.
        threshold: τ, a probability; None: 0.3, 0.9, 0.3 by detector.
        max_remasks: C_max; 0 switches editing off.
        max_ratio: ρ_max, a share of the visible editable positions.
        min_per_step: 1 as in the paper's code; 0 gives the paper's floor.
        fill_threshold: probability, strict.
        max_post_steps: forwards of a block that may see it free of masks.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> T2M(detector="t2t_remask").level
        0.9

    Deviations (the text and its code disagree): |E| is counted before the fill, q is computed with the token
    visible, and counters are never reset in mid-block. The meaning of ``eos="confidence"`` under a threshold is ours;
    see :class:`dlmsample.policies.fill.Threshold`.
    """

    name: ClassVar[str] = "t2m"
    summary: ClassVar[str] = "threshold fill + reset suspicious tokens to mask, capped"
    paper: ClassVar[str] = "arXiv:2604.18738"

    detector: Detector = "low_prob"
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    max_remasks: Annotated[int, Field(ge=0)] = 1
    max_ratio: Annotated[float, Field(ge=0, le=1)] = 0.25
    min_per_step: Annotated[int, Field(ge=0)] = 1
    fill_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    max_post_steps: Annotated[int, Field(ge=0)] = 16
    eos: fill.Eos = "none"

    @property
    def level(self) -> float:
        """The detector's threshold in force."""
        return self._detector.threshold

    @property
    def _detector(self) -> detect.LowProb | detect.T2TRemask | detect.LogitDiff:
        rule = _DETECTORS[self.detector]
        return rule() if self.threshold is None else rule(self.threshold)

    def compose(self) -> Chain:
        return chain(
            fill.Threshold(self.fill_threshold, eos=self.eos),
            edit.Remask(self._detector, self.max_remasks, self.max_ratio, self.min_per_step, self.max_post_steps),
        )
