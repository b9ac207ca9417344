"""Is the confidence of masked tokens their accuracy: expected calibration error by mask rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlmsample.diagnose.canvas import Canvas
from dlmsample.diagnose.report import Calibration
from dlmsample.diagnose.stress import hidden
from dlmsample.predict import predict

BINS = 15


def expected_calibration_error(confidence: Tensor, right: Tensor, bins: int = BINS) -> float | None:
    """How far confidence and accuracy lie apart, ``Σ_b |B_b| / n · |acc(B_b) − conf(B_b)|`` over bins of equal width.

    Bin b (from 0) holds confidences in ``(b / bins, (b + 1) / bins]``, the first one 0 too.

    Args:
        confidence: float ``[position]``, probabilities.
        right: bool ``[position]``.
        bins: how many; 15 are usual.

    Returns:
        In [0, 1]; None over no position.

    Example:
        >>> expected_calibration_error(torch.tensor([0.5, 0.5, 1.0]), torch.tensor([True, False, True]))
        0.0

    Source: arXiv:1706.04599, Eq. 3; arXiv:2606.01026, Fig. 2 reports it and prints no number of bins.
    """
    if not len(confidence):
        return None
    given = confidence.double()
    place = ((given * bins).ceil().long() - 1).clamp(0, bins - 1)
    # |B| |acc - conf| is the size of the bin's summed difference.
    gaps = torch.bincount(place, weights=right.double() - given, minlength=bins)
    return float(gaps.abs().sum() / len(given))


def confidences(canvas: Canvas, mask_id: int, rate: float) -> tuple[Tensor, Tensor]:
    """The argmax's probability (float32) and whether it is gold (bool), ``[position]`` on the CPU.

    Of every position masked at ``rate``, from one forward in which nothing else is changed.
    """
    masked = hidden(canvas, rate)
    tokens = canvas.clean.masked_fill(masked, mask_id)
    found = predict(canvas.logits(tokens), tokens, mask_id)
    return found.prob[masked].cpu(), (found.token == canvas.clean)[masked].cpu()


def summarise(rate: float, parts: Sequence[tuple[Tensor, Tensor]]) -> Calibration:
    """One line of the table from what :func:`confidences` gave for each batch."""
    confidence, right = (torch.cat(part) for part in zip(*parts, strict=True))
    count = len(right)
    return Calibration(
        mask_rate=rate,
        positions=count,
        accuracy=float(right.double().mean()) if count else None,
        confidence=float(confidence.double().mean()) if count else None,
        ece=expected_calibration_error(confidence, right),
    )
