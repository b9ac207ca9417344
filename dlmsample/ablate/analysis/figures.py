"""From the results of a configuration to its figures, and to the counts that comparisons are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.stats import Floats, effective_total, wilson
from dlmsample.ablate.storage.records import ResultColumns, joined

_NUMBER = re.compile(r"(?:(?<![\w.)])[-−])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")
_MARK = re.compile(r"####|<answer>")  # what opens the final answer; the first one counts
_PHRASE = re.compile(r"\\boxed|answer\s*(?:is|:)|答案", re.IGNORECASE)  # said along the way too; the last one counts
_STEP = re.compile(r"[。！？\n]|[.!?](?=\s|$)")  # where a step of the chain ends

SeedColumns = Mapping[int, ResultColumns]  #: seed -> results


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
    positions: float | None  #: forwarded, the prompt's included; None: not counted for every answer
    wall_seconds: float  #: of all answers together


@dataclass(frozen=True)
class MeasuredConfig:
    """A configuration with results; the arrays hold one entry an example."""

    config: Config
    figures: Figures
    by_seed: Mapping[int, Figures]
    index: NDArray[np.int64]  #: ascending
    right: NDArray[np.int64]  #: right answers over the seeds
    runs: NDArray[np.int64]  #: answers over the seeds, at least 1


def measure_config(config: Config, runs: SeedColumns) -> MeasuredConfig | None:
    """The figures of a configuration; None without any result."""
    given = {seed: results for seed, results in runs.items() if len(results)}
    if not given:
        return None
    everything = joined(given.values())
    index, right, total = _by_example(everything)
    by_seed = {seed: figures(results) for seed, results in given.items()}
    whole = next(iter(by_seed.values())) if len(by_seed) == 1 else figures(everything)
    return MeasuredConfig(config, whole, by_seed, index, right, total)


def _by_example(results: ResultColumns) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Index, right answers and answers of each example."""
    index, place = np.unique(np.array(results.index, dtype=np.int64), return_inverse=True)
    correct = np.array(results.correct, dtype=np.bool_)
    return index, np.bincount(place[correct], minlength=len(index)), np.bincount(place, minlength=len(index))


def figures(results: ResultColumns) -> Figures:
    """The figures of some results, at least one.

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
    judged = [verdict for verdict in last_miles(results) if verdict is not None]
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
        positions=None if None in results.positions else sum(filter(None, results.positions)) / answers,
        wall_seconds=sum(results.wall_seconds),
    )


@lru_cache(maxsize=1 << 13)  # each answer is asked for by its seed, its configuration and its line in the CSV
def last_mile(text: str, gold: str) -> bool | None:
    """Whether the chain of thought of an answer that was scored as wrong had reached ``gold``.

    Rule: the chain is what stands before the final answer (the first ``####`` or ``<answer>``, else the last
    ``\\boxed``, "answer is", "answer:" or 答案; all of the text where there is none); its last sentence or line with a
    number in it holds the gold number. T2M (arXiv:2604.18738, Sec. 6.4) judged this by hand; a rule misses garbled
    chains and takes an operand of the last step for its result.

    Returns:
        None where ``gold`` is no number: there is no result to look for.

    Example:
        >>> last_mile("So: 3 + 4 = 7. Then: 7 * 2 = 14. #### 4", "14"), last_mile("So: 3 + 4 = 7. #### 8", "14")
        (True, False)
        >>> last_mile("It is blue.", "blue") is None
        True
    """
    wanted = _NUMBER.fullmatch(gold.strip())
    if wanted is None:
        return None
    numbers = next((found for step in reversed(_STEP.split(_chain(text))) if (found := _NUMBER.findall(step))), [])
    return _value(wanted[0]) in map(_value, numbers)


def last_miles(results: ResultColumns) -> list[bool | None]:
    """:func:`last_mile` of every wrong answer, in the order of the results; None for right ones too."""
    rows = zip(results.correct, results.text, results.answer, strict=True)
    return [None if correct else last_mile(text, answer) for correct, text, answer in rows]


def _chain(text: str) -> str:
    if mark := _MARK.search(text):
        return text[: mark.start()]
    phrases = list(_PHRASE.finditer(text))
    return text[: phrases[-1].start()] if phrases else text


def _value(number: str) -> Decimal:
    return Decimal(number.replace(",", "").replace("−", "-"))
