"""Units of work: how they are cut, in which order workers get them, and how what comes back is scored."""

from __future__ import annotations

import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

from dlmsample.ablate.spec.cells import Cell, ResolvedGrid
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.support.keys import sequence_key
from dlmsample.support.text import one_line
from dlmsample.tasks import Example


class Unit(NamedTuple):
    """One batch of one cell, with all that decoding needs of its examples."""

    cell: Cell
    indices: tuple[int, ...]
    prompts: tuple[str, ...]


class Answers(NamedTuple):
    """What a worker decoded for a unit, one entry an example; nothing is scored yet."""

    texts: list[str]
    figures: list[tuple[Any, ...]]  #: :data:`FIGURES`
    seconds: float  #: of decoding them all


class Failure(NamedTuple):
    """Why there are no answers, in one line, and where."""

    error: str
    traceback: str


#: What an answer takes over from :class:`dlmsample.RowStats`.
STATS = ("steps", "nfe", "prefill", "tokens", "fills", "replaces", "remasks", "forced", "finish_reason")
FIGURES = (*STATS, "positions")


class Outcome(NamedTuple):
    """The end of a unit: its results, or an error in one line with its traceback."""

    unit: Unit
    results: list[ExampleResult]
    error: str | None = None
    traceback: str = ""


Reply = Answers | Failure
Scorer = Callable[[Unit, Reply], Outcome]
Outcomes = Generator[Outcome, None, None]  # generators, so that leaving one early ends its workers
Engine = Callable[["Queue", Scorer], Outcomes]


def cut(
    cells: Sequence[Cell],
    missing: Mapping[str, Sequence[int]],
    examples: Mapping[str, Sequence[Example]],
    size: int,
) -> list[Unit]:
    """The outstanding examples of each cell in batches of similar prompt length.

    Args:
        cells: in order.
        missing: by cell key, the indices without a result.
        examples: by task label.
        size: examples in a batch.
    """
    units = []
    for cell in cells:
        given = examples[cell.task.label]
        order = sorted(missing[cell.key], key=lambda index, given=given: (len(given[index].prompt), index))
        for at in range(0, len(order), size):
            indices = tuple(order[at : at + size])
            units.append(Unit(cell, indices, tuple(given[index].prompt for index in indices)))
    return units


class Queue:
    """Units that wait, grouped by checkpoint so that workers rarely load another. Threads may share it."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._waiting: dict[str, deque[Unit]] = {}
        for unit in units:
            self._waiting.setdefault(unit.cell.checkpoint.label, deque()).append(unit)
        self._holders: Counter[str] = Counter()
        self._taken = 0  # and not settled
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def unfinished(self) -> int:
        """Units that wait or are worked on."""
        with self._lock:
            return len(self) + self._taken

    def take(self, holding: str | None = None) -> Unit | None:
        """The next unit for a worker that has the checkpoint ``holding`` loaded; None: nothing is left.

        A worker without work on its checkpoint goes where the most units wait for each worker.
        """
        with self._lock:
            waiting = self._waiting
            label = holding
            if label is None or not waiting.get(label):
                open_labels = [name for name, units in waiting.items() if units]
                if not open_labels:
                    return None
                if holding is not None:
                    self._holders[holding] -= 1
                label = max(open_labels, key=lambda name: len(waiting[name]) / (1 + self._holders[name]))
                self._holders[label] += 1
            self._taken += 1
            return waiting[label].popleft()

    def drop(self, cell_key: str | None = None) -> None:
        """Remove the waiting units of a cell; None: of all cells."""
        with self._lock:
            for label, units in self._waiting.items():
                kept = () if cell_key is None else (unit for unit in units if unit.cell.key != cell_key)
                self._waiting[label] = deque(kept)

    def settle(self, outcome: Outcome) -> Outcome:
        """Note that a unit is finished. If it failed, the other units of its cell are removed."""
        if outcome.error is not None:
            self.drop(outcome.unit.cell.key)
        with self._lock:
            self._taken -= 1
        return outcome


def row_seed(seed: int, index: int) -> int:
    """The seed of an example, from the cell's seed and the example's index alone: batches do not matter.

    Example:
        >>> row_seed(0, 1) == row_seed(0, 1) != row_seed(1, 1) != row_seed(0, 2)
        True
    """
    return sequence_key(seed, [index])


def describe(error: BaseException) -> str:
    """An error in one line; a user's mistake without its class.

    Example:
        >>> describe(ValueError("no such thing")), describe(KeyError())
        ('no such thing', 'KeyError')
    """
    said, kind = one_line(error, 300), type(error).__name__
    return said if isinstance(error, ValueError) or said == kind else f"{kind}: {said}"


def score_reply(resolved: ResolvedGrid, unit: Unit, reply: Reply) -> Outcome:
    """The outcome of a unit; a scorer that fails is an outcome too."""
    if isinstance(reply, Failure):
        return Outcome(unit, [], reply.error, reply.traceback)
    try:
        return Outcome(unit, score_answers(resolved, unit, reply))
    except Exception as error:  # a task's bug, a library that is gone: the other cells go on
        return Outcome(unit, [], describe(error), traceback.format_exc())


def score_answers(resolved: ResolvedGrid, unit: Unit, answers: Answers) -> list[ExampleResult]:
    """Score a batch. A row depends on its example, its cell and nothing else, but for its share of the time."""
    label = unit.cell.task.label
    score, examples = resolved.tasks[label].score, resolved.examples[label]
    share = answers.seconds / len(unit.indices)
    found = []
    for index, text, figures in zip(unit.indices, answers.texts, answers.figures, strict=True):
        example = examples[index]
        verdict = score(example, text)
        found.append(
            ExampleResult(
                index=index,
                prompt=example.prompt,
                reference=example.reference,
                answer=example.answer,
                text=text.encode("utf-8", "replace").decode("utf-8"),  # a store takes no half of a character
                extracted=verdict.extracted,
                correct=verdict.correct,
                wall_seconds=share,
                **dict(zip(FIGURES, figures, strict=True)),
            )
        )
    return found
