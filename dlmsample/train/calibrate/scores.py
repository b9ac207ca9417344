"""What a trained correction head says of the validation rows, and the operating point that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from dlmsample.objectives.base import Ids, Objective
from dlmsample.support.progress import Progress
from dlmsample.train.calibrate.operating import choose, operating_point
from dlmsample.train.config import TrainConfig
from dlmsample.train.data.batches import BatchSteps, make_source
from dlmsample.train.data.layout import MicroBatch, lay_out
from dlmsample.train.data.source import RowSource
from dlmsample.train.model import StreamModel, corrupt


def validation(config: TrainConfig, pad: int, count: int) -> Iterator[MicroBatch]:
    """The first ``count`` rows of the validation split, in one batch."""
    yield from _batches(config, make_source(config, "valid"), pad, count, count)


def _batches(config: TrainConfig, source: RowSource, pad: int, count: int, rows: int) -> Iterator[MicroBatch]:
    size = min(rows, count)
    small = {"batch_size": size, "micro_batches": 1, "steps": -(-count // size)}
    steps = BatchSteps(config.model_copy(update=small), pad, source=source)
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
    source, rows = make_source(config, "valid"), config.batch_size // config.micro_batches
    count = config.head.calibration_rows
    if source.size is not None:  # 2,048 draws from one row say nothing more than the row
        count = min(count, source.size)
    with Progress(count, True, "calibrating the head", "batches") as bar:
        for part in _batches(config, source, pad, count, rows):
            batch = lay_out(config, part, device)
            window = corrupt(objective, model, batch, ids).input
            error = model(batch, window, frozenset({"error"}))
            counts = batch.editable & (window != ids.mask)
            logits.append(error[counts].float().cpu())
            wrong.append((window != batch.clean)[counts].cpu())
            bar.tick(len(part.keys))
    return torch.cat(logits), torch.cat(wrong)


def calibrate(config: TrainConfig, model: StreamModel, logits: Tensor, wrong: Tensor) -> dict[str, Any]:
    """Move the head's offset so that 0.5 is its operating point, and say for the record what it then does.

    The point is the threshold that decodes the validation problems best within the budget of
    :class:`~dlmsample.train.config.sections.OperatingSection`; where nothing can be decoded, or every threshold is too
    expensive, the one with the best F1.

    Returns:
        ``validation``: numbers, for the card (without a wrong or without a right token there is no AUC: None), and
        ``operating_point``: what was decoded, a row each.
    """
    from dlmsample.heads import auc, choose_offset, precision_recall

    assert config.head is not None
    tried = operating_point(config, model, logits, wrong)
    threshold = choose(tried, config.head.operating.extra_steps)
    shift = choose_offset(logits, wrong) if threshold is None else -float(torch.tensor(threshold).logit())
    model.head.add_offset(shift)
    found, area = precision_recall(logits + shift, wrong), auc(logits, wrong)
    numbers = {
        "auc": None if math.isnan(area) else area,
        "positive_rate": float(wrong.float().mean()),
        "positions": len(wrong),
        "offset": model.head.config.offset,
        **{name: float(value) for name, value in found._asdict().items()},
    }
    best = [row for row in tried if row.threshold == threshold]
    for row in best:
        numbers[f"accuracy/{row.tokens_per_step} tokens a step"] = row.accuracy
        numbers[f"steps/{row.tokens_per_step} tokens a step"] = row.steps
    rule = "F1 of the flagged tokens" if threshold is None else "accuracy of decoding"
    rows = [{**row._asdict(), "chosen": row.threshold == threshold} for row in tried]
    return {"validation": numbers, "operating_point": {"chosen_by": rule, "threshold_before": threshold, "tried": rows}}
