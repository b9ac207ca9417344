"""From the results of a configuration to its figures, and to the counts that comparisons are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.stats import Floats, effective_total, wilson
from dlmsample.ablate.storage.columns import Columns, joined

Runs = Mapping[int, Columns]  #: seed -> results


@dataclass(frozen=True)
class Figures:
    """What a set of answers came to; costs and counts are means of an answer unless said otherwise."""

    examples: int  #: distinct
    answers: int  #: examples x seeds
    right: int  #: of the answers
    accuracy: float  #: mean over examples of the share of right answers
    low: float  #: 95 % Wilson interval
    high: float
    steps: float
    nfe: float  #: forwards
    prefill: float
    tokens: float  #: output length
    tokens_per_forward: float  #: Σ tokens / Σ nfe
    edits_per_100: float  #: 100 · Σ (replaces + remasks) / Σ tokens
    replaces: float
    remasks: float
    last_mile: int | None  #: wrong answers whose chain of thought reached the gold result; None: gold is no number
    forced: float  #: share of answers
    length: float  #: share of answers that filled the canvas without an end
    wall_seconds: float  #: of all answers together


@dataclass(frozen=True)
class Measured:
    """A configuration with results; the arrays hold one entry an example."""

    config: Config
    figures: Figures
    by_seed: Mapping[int, Figures]
    index: NDArray[np.int64]  #: ascending
    right: NDArray[np.int64]  #: right answers over the seeds
    runs: NDArray[np.int64]  #: answers over the seeds, at least 1


def measure(config: Config, runs: Runs) -> Measured | None:
    """The figures of a configuration; None without any result."""
    given = {seed: results for seed, results in runs.items() if len(results)}
    if not given:
        return None
    everything = joined(given.values())
    index, right, total = _by_example(everything)
    by_seed = {seed: figures(results) for seed, results in given.items()}
    whole = next(iter(by_seed.values())) if len(by_seed) == 1 else figures(everything)
    return Measured(config, whole, by_seed, index, right, total)


def _by_example(results: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Index, right answers and answers of each example."""
    index, place = np.unique(np.array(results.index, dtype=np.int64), return_inverse=True)
    correct = np.array(results.correct, dtype=np.bool_)
    return index, np.bincount(place[correct], minlength=len(index)), np.bincount(place, minlength=len(index))


def figures(results: Columns) -> Figures:
    """Summarise at least one result.

    Examples weigh alike. Several seeds: the interval is Wilson's with the number of trials that the answers are worth
    (:func:`dlmsample.ablate.analysis.stats.effective_total`), since answers to one example are not independent.
    """
    index, right, runs = _by_example(results)
    means: Floats = right / runs
    accuracy = float(means.sum() / len(means)) if len(set(runs.tolist())) > 1 else int(right.sum()) / int(runs.sum())
    low, high = wilson(accuracy, effective_total(means, runs))
    answers, whole = len(results), int(right.sum())
    names = ("steps", "nfe", "prefill", "tokens", "replaces", "remasks", "forced")
    sums = {name: sum(getattr(results, name)) for name in names}
    mean = {name: value / answers for name, value in sums.items()}
    judged = [verdict for verdict in results.last_mile if verdict is not None]
    return Figures(
        examples=len(index),
        answers=answers,
        right=whole,
        accuracy=accuracy,
        low=low,
        high=high,
        steps=mean["steps"],
        nfe=mean["nfe"],
        prefill=mean["prefill"],
        tokens=mean["tokens"],
        tokens_per_forward=sums["tokens"] / max(sums["nfe"], 1),
        edits_per_100=100 * (sums["replaces"] + sums["remasks"]) / max(sums["tokens"], 1),
        replaces=mean["replaces"],
        remasks=mean["remasks"],
        last_mile=sum(judged) if judged or whole == answers else None,
        forced=mean["forced"],
        length=results.finish_reason.count("length") / answers,
        wall_seconds=sum(results.wall_seconds),
    )
