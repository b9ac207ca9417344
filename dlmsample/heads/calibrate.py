"""How well error logits tell wrong tokens from right ones, and the offset that makes 0.5 the operating point.

Every function takes the error logits and the truth of the positions that count (visible answer tokens), in any shape
that both have. They copy numbers to the host, so call them after a run and never inside a step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Detection(NamedTuple):
    """How well tokens are flagged by P_error > 0.5; a ratio over nothing is 0."""

    precision: float  #: wrong among flagged
    recall: float  #: flagged among wrong
    f1: float  #: their harmonic mean
    flagged: float  #: flagged among all


def choose_offset(error_logits: Tensor, wrong: Tensor) -> float:
    """The offset on the error logit for which "P_error > 0.5" has the best F1 (arXiv:2601.06428 prints no threshold).

    Every threshold is tried: sort, then ``F1(m) = 2·TP(m) / (m + wrong)`` for the m highest logits, wherever two
    neighbours differ. The cut is half way between those two; behind the lowest logit it is 1 lower. Among
    equal F1 the higher threshold (fewer flagged) wins; with no wrong token nothing is flagged.

    Args:
        error_logits: float, any shape, as the head gives them (:meth:`CorrectionHead.add_offset` adds the result
            to the offset that they hold already).
        wrong: bool, same shape.

    Raises:
        ValueError: nothing to choose from, shapes that differ, or a logit that is not finite.

    Example:
        >>> choose_offset(torch.tensor([-5.0, -3.0, -1.0]), torch.tensor([False, True, True]))
        4.0
    """
    logits, truth = _flat(error_logits, wrong)
    if not len(logits):
        raise ValueError("no position to choose an offset from: calibrate on a split with visible answer tokens")
    order = logits.sort(descending=True)
    upper, last = order.values, order.values[-1:]
    lower = torch.cat([upper[1:], torch.minimum(last - 2, last.nextafter(torch.full_like(last, -torch.inf)))])
    flagged = torch.arange(1, len(logits) + 1, device=logits.device)
    f1 = 2 * truth[order.indices].cumsum(0) / (flagged + truth.sum())
    f1 = f1.masked_fill(upper == lower, -1.0)  # equal logits are flagged together
    best = int((f1 == f1.max()).int().argmax())  # the first: the highest threshold
    if float(f1[best]) <= 0:
        return float(-upper[0])
    between = (upper[best] + lower[best]) / 2
    return float(-torch.where(between < upper[best], between, lower[best]))  # neighbouring floats have no middle


def auc(error_logits: Tensor, wrong: Tensor) -> float:
    """Area under the ROC curve: how often a wrong token's logit exceeds a right one's, a tie counting half.

    By ranks (Mann-Whitney), equal logits sharing their mean rank; nan where all tokens are right or all wrong.

    Raises:
        ValueError: shapes that differ, or a logit that is not finite.

    Example:
        >>> auc(torch.tensor([0.0, 1.0, 1.0, 2.0]), torch.tensor([False, False, True, True]))
        0.875
    """
    logits, truth = _flat(error_logits, wrong)
    _, place, count = logits.unique(return_inverse=True, return_counts=True)
    rank = (count.cumsum(0) - (count - 1) / 2.0)[place].double()
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def precision_recall(error_logits: Tensor, wrong: Tensor) -> Detection:
    """Precision, recall, F1 and share flagged at P_error > 0.5, that is error logit > 0.

    Raises:
        ValueError: shapes that differ, or a logit that is not finite.

    Example:
        >>> precision_recall(torch.tensor([2.0, 1.0, -1.0, -2.0]), torch.tensor([True, False, True, False]))
        Detection(precision=0.5, recall=0.5, f1=0.5, flagged=0.5)
    """
    logits, truth = _flat(error_logits, wrong)
    flagged = logits > 0
    hits, said, real = int((flagged & truth).sum()), int(flagged.sum()), int(truth.sum())
    return Detection(
        precision=hits / max(said, 1),
        recall=hits / max(real, 1),
        f1=2 * hits / max(said + real, 1),
        flagged=said / max(len(truth), 1),
    )


def _flat(error_logits: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
    if error_logits.shape != wrong.shape or wrong.dtype != torch.bool:
        raise ValueError(
            f"error logits {tuple(error_logits.shape)} need a bool tensor of that shape beside them, "
            f"not {wrong.dtype} {tuple(wrong.shape)}"
        )
    logits = error_logits.detach().float().flatten()
    if not bool(logits.isfinite().all()):
        raise ValueError("an error logit is not finite: the head diverged, or its weights are damaged")
    return logits, wrong.flatten()
