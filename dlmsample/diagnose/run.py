"""``diagnose``: every diagnostic of one model in one pass over the examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import torch

from dlmsample.decoding.arguments import integer
from dlmsample.diagnose import calibration, detection
from dlmsample.diagnose.canvas import Canvas
from dlmsample.diagnose.examples import Given, Gold, encode
from dlmsample.diagnose.intervals import shares
from dlmsample.diagnose.report import Diagnosis, Stress, Stuck, TokenShare
from dlmsample.diagnose.stress import Tallies, stress
from dlmsample.models.denoiser import Denoiser
from dlmsample.objectives.base import Ids
from dlmsample.rng import sequence_key
from dlmsample.support.progress import Progress

MASK_RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
_RESAMPLE = 1
"""Counter that separates the resampling's key from the examples'."""


def diagnose(
    model: Denoiser,
    examples: Iterable[Given],
    *,
    mask_rate: float = 0.5,
    commit_rate: float = 0.5,
    epsilon: float = 0.1,
    edit_threshold: float = 0.5,
    mask_rates: Sequence[float] = MASK_RATES,
    batch_size: int = 32,
    seed: int = 0,
    progress: bool = False,
) -> Diagnosis:
    """Measure what a model does with its own mistakes, on gold answers.

    Four diagnostics: the wrong-commit stress test and the stuck set (:mod:`dlmsample.diagnose.stress`), calibration
    of masked tokens (:mod:`dlmsample.diagnose.calibration`) and, with a head attached, its ranking and operating
    point (:mod:`dlmsample.diagnose.detection`). Prompts stay as they are; the answer and its EOS are corrupted in
    blocks of the model's own length, or as one canvas if it is bidirectional. Each model is measured on its own
    commits, so shares "of the wrong commits" of two models count different tokens.

    Draws are counter-based: a function of the seed and an example's place, the same for every model and batch.

    Args:
        model: from :func:`dlmsample.load`; its adapter and head count.
        examples: of a task, or pairs (prompt ids, answer ids).
        mask_rate: of the stress test, in (0, 1]. A model that gets (nearly) all commits right at 0.5 has no wrong ones
            to keep: raise it.
        commit_rate: share of each canvas's masked tokens that the stress test commits, in (0, 1].
        epsilon: probability, the stuck set's ε.
        edit_threshold: probability, the stuck set's τ_t2t.
        mask_rates: of the calibration table, each in (0, 1].
        batch_size: examples in one forward; it changes no count but by rounding in the forward.
        seed: of all draws.
        progress: a bar on standard error, if that is a terminal.

    Raises:
        ValueError: an option out of range, or an example that the model cannot read.

    Example:
        >>> import dlmsample as ds
        >>> report = diagnose(ds.load("nano"), ds.tasks.load("wordproblems", "valid", 4), mask_rates=[0.5])
        >>> report.examples, report.calibration[0].mask_rate, report.detection is None
        (4, 0.5, True)

    Source: arXiv:2606.01026, Sec. 4.2; arXiv:2604.18738, Def. 1; arXiv:2601.06428, Sec. 4.2. Defaults: τ_t2t 0.5 is
    LLaDA2.1's Q mode (arXiv:2602.08676); ε 0.1 is ours (T2M says "small", ε ≪ 0.3, and prints none); the mask rates are
    ours (Fig. 2's were lost).
    """
    rates = (mask_rate, commit_rate)
    _check(model, {"mask_rate": [mask_rate], "commit_rate": [commit_rate], "mask_rates": mask_rates}, batch_size)
    for name, value in (("epsilon", epsilon), ("edit_threshold", edit_threshold)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is a probability from 0 to 1, not {value:g}")
    seed = integer("seed", seed)
    rows = sorted(encode(model, examples), key=lambda row: row.length)  # neighbours of one length: little padding
    end, holes = model.vocabulary
    special = tuple({model.mask_id, *model.eos_ids})
    ids = Ids(model.mask_id, special, model.vocab_size if end is None else end, holes)
    tallies: list[Tallies] = []
    masked = {rate: [] for rate in mask_rates}
    scored = []
    with Progress(len(rows), progress, "diagnosing", "batches") as bar, torch.no_grad():
        for batch in _batches(rows, batch_size, model.interface.equal_lengths):
            canvas = Canvas(model, batch, seed)
            tallies.append(stress(canvas, model.mask_id, rates, epsilon, edit_threshold))
            for rate, parts in masked.items():
                parts.append(calibration.confidences(canvas, model.mask_id, rate))
            if model.head is not None:
                scored.append(detection.scores(canvas, ids))
            bar.tick(len(batch))
    counts = Tallies(*(torch.cat(part) for part in zip(*tallies, strict=True)))
    found = _shares(counts, sequence_key(seed, (), _RESAMPLE, len(rows)))
    return Diagnosis(
        model=model.name,
        adapter=model.adapter,
        head=None if model.head is None else model.head_name or type(model.head).__name__,
        attention=model.attention,
        block_length=model.block_length if model.attention == "block_causal" else None,
        dtype=str(model.dtype).removeprefix("torch."),
        examples=len(rows),
        seed=seed,
        stress=Stress(
            *rates,
            masked=int(counts.masked.sum()),
            **{name: found[name] for name in ("wrong", "preserved", "recovered", "kept")},
        ),
        stuck=Stuck(epsilon, edit_threshold, found["stuck"], found["stuck_wrong"]),
        calibration=tuple(calibration.summarise(rate, parts) for rate, parts in masked.items()),
        detection=detection.summarise(scored) if scored else None,
    )


def _batches(rows: Sequence[Gold], size: int, equal: bool) -> Iterator[Sequence[Gold]]:
    """Rows in batches; ``equal``: of one length each, for a module whose rows must not be padded."""
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row.length)] if equal else [rows]
    for group in groups:
        for first in range(0, len(group), size):
            yield group[first : first + size]


def _shares(counts: Tallies, key: int) -> dict[str, TokenShare]:
    parts = {
        "wrong": (counts.wrong, counts.committed),
        "preserved": (counts.preserved, counts.wrong),
        "recovered": (counts.recovered, counts.wrong),
        "kept": (counts.kept, counts.right),
        "stuck": (counts.stuck, counts.visible),
        "stuck_wrong": (counts.stuck_wrong, counts.wrong),
    }
    return shares(parts, key)


def _check(model: Denoiser, rates: Mapping[str, Sequence[float]], batch_size: int) -> None:
    if not isinstance(model, Denoiser):
        raise ValueError("diagnose takes a model from dlmsample.load")
    if integer("batch_size", batch_size) < 1:
        raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
    for name, values in rates.items():
        if not values or not all(0 < value <= 1 for value in values):
            raise ValueError(f"{name} must be above 0 and up to 1, not {', '.join(map(str, values)) or 'empty'}")
