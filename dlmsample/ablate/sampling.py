"""A few examples of a grid, decoded to find out what all of them take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dlmsample.ablate.spec.cells import Cell
from dlmsample.ablate.workers.units import FIGURES, Answers, Failure, Reply, Unit, cut
from dlmsample.tasks import Example

PATIENCE = 12.0  #: seconds after which only what no other sample can stand for is still decoded
ROWS = 4  #: on a CPU, where a row costs about the same in any batch; elsewhere a whole batch is timed
FEW = 2  #: on a CPU, where only forwards are counted


@dataclass
class Sample:
    """What the examples took that were decoded."""

    spent: dict[Hashable, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    """By :func:`pace`: seconds, and forwards in them."""
    taken: dict[Hashable, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    """By :func:`kind`: forwards, and the fewest possible."""
    errors: dict[str, str] = field(default_factory=dict)
    examples: int = 0
    left: int = 0  #: samples that were not begun, for want of time


def pace(cell: Cell) -> Hashable:
    """What cells share whose forwards take equally long."""
    return cell.checkpoint.label, cell.settings.block_length


def kind(cell: Cell) -> Hashable:
    """What cells share of which one stands for the others' forwards: the policy and the options that are set."""
    return cell.policy_name, tuple(key for key, value in cell.options.items() if value is not None)


def _body(cell: Cell) -> Hashable:
    """What cells share whose forwards take nearly as long: adapters and heads are small beside their model."""
    given = cell.checkpoint
    return given.model, given.dtype, given.device, cell.settings.block_length


def order(waiting: Sequence[Cell]) -> Iterator[tuple[Cell, bool, bool]]:
    """The cells to sample: (cell, whether it is timed, whether nothing can stand for it).

    First the first cell of each model and block length; then one of each policy, as far as forwards alone are
    wanted; then one of each further checkpoint. Those of a checkpoint stand together.
    """
    bodies, kinds, paces = set[Hashable](), set[Hashable](), set[Hashable]()
    for cell in waiting:
        if _body(cell) not in bodies:
            bodies.add(_body(cell))
            kinds.add(kind(cell))
            paces.add(pace(cell))
            yield cell, True, True
    for seen, of, timed in ((kinds, kind, False), (paces, pace, True)):
        for cell in waiting:
            if of(cell) not in seen:
                seen.add(of(cell))
                yield cell, timed, False


def sample(
    waiting: Sequence[Cell],
    missing: Mapping[str, Sequence[int]],
    examples: Mapping[str, Sequence[Example]],
    work: Callable[[Unit], Reply],
    fewest: Callable[[Cell], int],
    batch_size: int,
    on_cpu: bool,
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
        on_cpu: whether the samples run there.
        clock: seconds.
    """
    found, warm, begun = Sample(), set[str](), clock()
    for cell, timed, needed in order(waiting):
        if not needed and clock() - begun > PATIENCE:
            found.left += 1
            continue
        size = min(batch_size, (ROWS if timed else FEW) if on_cpu else batch_size)
        unit = cut([cell], {cell.key: _spread(missing[cell.key], size)}, examples, size)[0]
        reply: Reply | None = None
        if timed and cell.checkpoint.label not in warm:  # a checkpoint's first forward takes longer
            reply = work(Unit(cell, unit.indices[:1], unit.prompts[:1]))
        if not isinstance(reply, Failure):
            reply = work(unit)
        if isinstance(reply, Failure):
            found.errors[f"{cell.checkpoint.label}, {cell.policy}"] = reply.error
            continue
        warm.add(cell.checkpoint.label)
        found.examples += len(reply.texts)
        forwards = _forwards(reply)
        _add(found.taken[kind(cell)], forwards, len(unit.indices) * fewest(cell))
        if timed:
            _add(found.spent[pace(cell)], reply.seconds, forwards)
    return found


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """So many of the indices, evenly."""
    count = min(count, len(indices))
    return [indices[i * len(indices) // count] for i in range(count)]


def _forwards(answers: Answers) -> float:
    """Of a batch, summed over its rows."""
    at = FIGURES.index("nfe")
    return float(sum(figures[at] for figures in answers.figures))


def _add(pair: list[float], first: float, second: float) -> None:
    pair[0] += first
    pair[1] += second
