"""From the results of a configuration to its figures, and to the counts that comparisons are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.configs import Config
from dlmsample.ablate.lastmile import last_mile
from dlmsample.ablate.records import ExampleResult
from dlmsample.ablate.stats import Floats, effective_total, wilson

Runs = Mapping[int, Sequence[ExampleResult]]  #: seed -> results, by index


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
    given = {seed: results for seed, results in runs.items() if results}
    if not given:
        return None
    everything = [result for results in given.values() for result in results]
    index, right, total = _by_example(everything)
    by_seed = {seed: figures(results) for seed, results in given.items()}
    whole = next(iter(by_seed.values())) if len(by_seed) == 1 else figures(everything)
    return Measured(config, whole, by_seed, index, right, total)


def _by_example(results: Sequence[ExampleResult]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Index, right answers and answers of each example."""
    index, place = np.unique(np.array([r.index for r in results], dtype=np.int64), return_inverse=True)
    correct = np.array([r.correct for r in results])
    return index, np.bincount(place[correct], minlength=len(index)), np.bincount(place, minlength=len(index))


def figures(results: Sequence[ExampleResult]) -> Figures:
    """Summarise at least one result.

    Examples weigh alike. Several seeds: the interval is Wilson's with the number of trials that the answers are worth
    (:func:`dlmsample.ablate.stats.effective_total`), since answers to one example are not independent.
    """
    index, right, runs = _by_example(results)
    means: Floats = right / runs
    accuracy = float(means.sum() / len(means)) if len(set(runs.tolist())) > 1 else int(right.sum()) / int(runs.sum())
    low, high = wilson(accuracy, effective_total(means, runs))
    names = ("steps", "nfe", "prefill", "tokens", "replaces", "remasks", "forced")
    sums = {name: sum(int(getattr(r, name)) for r in results) for name in names}
    mean = {name: value / len(results) for name, value in sums.items()}
    verdicts = [last_mile(r.text, r.answer) for r in results if not r.correct]
    judged = [verdict for verdict in verdicts if verdict is not None]
    return Figures(
        examples=len(index),
        answers=len(results),
        right=int(right.sum()),
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
        last_mile=sum(judged) if judged or not verdicts else None,
        forced=mean["forced"],
        length=sum(r.finish_reason == "length" for r in results) / len(results),
        wall_seconds=sum(r.wall_seconds for r in results),
    )
