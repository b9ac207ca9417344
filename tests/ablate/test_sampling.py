"""Which examples a dry run decodes, and when it stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dlmsample.ablate.sampling import FEW, PATIENCE, ROWS, Sample, body, kind, sample, trials
from dlmsample.ablate.spec.cells import ResolvedGrid, resolve
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
    usual = {"batch_size": 6, "device": None, "work": work, "fewest": lambda _: 10, "clock": clock}
    return sample(found.cells, missing, found.examples, **usual | given)


@pytest.fixture
def grid(tiny_folder: Path) -> ResolvedGrid:
    model = str(tiny_folder)
    checkpoints = [{"model": model, "name": "plain"}, {"model": model, "name": "half", "dtype": "bfloat16"}]
    return resolve(made(tiny_folder, checkpoints=checkpoints, policies=POLICIES))


def told(unit: Unit) -> tuple[str, str, Any]:
    return unit.cell.checkpoint.label, unit.cell.policy_name, unit.cell.settings.block_length


def test_first_come_those_that_nothing_can_stand_for(grid: ResolvedGrid) -> None:
    asked: list[tuple[Any, ...]] = []
    run(grid, lambda unit: asked.append((*told(unit), len(unit.prompts))) or answered(unit))
    assert asked == [
        ("plain", "unmask", None, 1),
        ("plain", "unmask", None, ROWS),
        ("plain", "d3im", "all", 1),
        ("plain", "d3im", "all", ROWS),
        ("half", "unmask", None, 1),
        ("half", "unmask", None, ROWS),
        ("half", "d3im", "all", 1),
        ("half", "d3im", "all", ROWS),
        ("plain", "unmask", None, FEW),  # by a threshold
        ("plain", "t2t", None, FEW),
    ]


def test_adapters_are_tried_last_and_run_like_their_model(tiny_folder: Path) -> None:
    checkpoints = [{"model": str(tiny_folder), "name": name, "head": head} for name, head in (("a", None), ("b", "x"))]
    entries = made(tiny_folder, checkpoints=checkpoints).checkpoints
    plain, *_ = resolve(made(tiny_folder, policies=POLICIES[:1])).cells
    # the files of the head are not looked at
    cells = [replace(plain, key=entry.label, checkpoint=entry) for entry in entries]
    found = Sample()
    asked = trials(cells, found)
    assert next(asked) == (cells[0], True, True)
    found.spent["a", body(cells[0])] = [6.0, 2.0]
    found.taken[kind(cells[0])] = [1.0, 1.0]
    assert next(asked) == (cells[1], True, False)
    assert found.pace(cells[1]) == 3.0
    found.spent["b", body(cells[1])] = [8.0, 2.0]
    assert (found.pace(cells[0]), found.pace(cells[1])) == (3.0, 4.0)
    assert list(asked) == []


def test_forwards_and_seconds_are_added_up(grid: ResolvedGrid) -> None:
    found = run(grid)
    assert found.examples == 4 * ROWS + 2 * FEW
    assert found.left == 0
    assert {tuple(pair) for pair in found.spent.values()} == {(ROWS * NFE, ROWS * NFE)}
    assert {found.pace(cell) for cell in grid.cells} == {1.0}
    assert all(forwards / fewest == NFE / 10 for forwards, fewest in found.taken.values())
    assert len(found.taken) == 4


def test_on_a_gpu_whole_batches_are_timed(grid: ResolvedGrid) -> None:
    assert run(grid, device="cuda:1").examples == 6 * 6


def test_what_is_needed_is_run_however_long_it_takes(grid: ResolvedGrid) -> None:
    hours = count(0, 3600)
    found = run(grid, clock=lambda: float(next(hours)))
    assert (found.examples, found.left) == (4 * ROWS, 2)
    late = iter([0.0, PATIENCE, 2 * PATIENCE])
    assert run(grid, clock=lambda: next(late)).left == 1


@pytest.mark.parametrize("broken", ["half", "plain"])
def test_what_fails_is_told_and_another_takes_its_place(grid: ResolvedGrid, broken: str) -> None:
    def work(unit: Unit) -> Reply:
        return Failure("no such file", "where") if told(unit)[0] == broken else answered(unit)

    found = run(grid, work)
    assert [where.partition(",")[0] for where in found.errors] == [broken]
    assert {kind(cell) for cell in grid.cells} == set(found.taken)
    assert not [key for key in found.spent if broken in key[0]]


def test_where_all_fail_nothing_is_known(grid: ResolvedGrid) -> None:
    found = run(grid, lambda _: Failure("no", "where"))
    assert len(found.errors) == 2
    assert (found.pace(grid.cells[0]), found.share(grid.cells[0])) == (None, None)
    assert run(grid._replace(cells=[])).examples == 0
