"""Runs that are killed, and runs that meet: nothing lost, nothing twice, the same numbers."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from dlmsample.ablate import run as runs
from dlmsample.ablate.spec.grid import Grid
from dlmsample.ablate.storage import lock
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.ablate.storage.store import Store
from tests.ablate import toys
from tests.ablate.test_run import made, numbers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


def many(folder: Path) -> Grid:
    """Twenty-four batches of one."""
    task = {"name": "wordproblems", "limit": 8, "options": {"max_steps": 5}}
    return made(folder, tasks=[task], batch_size=1)


def start(grid: Grid, out: Path) -> BaseProcess:
    """A run in a forked process: it starts within milliseconds, so that a kill hits the work and not the imports."""

    def work() -> None:
        try:
            runs.run(grid, out, report=False)
        except ValueError as error:
            os.write(2, str(error).encode())
            os._exit(2)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


@pytest.fixture(scope="module")
def whole(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, dict[str, list[ExampleResult]]]:
    """Seconds that an undisturbed run takes, and its numbers."""
    out = tmp_path_factory.mktemp("whole")
    began = time.perf_counter()
    process = start(many(tiny_folder), out)
    process.join()
    assert process.exitcode == 0
    return time.perf_counter() - began, numbers(out)


def stored(out: Path) -> int:
    """Results that a reader sees now."""
    try:
        with Store(out) as store:
            return sum(cell.done for cell in store.cells())
    except ValueError:
        return 0  # no store yet


def test_a_run_killed_at_random_moments_goes_on(
    tiny_folder: Path, tmp_path: Path, whole: tuple[float, dict[str, list[ExampleResult]]], full: bool
) -> None:
    seconds, expected = whole
    chance = random.Random()
    partial = 0
    for moment in range(20 if full else 3):
        out = tmp_path / str(moment)
        process = start(many(tiny_folder), out)
        if moment == 0:
            until(lambda out=out: stored(out) > 0)
        else:
            time.sleep(chance.uniform(0.1, 0.9) * seconds)
        seen = stored(out)
        process.kill()
        process.join()
        left = stored(out)
        assert left >= seen
        partial += 0 < left < 24
        summary = runs.run(many(tiny_folder), out, report=False)
        assert (summary.done, summary.examples, summary.ran) == (3, 24, 24 - left)
        assert numbers(out) == expected
    assert partial  # the first, at least


def test_two_runs_at_once_one_refuses(
    tiny_folder: Path, tmp_path: Path, whole: tuple[float, dict[str, list[ExampleResult]]]
) -> None:
    processes = [start(many(tiny_folder), tmp_path) for _ in range(2)]
    for process in processes:
        process.join()
    assert sorted(p.exitcode or 0 for p in processes) == [0, 2]
    assert numbers(tmp_path) == whole[1]


def until(condition: Callable[[], bool], seconds: float = 90) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_killed_parent_leaves_no_worker(tiny_folder: Path, tmp_path: Path) -> None:
    task = {"name": "wordproblems", "limit": 400, "options": {"max_steps": 5}}
    grid = toys.write(tmp_path / "g.yaml", toys.grid(tiny_folder, tasks=[task], batch_size=1))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dlmsample", "ablate", str(grid), "--out", str(out), "--device", "cpu,cpu"]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: stored(out) > 0)
        workers = children(parent.pid)
        assert len(workers) >= 2
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    with lock.held(out):  # at once
        assert until(lambda: not any(map(alive, workers)), 20)
    assert stored(out) > 0


def test_a_crash_on_the_only_device_fails_its_cell_and_no_more(tiny_folder: Path, tmp_path: Path) -> None:
    task = {"name": "wordproblems", "limit": 40, "options": {"max_steps": 5}}
    grid = toys.write(tmp_path / "g.yaml", toys.grid(tiny_folder, tasks=[task], batch_size=1))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dlmsample", "ablate", str(grid), "--out", str(out), "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as parent:
        assert until(lambda: stored(out) > 0)
        worker = max(children(parent.pid))
        os.kill(worker, signal.SIGSEGV)
        assert parent.wait(120) == 1
    with Store(out) as store:
        states = [cell.status for cell in store.cells()]
        errors = [cell.error for cell in store.cells() if cell.error]
    assert errors == ["the worker process was killed by signal 11"]
    assert states.count("done") == len(states) - 1
