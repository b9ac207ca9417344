"""Workers and their threads: what is judged when, what a death or a broken scorer costs, and that all are ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from torch import Tensor

import dlmsample as ds
from dlmsample.ablate.spec.cells import ResolvedGrid, resolve
from dlmsample.ablate.spec.grid import validate
from dlmsample.ablate.workers import pool
from dlmsample.ablate.workers import worker as worker_module
from dlmsample.ablate.workers.units import Answers, Failure, Outcome, Queue, Reply, Unit, cut, row_seed, score_reply
from dlmsample.ablate.workers.worker import Worker, positions_forwarded
from dlmsample.decoding.arguments import EncodedPrompt
from dlmsample.models.attention.cached import Body
from dlmsample.support.yamlfile import Marks
from dlmsample.tasks import Example, Score
from tests.ablate import toys

FIGURES = (3, 4, 1, 9, 9, 0, 0, False, "eos", 64)


class Fake:
    """A worker in this process; ``deaths`` are the prompts that kill it."""

    log: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, deaths: tuple[str, ...] = ()) -> None:
        self.alive, self.ended, self.deaths = True, threading.Event(), deaths
        self.given: Unit | None = None

    def ready(self) -> None: ...

    def start(self, unit: Unit) -> None:
        self.log.append(("start", unit.prompts[0]))
        self.given = unit

    def reply(self) -> Reply:
        assert self.given is not None
        if self.given.prompts[0] in self.deaths:
            self.alive = False
            return Failure("it died", "there")
        return Answers([f"of {prompt}" for prompt in self.given.prompts], [FIGURES] * len(self.given.prompts), 0.5)

    def end(self) -> None:
        self.ended.set()

    def again(self) -> Fake:
        self.log.append(("again", ""))
        return Fake(self.deaths)


@pytest.fixture(autouse=True)
def log() -> list[tuple[str, str]]:
    Fake.log.clear()
    return Fake.log


@pytest.fixture
def layout(tiny_folder: Path) -> ResolvedGrid:
    return resolve(validate(toys.grid(tiny_folder), Marks()))


def units(layout: ResolvedGrid, cells: int = 1) -> list[Unit]:
    """``a0``, ``a1``, ``a2`` of one cell, ``b0`` ... of the next."""
    return [
        Unit(cell, (at,), (f"{letter}{at}",))
        for letter, cell in zip("ab", layout.cells[:cells], strict=False)
        for at in range(3)
    ]


def noted(unit: Unit, reply: Reply) -> Outcome:
    Fake.log.append(("judge", unit.prompts[0]))
    error = reply.error if isinstance(reply, Failure) else None
    return Outcome(unit, [], error)


def test_answers_are_judged_while_the_next_are_decoded(layout: ResolvedGrid, log: list[tuple[str, str]]) -> None:
    given = list(pool.outcomes([Fake()], Queue(units(layout)), noted))
    assert [outcome.unit.indices for outcome in given] == [(0,), (1,), (2,)]
    wanted = [("start", 0), ("start", 1), ("judge", 0), ("start", 2), ("judge", 1), ("judge", 2)]
    assert log == [(what, f"a{at}") for what, at in wanted]


def test_a_slow_scorer_holds_up_no_other_worker(layout: ResolvedGrid) -> None:
    slow = threading.Event()

    def judging(unit: Unit, reply: Reply) -> Outcome:
        if unit.prompts == ("a0",):
            assert slow.wait(20)
        elif unit.prompts == ("b2",):
            slow.set()
        return noted(unit, reply)

    two = [
        Unit(
            cell.__class__(**{**vars(cell), "checkpoint": cell.checkpoint.model_copy(update={"name": name})}),
            (at,),
            (f"{name}{at}",),
        )
        for name, cell in zip("ab", layout.cells, strict=False)
        for at in range(3)
    ]
    given = list(pool.outcomes([Fake(), Fake()], Queue(two), judging))
    assert sorted(outcome.unit.prompts[0] for outcome in given) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert [o.unit.prompts[0] for o in given].index("a0") > [o.unit.prompts[0] for o in given].index("b1")


def test_a_death_fails_its_cell_and_another_worker_goes_on(layout: ResolvedGrid, log: list[tuple[str, str]]) -> None:
    given = list(pool.outcomes([Fake(deaths=("a1",))], Queue(units(layout, 2)), noted))
    assert [(o.unit.prompts[0], o.error) for o in given] == [
        ("a0", None),
        ("a1", "it died"),
        ("b0", None),
        ("b1", None),
        ("b2", None),
    ]
    assert log.count(("again", "")) == 1


def test_a_scorer_that_breaks_fails_its_cell(layout: ResolvedGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    label = layout.cells[0].task.label

    def broken(example: Example, text: str) -> Score:
        raise RuntimeError("no\nscore")

    monkeypatch.setattr(layout.tasks[label], "score", broken)
    given = list(pool.outcomes([Fake()], Queue(units(layout)), partial(score_reply, layout)))
    assert {outcome.error for outcome in given} == {"RuntimeError: no score"}
    assert len(given) == 2  # the second was on its way when the first was judged
    assert "broken" in given[0].traceback


def test_a_worker_that_cannot_start_is_told(layout: ResolvedGrid) -> None:
    class Unable(Fake):
        def ready(self) -> None:
            raise ValueError("no room")

    worker = Unable()
    with pytest.raises(ValueError, match="no room"):
        list(pool.outcomes([worker], Queue(units(layout)), noted))
    assert worker.ended.is_set()


def test_leaving_early_ends_the_workers_and_takes_nothing_more(
    layout: ResolvedGrid, log: list[tuple[str, str]]
) -> None:
    class Waiting(Fake):
        def reply(self) -> Reply:
            if self.given is not None and self.given.indices == (1,):
                assert self.ended.wait(20)
            return super().reply()

    worker, queue = Waiting(), Queue(units(layout))
    source = pool.outcomes([worker], queue, noted)
    assert next(source).unit.prompts == ("a0",)
    source.close()
    assert worker.ended.is_set()
    assert queue.take() is None
    assert ("start", "a2") not in log


def test_nothing_to_do_ends_at_once() -> None:
    worker = Fake()
    assert list(pool.outcomes([worker], Queue([]), noted)) == []
    assert worker.ended.is_set()


def test_a_bench_gives_what_the_sampler_gives(
    layout: ResolvedGrid, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    def counting(whole: Callable[..., list[int]], *args: Any) -> list[int]:
        encoded.append(args[1])
        return whole(*args)

    monkeypatch.setattr(worker_module, "encode_prompt", partial(counting, worker_module.encode_prompt))
    worker, model = Worker(), ds.load(str(tiny_folder))
    for cell in layout.cells:
        (unit,) = cut([cell], {cell.key: range(6)}, layout.examples, 6)
        found = worker.work(unit)
        assert isinstance(found, Answers)
        sampler = ds.Sampler(model, ds.policy(cell.policy_name, **cell.options), temperature=cell.settings.temperature)
        seeds = [row_seed(cell.seed, index) for index in unit.indices]
        out = sampler.generate(unit.prompts, cell.settings.max_new_tokens, seed=seeds)
        assert found.texts == out.texts
        assert [f[1] for f in found.figures] == [stats.nfe for stats in out.stats]
        assert found.seconds > 0
    assert len(encoded) == 6  # once for all the cells


class FakeRay(SimpleNamespace):
    """As much of Ray as the engine uses, in threads; an actor dies of the prompt ``a1``."""

    class exceptions:
        class RayError(Exception): ...

    def __init__(self, cpus: int) -> None:
        super().__init__(cpus=cpus, killed=0, down=False)

    def is_initialized(self) -> bool:
        return False

    def init(self, **_: Any) -> None: ...

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus}

    def remote(self, **_: Any) -> Any:
        def actor(cls: type) -> Any:
            return SimpleNamespace(remote=lambda *_: self._actor())

        return actor

    def _actor(self) -> Any:
        worker = Fake()

        def work(unit: Unit) -> Any:
            worker.start(unit)
            return worker.reply

        return SimpleNamespace(
            ping=SimpleNamespace(remote=lambda: lambda: None), work=SimpleNamespace(remote=work), worker=worker
        )

    def get(self, asked: Callable[[], Any]) -> Any:
        worker = getattr(asked, "__self__", None)
        if worker is not None and worker.given.prompts == ("a1",):
            raise self.exceptions.RayError("gone")
        return asked()

    def kill(self, actor: Any) -> None:
        self.killed += 1

    def shutdown(self) -> None:
        self.down = True


def test_the_ray_engine_against_a_stand_in(layout: ResolvedGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlmsample.ablate.workers import ray

    fake = FakeRay(2)
    monkeypatch.setattr(ray, "require", lambda: fake)
    given = list(ray.outcomes(None, None, Queue(units(layout, 2)), noted))
    errors = {outcome.unit.prompts[0]: outcome.error for outcome in given if outcome.error}
    assert errors == {"a1": "the Ray actor failed (RayError)"}
    assert {"a0", "b0", "b1", "b2"} <= {outcome.unit.prompts[0] for outcome in given}
    assert fake.down
    assert fake.killed >= 2
    monkeypatch.setattr(fake, "cpus", 0)
    with pytest.raises(ValueError, match="the Ray cluster has no CPU"):
        list(ray.outcomes(None, None, Queue(units(layout)), noted))


def test_processes_start_before_there_is_work_and_end_with_the_block() -> None:
    from dlmsample.ablate.workers import local

    with local.engine(["cpu"], isolate=True) as work:
        process = work.args[0][0]._process  # type: ignore[attr-defined]
        assert process.is_alive()
    began = time.monotonic()
    assert not process.is_alive()
    assert time.monotonic() - began < 5


def test_positions_forwarded_are_those_that_the_forwards_go_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted beside the model: what one row's forwards are given, for blocks, the whole answer and no cache."""
    model, seen = ds.load("nano"), [0]
    whole = Body.__call__

    def counted(self: Body, ids: Tensor, *args: Any, **more: Any) -> Any:
        seen[0] += ids.numel()
        return whole(self, ids, *args, **more)

    monkeypatch.setattr(Body, "__call__", counted)
    prompt = EncodedPrompt(model.encode("Tom has 12 pens and buys 30. How many has he?"), [])
    for given in ({}, {"block_length": "all"}, {"cache": False, "block_length": "all"}):
        sampler, seen[0] = ds.Sampler(model, ds.Unmask(tokens_per_step=16), **given), 0
        (stats,) = sampler.generate([prompt], 64).stats
        assert positions_forwarded(sampler, prompt, 64, stats) == seen[0] > 0
