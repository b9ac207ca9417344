"""Units of work: what they are, how they are cut, and in which order workers get them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import NamedTuple

from dlmsample.ablate.cells import Cell
from dlmsample.ablate.records import ExampleResult
from dlmsample.tasks import Task


class Unit(NamedTuple):
    """One batch of one cell."""

    cell: Cell
    indices: tuple[int, ...]


class Outcome(NamedTuple):
    """What became of a unit: results, or an error in one line and where it happened."""

    unit: Unit
    results: list[ExampleResult]
    error: str | None = None
    traceback: str = ""


def cut(
    cells: Sequence[Cell], missing: Mapping[str, Sequence[int]], tasks: Mapping[str, Task], size: int
) -> list[Unit]:
    """The outstanding examples of each cell in batches of similar prompt length.

    Args:
        cells: in order.
        missing: by cell key, the indices without a result.
        tasks: by label.
        size: examples in a batch.
    """
    lengths: dict[tuple[str, int], int] = {}

    def length(label: str, index: int) -> int:
        if (label, index) not in lengths:
            lengths[label, index] = len(tasks[label][index].prompt)
        return lengths[label, index]

    units = []
    for cell in cells:
        label = cell.task.label
        order = sorted(missing[cell.key], key=lambda index, label=label: (length(label, index), index))
        units += [Unit(cell, tuple(order[at : at + size])) for at in range(0, len(order), size)]
    return units


class Queue:
    """Units that wait, by checkpoint, so that a worker goes on with the one it has loaded."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._waiting: dict[str, deque[Unit]] = {}
        for unit in units:
            self._waiting.setdefault(unit.cell.checkpoint.label, deque()).append(unit)
        self._holders: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def take(self, holding: str | None = None) -> Unit | None:
        """The next unit for a worker that has the checkpoint ``holding`` loaded; None: nothing is left.

        A worker without work on its checkpoint goes where the most units wait for each worker.
        """
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
        return waiting[label].popleft()

    def drop(self, cell_key: str) -> None:
        """Give up what waits of a cell."""
        for label, units in self._waiting.items():
            self._waiting[label] = deque(unit for unit in units if unit.cell.key != cell_key)

    def settle(self, outcome: Outcome) -> Outcome:
        """Note an outcome: the rest of a failed cell is not tried."""
        if outcome.error is not None:
            self.drop(outcome.unit.cell.key)
        return outcome


Outcomes = Generator[Outcome, None, None]  # generators, so that leaving one early ends its workers
