"""A few examples of a grid, decoded to find out what all of them take."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dlmsample.ablate.spec.cells import Cell
from dlmsample.ablate.workers.units import FIGURES, Answers, Failure, Reply, Unit, cut
from dlmsample.tasks import Example

PATIENCE = 12.0  #: seconds after which only what no other sample can stand for is still decoded
ROWS = 4  #: on a CPU, where a row costs about the same in any batch; elsewhere a whole batch is timed
FEW = 2  #: on a CPU, where only forwards are counted


class SampledCell(NamedTuple):
    """A cell of which a few examples are decoded."""

    cell: Cell
    timed: bool  #: else its forwards alone are wanted
    needed: bool  #: nothing else can stand for it


@dataclass
class Sample:
    """What the examples took that were decoded."""

    spent: dict[tuple[str, Hashable], list[float]] = field(default_factory=dict)
    """By :func:`pace`: seconds, and forwards in them."""
    taken: dict[Hashable, list[float]] = field(default_factory=dict)
    """By :func:`kind`: forwards, and the fewest possible."""
    errors: dict[str, str] = field(default_factory=dict)  #: by checkpoint and policy
    examples: int = 0
    left: int = 0  #: checkpoints and policies that were not tried, for want of time

    def pace(self, cell: Cell) -> float | None:
        """Seconds of a forward: of the same checkpoint, else of another one on the same model, else of all."""
        own = [self.spent[pace(cell)]] if pace(cell) in self.spent else []
        near = [pair for (_, other), pair in self.spent.items() if other == body(cell)]
        return _ratio(own or near or [*self.spent.values()])

    def bodies(self) -> set[Hashable]:
        """Those of which a forward was timed."""
        return {body for _, body in self.spent}

    def share(self, cell: Cell) -> float | None:
        """Forwards over the fewest possible: of the same policy, else of all."""
        return _ratio([self.taken[kind(cell)]] if kind(cell) in self.taken else [*self.taken.values()])


def body(cell: Cell) -> Hashable:
    """What cells share whose forwards take nearly as long: adapters and heads are small beside their model."""
    given = cell.checkpoint
    return given.model, given.dtype, given.device, cell.settings.block_length


def pace(cell: Cell) -> tuple[str, Hashable]:
    """What cells share whose forwards take equally long."""
    return cell.checkpoint.label, body(cell)


def kind(cell: Cell) -> Hashable:
    """What cells share of which one stands for the others' forwards: the policy and the options that are set."""
    return cell.policy_name, tuple(key for key, value in cell.options.items() if value is not None)


def trials(waiting: Sequence[Cell], found: Sample) -> Iterator[SampledCell]:
    """The cells to sample, given what has been found when the next one is asked for.

    First a cell of each model and block length; then one of each policy, as far as forwards alone are wanted; then one
    of each further checkpoint. Where a sample fails, another checkpoint's cell takes its place.
    """
    stages: tuple[tuple[Callable[[Cell], bool], bool, bool], ...] = (
        (lambda cell: body(cell) in found.bodies(), True, True),
        (lambda cell: kind(cell) in found.taken, False, False),
        (lambda cell: pace(cell) in found.spent, True, False),
    )
    good, bad = set[str](), set[str]()  # checkpoints of which a sample went well, or none did
    for is_known, timed, needed in stages:
        for cell in waiting:
            label = cell.checkpoint.label
            if is_known(cell) or label in bad - good:
                continue
            before = len(found.errors)
            yield SampledCell(cell, timed, needed)
            (bad if len(found.errors) > before else good).add(label)


def sample(
    waiting: Sequence[Cell],
    missing: Mapping[str, Sequence[int]],
    examples: Mapping[str, Sequence[Example]],
    *,
    work: Callable[[Unit], Reply],
    fewest: Callable[[Cell], int],
    batch_size: int,
    device: str | None,
    clock: Callable[[], float] = time.monotonic,
) -> Sample:
    """Decode a few examples of some cells, for :data:`PATIENCE` seconds and what cannot be left out.

    Args:
        waiting: cells with examples to run, checkpoint by checkpoint.
        missing: by cell key, the indices without a result.
        examples: by task label.
        work: decodes a unit.
        fewest: forwards of an answer of which a model is sure from the start.
        batch_size: of the grid.
        device: where checkpoints run that name none themselves; None: CPU.
        clock: seconds.
    """
    found, begun = Sample(), clock()
    for cell, timed, needed in trials(waiting, found):
        if not needed and clock() - begun > PATIENCE:
            untried = [cell for cell in waiting if _named(cell) not in found.errors]
            found.left = len({kind(c) for c in untried} - found.taken.keys())
            found.left += len({pace(c) for c in untried} - found.spent.keys())
            break
        on_cpu = str(cell.checkpoint.device or device or "cpu").startswith("cpu")
        size = min(batch_size, (ROWS if timed else FEW) if on_cpu else batch_size)
        unit = cut([cell], {cell.key: _spread(missing[cell.key], size)}, examples, size)[0]
        reply = None
        if timed and pace(cell) not in found.spent:
            # a checkpoint's first forward takes longer; on a GPU a batch of this size is captured, too
            reply = work(Unit(cell, unit.indices[:1], unit.prompts[:1]) if on_cpu else unit)
        if not isinstance(reply, Failure):
            reply = work(unit)
        if isinstance(reply, Failure):
            found.errors[_named(cell)] = reply.error
            continue
        found.examples += len(reply.texts)
        forwards = _forwards(reply)
        _add(found.taken, kind(cell), forwards, len(unit.indices) * fewest(cell))
        if timed:
            _add(found.spent, pace(cell), reply.seconds, forwards)
    return found


def _named(cell: Cell) -> str:
    return f"{cell.checkpoint.label}, {cell.policy}"


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """So many of the indices, evenly."""
    count = min(count, len(indices))
    return [indices[i * len(indices) // count] for i in range(count)]


def _forwards(answers: Answers) -> float:
    """Of a batch, summed over its rows."""
    at = FIGURES.index("nfe")
    return float(sum(figures[at] for figures in answers.figures))


def _add(table: dict[Any, list[float]], key: Hashable, first: float, second: float) -> None:
    pair = table.setdefault(key, [0.0, 0.0])
    pair[0] += first
    pair[1] += second


def _ratio(pairs: Sequence[Sequence[float]]) -> float | None:
    """The sum of the first numbers over that of the second ones."""
    first, second = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
    return first / second if second else None
