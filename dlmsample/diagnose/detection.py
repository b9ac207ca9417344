"""How well a correction head tells wrong tokens from right ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dlmsample.diagnose.canvas import Canvas
from dlmsample.diagnose.report import ErrorDetection
from dlmsample.heads.calibrate import auc, precision_recall
from dlmsample.objectives.base import Batch, Ids
from dlmsample.objectives.fca import FCA


def scores(canvas: Canvas, ids: Ids) -> tuple[Tensor, Tensor]:
    """Error logit (float32) and whether the token is wrong (bool), ``[position]`` on the CPU.

    Of every visible answer position after the corruption that heads train on, :class:`dlmsample.objectives.fca.FCA`
    with its defaults: tokens the model predicted with less context, about two in each canvas.

    Source: arXiv:2601.06428, Sec. 4.2.
    """
    made = FCA().corrupt(Batch(canvas.clean, canvas.editable, canvas.keys, ids, canvas.blocks), canvas.logits)
    visible = made.sets["visible"]
    return canvas.error(made.input)[visible].float().cpu(), made.sets["wrong"][visible].cpu()


def summarise(parts: Sequence[tuple[Tensor, Tensor]]) -> ErrorDetection:
    """Ranking and operating point from what :func:`scores` gave for each batch.

    Raises:
        ValueError: an error logit that is not finite.
    """
    logits, wrong = (torch.cat(part) for part in zip(*parts, strict=True))
    area, found = auc(logits, wrong), precision_recall(logits, wrong)
    count, flagged, positives = len(wrong), found.flagged > 0, bool(wrong.any())
    return ErrorDetection(
        positions=count,
        positive_rate=float(wrong.double().mean()) if count else None,
        auc=None if math.isnan(area) else area,
        precision=found.precision if flagged else None,
        recall=found.recall if positives else None,
        f1=found.f1 if flagged or positives else None,
        flagged=found.flagged if count else None,
    )
