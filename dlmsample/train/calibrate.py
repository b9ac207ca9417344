"""The operating point of a trained correction head, from the validation split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from dlmsample.objectives.base import Ids, Objective
from dlmsample.train.config import TrainConfig
from dlmsample.train.data.batches import BatchSteps
from dlmsample.train.data.layout import MicroBatch, lay_out
from dlmsample.train.model import corrupt


def validation(config: TrainConfig, pad: int, count: int, rows: int | None = None) -> Iterator[MicroBatch]:
    """The first ``count`` rows of the validation split, rounded up to batches of ``rows`` (None: one batch)."""
    size = min(rows or count, count)
    small = {"batch_size": size, "micro_batches": 1, "steps": -(-count // size)}
    steps = BatchSteps(config.model_copy(update=small), pad, split="valid")
    for step in range(small["steps"]):
        yield steps[step][0]


@torch.no_grad()
def measure(
    config: TrainConfig, model: nn.Module, objective: Objective, ids: Ids, pad: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Error logits and whether the token is wrong, at every visible answer position of the validation rows.

    The rows are corrupted as in training, each by the key of its index: the same at every call.

    Returns:
        float32 and bool, ``[position]``, on the CPU.
    """
    assert config.head is not None
    logits, wrong = [], []
    for part in validation(config, pad, config.head.calibration_rows, config.batch_size // config.micro_batches):
        batch = lay_out(config, part, device)
        window = corrupt(objective, model, batch, ids).input
        error = model(batch, window, frozenset({"error"}))
        counts = batch.editable & (window != ids.mask)
        logits.append(error[counts].float().cpu())
        wrong.append((window != batch.clean)[counts].cpu())
    return torch.cat(logits), torch.cat(wrong)


def calibrate(head: Any, logits: Tensor, wrong: Tensor) -> dict[str, float | None]:
    """Move the head's offset so that 0.5 is its operating point; what it then does, for the record.

    Without a wrong or without a right token there is no AUC: None.
    """
    from dlmsample.heads import auc, choose_offset, precision_recall

    shift = choose_offset(logits, wrong)
    head.add_offset(shift)
    found = precision_recall(logits + shift, wrong)
    area = auc(logits, wrong)
    return {
        "auc": None if math.isnan(area) else area,
        "positive_rate": float(wrong.float().mean()),
        "positions": len(wrong),
        "offset": head.config.offset,
        **{name: float(value) for name, value in found._asdict().items()},
    }
