"""Which examples a dry run decodes, and when it stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dlmsample.ablate.sampling import FEW, PATIENCE, ROWS, Sample, order, sample
from dlmsample.ablate.spec.cells import Cell, ResolvedGrid, resolve
from dlmsample.ablate.workers.units import FIGURES, Answers, Failure, Reply, Unit
from tests.ablate.test_run import made

NFE = 30
POLICIES = [
    {"policy": "unmask", "tokens_per_step": [1, 2]},
    {"policy": "unmask", "threshold": 0.9},
    {"policy": "t2t"},
    {"policy": "d3im", "steps": 4, "block_length": "all"},
]


def answered(unit: Unit) -> Reply:
    """A reply that took a second for every row and forward."""
    figures = [tuple(NFE if name == "nfe" else 0 for name in FIGURES) for _ in unit.prompts]
    return Answers([""] * len(unit.prompts), figures, float(NFE * len(unit.prompts)))


def run(
    found: ResolvedGrid, work: Callable[[Unit], Reply] = answered, clock: Any = lambda: 0.0, **given: Any
) -> Sample:
    missing = {cell.key: range(len(found.digests[cell.task.label])) for cell in found.cells}
    usual = {"batch_size": 6, "on_cpu": True}
    return sample(found.cells, missing, found.examples, work, lambda _: 10, clock=clock, **usual | given)


@pytest.fixture
def grid(tiny_folder: Path) -> ResolvedGrid:
    model = str(tiny_folder)
    checkpoints = [{"model": model, "name": "plain"}, {"model": model, "name": "half", "dtype": "bfloat16"}]
    return resolve(made(tiny_folder, checkpoints=checkpoints, policies=POLICIES))


def test_first_come_those_that_nothing_can_stand_for(grid: ResolvedGrid) -> None:
    def told(cell: Cell) -> tuple[str, str, Any]:
        return cell.checkpoint.label, cell.policy_name, cell.settings.block_length

    found = [(*told(cell), timed, needed) for cell, timed, needed in order(grid.cells)]
    assert found == [
        ("plain", "unmask", None, True, True),
        ("plain", "d3im", "all", True, True),
        ("half", "unmask", None, True, True),
        ("half", "d3im", "all", True, True),
        ("plain", "unmask", None, False, False),  # by a threshold
        ("plain", "t2t", None, False, False),
    ]


def test_adapters_are_tried_last(tiny_folder: Path) -> None:
    checkpoints = [{"model": str(tiny_folder), "name": name, "head": head} for name, head in (("a", None), ("b", "x"))]
    grid = made(tiny_folder, checkpoints=checkpoints, policies=POLICIES[:1])
    first = made(tiny_folder, policies=POLICIES[:1])
    (one, two), (plain, _) = grid.checkpoints, resolve(first).cells
    # the files of the head are not looked at
    cells = [replace(plain, key=entry.label, checkpoint=entry) for entry in (one, two)]
    assert [(cell.key, timed, needed) for cell, timed, needed in order(cells)] == [
        ("a", True, True),
        ("b", True, False),
    ]


def test_forwards_and_seconds_are_added_up(grid: ResolvedGrid) -> None:
    found = run(grid)
    assert found.examples == 4 * ROWS + 2 * FEW
    assert found.left == 0
    assert {tuple(pair) for pair in found.spent.values()} == {(ROWS * NFE, ROWS * NFE)}
    assert all(forwards / fewest == NFE / 10 for forwards, fewest in found.taken.values())
    assert len(found.taken) == 4


def test_on_a_gpu_whole_batches_are_timed(grid: ResolvedGrid) -> None:
    assert run(grid, on_cpu=False).examples == 6 * 6


def test_what_is_needed_is_run_however_long_it_takes(grid: ResolvedGrid) -> None:
    hours = count(0, 3600)
    found = run(grid, clock=lambda: float(next(hours)))
    assert (found.examples, found.left) == (4 * ROWS, 2)
    late = iter([0.0, PATIENCE, 2 * PATIENCE])
    assert run(grid, clock=lambda: next(late)).left == 1


def test_what_fails_is_told_and_stands_for_nothing(grid: ResolvedGrid) -> None:
    def work(unit: Unit) -> Reply:
        broken = unit.cell.checkpoint.label == "half"
        return Failure("no such file", "where") if broken else answered(unit)

    found = run(grid, work)
    assert len(found.errors) == 2
    assert all(where.startswith("half, ") for where in found.errors)
    assert {label for label, _ in found.spent} == {"plain"}
