"""Runs of small grids: reuse, failures, engines, estimates, and every policy end to end."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.ablate import estimate as estimates
from dlmsample.ablate import run as runs
from dlmsample.ablate.estimate import bound, estimate, fewest
from dlmsample.ablate.run import Summary
from dlmsample.ablate.spec.cells import resolve
from dlmsample.ablate.spec.grid import Grid, parse, validate
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.ablate.storage.store import Store
from dlmsample.ablate.workers.progress import GridProgress
from dlmsample.ablate.workers.units import Answers, Outcome, Queue, Unit
from dlmsample.ablate.workers.worker import Worker
from dlmsample.support.yamlfile import Marks
from tests.ablate import toys
from tests.cli.conftest import Terminal


def made(folder: Path, **changes: Any) -> Grid:
    return validate(toys.grid(folder, **changes), Marks())


def run(grid: Grid, out: Path, **options: Any) -> Summary:
    return runs.run(grid, out, report=False, **options)


def numbers(out: Path) -> dict[str, list[ExampleResult]]:
    """Everything in a store but durations."""
    with Store(out) as store:
        return {
            cell.key: [dataclasses.replace(r, wall_seconds=0.0) for r in store.examples(cell.key)]
            for cell in store.cells()
        }


@pytest.fixture(scope="module")
def undisturbed(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ExampleResult]]:
    out = tmp_path_factory.mktemp("undisturbed")
    run(made(tiny_folder), out)
    return numbers(out)


def test_a_grid_of_a_million_cells_is_counted(tiny_folder: Path) -> None:
    lists = [round(at / 1000, 3) for at in range(1, 1001)]
    grid = made(tiny_folder, policies=[{"policy": "t2m", "threshold": lists, "fill_threshold": lists}], seeds=[0, 1])
    found = estimate(grid)
    assert (found.cells, found.examples, found.seconds, found.forwards) == (2_000_000, 12_000_000, None, None)
    assert "counted and nothing is timed" in (found.warning or "")
    with pytest.raises(ValueError, match="did you mean 'threshold'"):
        estimate(made(tiny_folder, policies=[{"policy": "t2m", "treshold": lists, "fill_threshold": lists}]))
    seeded = estimate(made(tiny_folder, seeds=list(range(100_000))))  # read in the time of its length, not its square
    assert seeded.cells >= 100_000
    small = made(tiny_folder, policies=[{"policy": "t2m", "threshold": [0.1, 0.2], "max_remasks": [1, 2, 3]}])
    assert sum(small.sizes.values()) == len(resolve(small).cells) == 6


def test_a_second_run_has_nothing_to_do(tiny_folder: Path, tmp_path: Path) -> None:
    first, second = (run(made(tiny_folder), tmp_path) for _ in range(2))
    assert (first.cells, first.done, first.failed, first.examples, first.ran) == (3, 3, 0, 18, 18)
    assert (second.done, second.examples, second.ran) == (3, 18, 0)
    assert run(made(tiny_folder), tmp_path, fresh=True).ran == 18


@pytest.mark.parametrize("size", [1, 4, 32])
def test_the_batch_split_changes_no_number(
    size: int, tiny_folder: Path, tmp_path: Path, undisturbed: dict[str, list[ExampleResult]]
) -> None:
    run(made(tiny_folder, batch_size=size), tmp_path)
    assert numbers(tmp_path) == undisturbed


def test_a_raised_limit_and_a_longer_grid_reuse_what_is_there(
    tiny_folder: Path, tmp_path: Path, undisturbed: dict[str, list[ExampleResult]]
) -> None:
    task = {"name": "wordproblems", "options": {"max_steps": 5}}
    assert run(made(tiny_folder, tasks=[{**task, "limit": 3}]), tmp_path).ran == 9
    assert run(made(tiny_folder), tmp_path).ran == 9
    assert numbers(tmp_path) == undisturbed
    lower = run(made(tiny_folder, tasks=[{**task, "limit": 2}]), tmp_path)
    assert (lower.ran, lower.examples) == (0, 6)
    policies = [{"policy": "unmask", "tokens_per_step": [8, 16]}]
    longer = run(made(tiny_folder, policies=policies), tmp_path)
    assert (longer.cells, longer.ran) == (2, 6)
    assert run(made(tiny_folder), tmp_path).ran == 0


def test_other_seeds_are_other_draws(tiny_folder: Path, tmp_path: Path) -> None:
    policy = {"policy": "unmask", "tokens_per_step": 4, "temperature": 1.0}
    run(made(tiny_folder, policies=[policy], seeds=[0, 1]), tmp_path)
    zero, one = numbers(tmp_path).values()
    assert [r.text for r in zero] != [r.text for r in one]


def test_a_failed_cell_is_recorded_passed_over_and_retried(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: dict[str, list[ExampleResult]],
) -> None:
    whole = Worker.results

    def breaking(self: Worker, unit: Unit) -> Answers:
        if unit.cell.policy == "unmask(tokens_per_step=8)" and 0 in unit.indices:
            raise MemoryError("no\nmore")
        return whole(self, unit)

    monkeypatch.setattr(Worker, "results", breaking)
    summary = run(made(tiny_folder), tmp_path)
    assert (summary.done, summary.failed) == (2, 1)
    assert summary.errors == {
        "wordproblems(max_steps=5), tiny, unmask(tokens_per_step=8), seed 0": "MemoryError: no more"
    }
    with Store(tmp_path) as store:
        failed = store.cells()[1]
        assert (failed.status, failed.error) == ("failed", "MemoryError: no more")
        assert "breaking" in (store.traceback(failed.key) or "")
    monkeypatch.undo()
    again = run(made(tiny_folder), tmp_path)
    assert (again.failed, again.ran) == (1, 0)
    healed = run(made(tiny_folder), tmp_path, retry=True)
    assert (healed.done, healed.failed) == (3, 0)
    assert numbers(tmp_path) == undisturbed


def test_a_checkpoint_that_cannot_be_loaded_fails_its_cells_only(tiny_folder: Path, tmp_path: Path) -> None:
    broken = toys.save_tiny(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    checkpoints = [{"model": str(broken), "name": "broken"}, {"model": str(tiny_folder), "name": "tiny"}]
    policies = [{"policy": "unmask", "tokens_per_step": [4, 8]}]
    summary = run(made(tiny_folder, checkpoints=checkpoints, policies=policies), tmp_path / "out")
    assert (summary.done, summary.failed) == (2, 2)
    assert all("broken" in cell for cell in summary.errors)


def test_every_policy_end_to_end(tmp_path: Path) -> None:
    grid = parse(
        "{name: all, tasks: [{name: wordproblems, limit: 3}], checkpoints: [{model: nano}], max_new_tokens: 12, "
        "policies: [{policy: unmask, steps: 3}, {policy: t2t}, {policy: t2m, max_post_steps: 2}, "
        "{policy: d3im, steps: [3, 4], block_length: all}, {policy: dsc, scorer: random, tokens_per_step: 6}]}"
    )
    summary = run(grid, tmp_path)
    assert (summary.done, summary.examples) == (6, 18)
    with Store(tmp_path) as store:
        for cell in store.cells():
            for example in store.examples(cell.key):
                assert 0 < example.nfe <= bound(next(c for c in resolve(grid).cells if c.key == cell.key)) * 2
                assert example.text
                assert example.wall_seconds > 0


def test_several_processes_give_the_same_numbers(
    tiny_folder: Path, tmp_path: Path, undisturbed: dict[str, list[ExampleResult]]
) -> None:
    assert run(made(tiny_folder), tmp_path, device="cpu,cpu").ran == 18
    assert numbers(tmp_path) == undisturbed


def test_ray_gives_the_same_numbers(
    tiny_folder: Path, tmp_path: Path, undisturbed: dict[str, list[ExampleResult]]
) -> None:
    pytest.importorskip("ray")
    assert run(made(tiny_folder), tmp_path, engine="ray").ran == 18
    assert numbers(tmp_path) == undisturbed


def test_estimate(tiny_folder: Path, tmp_path: Path) -> None:
    found = estimate(made(tiny_folder), tmp_path / "none")
    assert (found.cells, found.examples, found.stored, found.errors) == (3, 18, 0, {})
    assert (found.forwards or 0) >= 18
    assert (found.bound or 0) >= 18
    assert found.seconds is not None
    assert found.seconds > 0
    assert not (tmp_path / "none").exists()
    run(made(tiny_folder), tmp_path)
    after = estimate(made(tiny_folder), tmp_path)
    assert (after.stored, after.forwards, after.bound, after.seconds) == (18, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("policy", "least", "most"),
    [
        ("unmask, tokens_per_step: 4", 4, 4),
        ("unmask, threshold: 0.9", 2, 16),
        ("d3im, steps: 6, block_length: all", 6, 6),
        ("d3im, steps: 6", 6, 6),
        ("t2t, block_length: all", 2, 32),
        ("dsc, scorer: random, tokens_per_step: 8, max_remasks: 0", 2, 2),
    ],
)
def test_fewest_and_most_steps_of_all_blocks(policy: str, least: int, most: int, tiny_folder: Path) -> None:
    text = f"{{name: b, tasks: [{{name: wordproblems, limit: 1}}], checkpoints: [{{model: {tiny_folder}}}], "
    (cell,) = resolve(parse(f"{text} max_new_tokens: 16, policies: [{{policy: {policy}}}]}}")).cells
    assert (fewest(cell), bound(cell)) == (least, most)


@pytest.mark.parametrize("policy", ds.list_policies())
def test_every_policy_can_be_counted(policy: str, tiny_folder: Path) -> None:
    """Whatever numbers it reads of a prediction: a margin, a gap, what it asks for."""
    options = {"scorer": "random"} if policy == "dsc" else {}
    (cell,) = resolve(made(tiny_folder, policies=[{"policy": policy, **options}])).cells
    assert 1 <= fewest(cell) <= bound(cell)


def test_an_estimate_counts_the_steps_of_a_policy_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many seeds, tasks and temperatures there are: thousands of cells have a few policies."""
    asked: list[tuple[str, str]] = []
    for name in ("fewest", "bound"):
        count = getattr(estimates, name)
        monkeypatch.setattr(estimates, name, lambda cell, n=name, c=count: asked.append((n, cell.policy)) or c(cell))
    policies = [{"policy": "unmask", "tokens_per_step": [1, 2], "temperature": [0.0, 0.5]}, {"policy": "t2t"}]
    grid = made(tiny_folder, policies=policies, seeds=list(range(10)))
    found = estimate(grid, tmp_path / "none")
    assert found.cells == 50
    once = resolve(made(tiny_folder, policies=policies, seeds=[0])).cells
    right = sum(10 * 6 * bound(cell) for cell in once)
    assert found.bound == right
    monkeypatch.undo()
    assert len(asked) == 2 * 3  # two options of unmask, and t2t


def test_a_worker_stays_with_its_checkpoint(tiny_folder: Path) -> None:
    checkpoints = [{"model": str(tiny_folder), "name": name} for name in "ab"]
    cells = resolve(made(tiny_folder, checkpoints=checkpoints, policies=[{"policy": "unmask"}])).cells
    assert len(cells) == 1  # the same files under two names are the same cell
    named = [
        dataclasses.replace(cells[0], key=n, checkpoint=made(tiny_folder).checkpoints[0].model_copy(update={"name": n}))
        for n in "ab"
    ]
    queue = Queue([Unit(cell, (i,), ("",)) for cell in named for i in range(3)])
    first, second = queue.take(), queue.take()
    assert first is not None
    assert second is not None
    assert [first.cell.key, second.cell.key] == ["a", "b"]
    assert [getattr(queue.take("a"), "indices", None) for _ in range(2)] == [(1,), (2,)]
    queue.settle(Outcome(second, [], "broke"))
    assert queue.take("a") is None


def test_the_bar_shows_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for stream, wanted in ((Terminal(), True), (Terminal(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with GridProgress(10, 4, 1, wanted) as bar:
            for _ in range(3):
                bar.advance(2, 1)
        assert bool(stream.getvalue()) == wanted


def test_a_wrong_baseline_is_told_before_any_work(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown baseline 'tiny t2t'"):
        runs.run(made(tiny_folder, baseline="tiny t2t"), tmp_path)
    with Store(tmp_path) as store:
        assert sum(cell.done for cell in store.cells()) == 0


def test_engines_and_missing_ray(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="did you mean 'local'"):
        run(made(tiny_folder), tmp_path, engine="locl")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ValueError, match=r"dlmsample\[ray\]"):
        run(made(tiny_folder), tmp_path, engine="ray")
