"""The threshold of a correction head that decodes best on the validation split, within a budget of steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from dlmsample.decoding.sampler import Sampler
from dlmsample.policies.base import Policy
from dlmsample.policies.dsc import DSC
from dlmsample.policies.unmask import Unmask
from dlmsample.tasks import Task, list_tasks, task_class, task_options
from dlmsample.train.config import TrainConfig
from dlmsample.train.live import denoiser_of
from dlmsample.train.model import StreamModel

SHARES = (1, 2, 4, 8, 16, 32)
"""Candidates: flag so many times as many tokens as are wrong, at most half of all."""


class Tried(NamedTuple):
    """What one threshold does at one number of tokens a step."""

    threshold: float
    tokens_per_step: int
    accuracy: float
    steps: float
    plain_accuracy: float
    plain_steps: float
    """Of plain Unmask on the same problems."""


def candidates(logits: Tensor, wrong: Tensor) -> list[float]:
    """Cuts on the error logit, the highest first: each flags a multiple of the number of wrong tokens.

    Example:
        >>> wrong = torch.tensor([True] + [False] * 9)
        >>> candidates(torch.arange(10.0), wrong)
        [8.0, 7.0, 5.0, 4.0]
    """
    ranked, positives = logits.flatten().sort(descending=True).values, max(int(wrong.sum()), 1)
    counts = dict.fromkeys(min(share * positives, len(ranked) // 2) for share in SHARES)
    return [float(ranked[count]) for count in counts if count]


def choose(tried: Sequence[Tried], extra_steps: float) -> float | None:
    """The threshold with the best mean accuracy over the numbers of tokens a step.

    Only thresholds whose steps, as a mean ratio to plain Unmask's, exceed them by at most ``extra_steps`` count; among
    equals the one with fewer steps wins. None where every threshold is too expensive.

    Example:
        >>> one, two = Tried(0.5, 2, 0.8, 60, 0.7, 50), Tried(0.1, 2, 0.9, 90, 0.7, 50)
        >>> choose([one, two], 1.0), choose([one, two], 0.5), choose([two], 0.5)
        (0.1, 0.5, None)
    """
    rows: dict[float, list[Tried]] = {}
    for row in tried:
        rows.setdefault(row.threshold, []).append(row)
    best: tuple[float, float, float] | None = None
    for threshold, cells in rows.items():
        accuracy = sum(cell.accuracy for cell in cells) / len(cells)
        ratio = sum(cell.steps / cell.plain_steps for cell in cells) / len(cells)
        found = (accuracy, -ratio, threshold)
        if ratio <= 1 + extra_steps and (best is None or found > best):
            best = found
    return None if best is None else best[2]


@torch.no_grad()
def operating_point(
    config: TrainConfig,
    model: StreamModel,
    logits: Tensor,
    wrong: Tensor,
    clock: Callable[[], float] = time.monotonic,
) -> list[Tried]:
    """Decode validation problems with DSC at each candidate threshold and number of tokens a step.

    Nothing is decoded where ``head.operating.problems`` is 0, where the run's data has no scorer (files), or where the
    weights are sharded. No threshold is begun after ``head.operating.minutes``; one that was begun is finished.

    Args:
        config: the run, with a head.
        model: the unwrapped model, in eval mode.
        logits: float32 ``[position]`` error logits of :func:`~dlmsample.train.calibrate.scores.measure`.
        wrong: bool ``[position]``.
        clock: seconds.

    Returns:
        What was tried; thresholds are of P_error under the head's present offset.

    Source: ours (arXiv:2601.06428 prints no threshold): a threshold by F1 hardly ever remasks where few tokens are
    wrong.
    """
    assert config.head is not None
    section, task = config.head.operating, _task(config)
    if task is None or any(isinstance(p, DTensor) for p in model.parameters()):
        return []
    denoiser = denoiser_of(config, model)
    examples, end = list(task), clock() + 60 * section.minutes
    prompts = [example.prompt for example in examples]
    width = config.windows.window_max

    def run(policy: Policy) -> tuple[float, float]:
        sampler = Sampler(denoiser, policy, batch_size=section.batch_size)
        with torch.compiler.set_stance("force_eager"):
            out = sampler.generate(prompts, width, seed=config.seed, progress=True)
        right = [task.score(example, text).correct for example, text in zip(examples, out.texts, strict=True)]
        return sum(right) / len(right), sum(stats.steps for stats in out.stats) / len(right)

    plain = {k: run(Unmask(tokens_per_step=k)) for k in section.tokens_per_step}
    tried: list[Tried] = []
    cuts = candidates(logits, wrong)
    for number, cut in enumerate(cuts, 1):
        if clock() > end:
            print(
                f"operating point: {section.minutes:g} minutes are over, {len(cuts) - number + 1} left", file=sys.stderr
            )
            break
        threshold = float(torch.tensor(cut).sigmoid().clamp(1e-6, 1 - 1e-6))  # no offset may be infinite
        rows = [
            Tried(threshold, k, *run(DSC(tokens_per_step=k, threshold=threshold)), *plain[k])
            for k in section.tokens_per_step
        ]
        tried += rows
        said = ", ".join(f"{row.accuracy:.1%} in {row.steps:.0f} steps" for row in rows)
        print(f"operating point {number} of {len(cuts)}, P_error > {threshold:.3g}: {said}", file=sys.stderr)
    return tried


def _task(config: TrainConfig) -> Task | None:
    """The validation problems, where the run's data can be scored."""
    assert config.head is not None
    section = config.task
    if not config.head.operating.problems or section is None or section.name not in list_tasks():
        return None
    known = task_options(section.name)
    options = {key: value for key, value in section.options.items() if key in known}
    return task_class(section.name)("valid", config.head.operating.problems, **options)
