"""Captured forwards give what plain ones give, whatever had the slots before."""

from __future__ import annotations

import gc
import logging
import pickle
import threading
import time
import weakref
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.decoding.captured import capture, pool
from dlmsample.decoding.step import tree_map
from dlmsample.policies.base import Policy
from tests.conftest import ZOO
from tests.tape import tapes
from tests.test_protocol import CASES
from tests.toys import EOS, MASK, random_model

RAGGED = [[5, 7, 9], [4] * 17, [8], [6, 3] * 9, [11] * 8, [12, 13], [9] * 30, [20, 21, 22], [33] * 5]


def both(model: ds.Denoiser, policy: Policy, **options: Any) -> tuple[ds.Sampler, ds.Sampler]:
    return tuple(ds.Sampler(model, policy, graphs=on, **options) for on in (True, False))  # type: ignore[return-value]


def same(captured: ds.Sampler, plain: ds.Sampler, prompts: Any = RAGGED, new: int = 21) -> None:
    for _ in range(2):  # the second call plays what the first one captured
        ours, theirs = (s.generate(prompts, max_new_tokens=new, record=True) for s in (captured, plain))
        assert ours.tokens == theirs.tokens
        assert ours.stats == theirs.stats
        for one, two in zip(ours.trace or [], theirs.trace or [], strict=True):
            exact = [[replace(e, probability=0, score=None) for e in events] for events in (one, two)]
            assert exact[0] == exact[1]
            assert [e.probability for e in one] == pytest.approx([e.probability for e in two], abs=1e-5)
            assert [e.score or 0 for e in one] == pytest.approx([e.score or 0 for e in two], abs=1e-5)


def kept(sampler: ds.Sampler) -> Any:
    """The slots of its latest batch of prompts."""
    return sampler._pool._kept[False][0]


@pytest.mark.parametrize(
    "policy", [pytest.param(p, marks=pytest.mark.full) if p.name in ZOO else p for p in CASES], ids=repr
)
@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
def test_captured_is_plain(made: list[Any], kind: str, policy: Policy, full: bool) -> None:
    captured, plain = both(random_model(kind, seed=1), policy, batch_size=3)
    prompts, new = (RAGGED, 21) if full else (RAGGED[:4], 8)
    same(captured, plain, prompts, new)
    assert made


@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("length", [None, "all"])
def test_every_form(made: list[Any], alignment: str, cache: bool, length: Any) -> None:
    model = random_model("block_causal", alignment, seed=2)
    captured, plain = both(model, ds.T2M(fill_threshold=0.2), cache=cache, block_length=length, batch_size=3)
    for count in (9, 2):  # fewer rows use the first slots
        ours, theirs = (s.generate(RAGGED[:count], max_new_tokens=19, seed=3) for s in (captured, plain))
        assert ours.tokens == theirs.tokens
        assert ours.stats == theirs.stats
    assert made


def test_texts_with_masks(made: list[Any]) -> None:
    texts = [[4, MASK, 7, MASK], [*[9] * 20, MASK, MASK], [MASK] * 5, [3] * 9 + [MASK] + [3] * 20 + [MASK]]
    for length in (None, 4):
        captured, plain = both(random_model(seed=3), ds.T2T(), block_length=length, batch_size=2)
        for _ in range(2):
            assert captured.fill(texts).tokens == plain.fill(texts).tokens
    assert made


def test_sampling_and_stop_strings(made: list[Any], nano: ds.Denoiser) -> None:
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=3)]
    captured, plain = both(nano, ds.T2T(), temperature=1.0, batch_size=2)
    ours, theirs = (s.generate(prompts, max_new_tokens=48, seed=4, stop=["."]) for s in (captured, plain))
    assert ours.texts == theirs.texts
    assert any(row.finish_reason == "stop" for row in ours.stats)


def test_a_freed_slot_keeps_nothing(made: list[Any]) -> None:
    """Between two calls everything that the slots remember is spoilt."""
    for kind in ("block_causal", "bidirectional"):
        captured, plain = both(random_model(kind, seed=5), ds.T2M(max_remasks=3, fill_threshold=0.2), batch_size=3)
        captured.generate(RAGGED[:7], max_new_tokens=10)
        slots = kept(captured)
        poisoned = [*slots.reader._cache._each()] if captured.cache == "exact" else []
        tree_map(poisoned.append, slots.memory.everything)
        for tensor in poisoned:
            tensor.fill_(float("nan") if tensor.is_floating_point() else 1)
        assert (
            captured.generate(RAGGED[:7], max_new_tokens=10).tokens
            == plain.generate(RAGGED[:7], max_new_tokens=10).tokens
        )


def test_refilled_slots_of_a_plain_batch() -> None:
    """Nine prompts in three slots: each answer is the one it has alone."""
    for kind in ("block_causal", "bidirectional"):
        sampler = ds.Sampler(random_model(kind, seed=6), ds.T2T(fill_threshold=0.3), batch_size=3)
        together = sampler.generate(RAGGED, max_new_tokens=18)
        assert together.tokens == [sampler.generate([p], max_new_tokens=18).tokens[0] for p in RAGGED]
        assert len({row.nfe for row in together.stats}) > 1  # they left at different times


def test_what_cannot_be_captured_runs_plainly(
    made: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = random_model(seed=7)
    embed = model.module.get_input_embeddings()
    embed.register_forward_hook(lambda module, args, out: out * out.isfinite().all().item())
    captured, plain = both(model, ds.Unmask(), batch_size=4)
    with caplog.at_level(logging.WARNING, "dlmsample"):
        assert captured.generate(RAGGED, max_new_tokens=20).tokens == plain.generate(RAGGED, max_new_tokens=20).tokens
    assert len(caplog.records) == 1
    assert "cannot be captured" in caplog.text
    assert not made


def test_after_some_failures_nothing_more_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    tried = []

    def fail(work: Any) -> Any:
        tried.append(work)
        raise RuntimeError("operation not permitted")

    captures = capture.Captures(fail, "toy")
    for reach in range(capture.FAILURES + 2):
        assert [captures.run(("step", 1, reach), lambda n=reach: n) for _ in range(3)] == [reach] * 3
    assert len(tried) == capture.FAILURES
    assert len(caplog.records) == 1


def test_new_weights_are_captured_anew(made: list[Any]) -> None:
    model = random_model(seed=8)
    captured, plain = both(model, ds.Unmask(tokens_per_step=2), batch_size=4)
    captured.generate(RAGGED, max_new_tokens=8)
    count = len(made)
    captured.generate(RAGGED, max_new_tokens=8)
    assert len(made) == count
    model.module.double()
    assert captured.generate(RAGGED, max_new_tokens=8).tokens == plain.generate(RAGGED, max_new_tokens=8).tokens
    assert len(made) > count


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("begin", [True, False])
def test_within_inference_mode_and_without(made: list[Any], kind: str, on: bool, begin: bool) -> None:
    """Tensors made in inference mode take no writes outside it: a batch makes none, whatever mode it is read in."""
    policy, prompts = ds.T2T(fill_threshold=0.2), RAGGED[:5]
    sampler = ds.Sampler(random_model(kind, seed=8), policy, batch_size=2, graphs=on)
    want = ds.Sampler(sampler.model, policy, batch_size=2, graphs=False).generate(prompts, 10).tokens
    for _ in range(2):
        answers, found = sampler.stream(prompts, 10), {}
        for turn in range(len(prompts)):
            with torch.inference_mode((turn % 2 == 0) is begin):
                answer = next(answers)
            found[answer.number] = answer.tokens
        assert found == dict(enumerate(want))
        answers.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("count", [9, 11])
def test_a_batch_is_filled_up_with_rows_that_are_done(made: list[Any], kind: str, count: int) -> None:
    captured, plain = both(random_model(kind, seed=11), ds.T2M(fill_threshold=0.3), temperature=1.0, batch_size=16)
    prompts = [*RAGGED, *RAGGED][:count]
    ours = captured.generate(prompts, 18, seed=range(count), record=True)
    assert kept(captured).size == count + 1
    for row, prompt in enumerate(prompts):
        alone = plain.generate([prompt], 18, seed=[row], record=True)
        assert (ours.tokens[row], ours.stats[row]) == (alone.tokens[0], alone.stats[0])
        one, two = (out.trace[at] for out, at in ((ours, row), (alone, 0)))  # type: ignore[index]
        assert [(e.step, e.position, e.new) for e in one] == [(e.step, e.position, e.new) for e in two]


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
def test_mixed_calls_take_few_captures(made: list[Any], kind: str) -> None:
    """Batches of 1 to 12 rows, whose rows leave at any time: 1 to 8, 10 or 12 rows in a forward."""
    model = random_model(kind, seed=12)
    with torch.no_grad():
        model.module.lm_head.weight[EOS] *= 2
    captured, plain = both(model, ds.Unmask(threshold=0.2), batch_size=12)
    prompts = [[3 + n, 9, 7 * n % 50 + 5] for n in range(16)]
    for count in (12, 16, *range(1, 12)):
        assert captured.generate(prompts[:count], 10).tokens == plain.generate(prompts[:count], 10).tokens
    assert {rows for _, rows, _ in kept(captured).executor.captures.graphs} <= {*range(1, 9), 10, 12}
    assert 3 <= len(made) <= 10


def test_only_so_many_captures_are_held(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "KINDS", 2)
    captured, plain = both(random_model("bidirectional", seed=13), ds.Unmask(tokens_per_step=2), batch_size=4)
    for prompts in ([*RAGGED, [5] * 150, [6] * 200], RAGGED[:4], RAGGED[:1], RAGGED[:4]):
        assert captured.generate(prompts, 16).tokens == plain.generate(prompts, 16).tokens
    held = [weakref.ref(graph[0]) for graph in kept(captured).executor.captures.graphs.values() if graph is not None]
    assert len(held) <= 2
    captured.release()
    made.clear()
    gc.collect()
    assert [ref() for ref in held] == [None] * len(held)


def test_prompts_and_texts_in_turn(made: list[Any]) -> None:
    """Each has captures of its own."""
    captured, plain = both(random_model(seed=3), ds.T2T(), batch_size=2)
    texts = [[4, MASK, 7, MASK], [9, 9, MASK, MASK, 5], [3, MASK, MASK, 8]]
    counts = []
    for _ in range(3):
        assert captured.generate(RAGGED[:3], 16).tokens == plain.generate(RAGGED[:3], 16).tokens
        assert captured.fill(texts).tokens == plain.fill(texts).tokens
        counts.append(len(made))
    assert counts[1] == counts[2]  # the second forward of a kind is captured, which may be in the second call


def test_texts_of_other_widths(made: list[Any]) -> None:
    """A block a little wider than need be costs less than a capture; one of another size altogether does not."""
    captured, plain = both(random_model(seed=3), ds.Unmask(), batch_size=2)
    counts = []
    for masks in (20, 18, 20, 9):
        texts = [[7, *[MASK] * masks, 8, 9], [5, 6, *[MASK] * (masks - 2), 3]]
        assert captured.fill(texts).tokens == plain.fill(texts).tokens
        counts.append(len(made))
    assert counts[0] == counts[1] == counts[2] < counts[3]


def test_wide_blocks_come_first(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a text's masks are one block: whatever follows the widest has room in its place."""
    opened: list[int] = []
    plain_open = pool.Pool.slots

    def watched(lender: Any, config: Any, size: int, extent: Any) -> Any:
        opened.append(extent.width)
        return plain_open(lender, config, size, extent)

    monkeypatch.setattr(pool.Pool, "slots", watched)
    texts = [[5] * (40 - width) + [MASK] * width for width in (3, 9, 20, 5, 30, 2, 14)]
    for on in (True, False):
        sampler = ds.Sampler(random_model(seed=3), ds.Unmask(), batch_size=2, graphs=on)
        together = sampler.fill(texts).tokens
        assert together == [sampler.fill([text]).tokens[0] for text in texts]
        assert opened[0] == 30
        assert opened == [30, 3, 9, 20, 5, 30, 2, 14]
        opened.clear()


def test_release(made: list[Any]) -> None:
    captured, plain = both(random_model(seed=9), ds.Unmask(), batch_size=2)
    want = plain.generate(RAGGED, 12).tokens
    captured.release()  # there is nothing yet
    captured.generate(RAGGED, 12)
    captured.fill([[4, MASK]])
    held = [weakref.ref(slots) for slots, *_ in captured._pool._kept.values()]
    assert len(held) == 2
    captured.release()
    made.clear()
    gc.collect()
    assert [ref() for ref in held] == [None, None]
    running = captured.stream(RAGGED, 12)
    begun = next(running)
    captured.release()  # what runs goes on, and gives its own back when it ends
    assert {a.number: a.tokens for a in [begun, *running]} == dict(enumerate(want))
    assert not captured._pool._kept
    assert captured.generate(RAGGED, 12).tokens == want
    assert captured._pool._kept


def test_release_from_many_threads(made: list[Any]) -> None:
    captured, plain = both(random_model(seed=9), ds.Unmask(tokens_per_step=4), batch_size=2)
    want = plain.generate(RAGGED, 12).tokens
    found: list[Any] = []

    def work() -> None:
        for _ in range(3):
            found.append(captured.generate(RAGGED, 12).tokens)
            captured.release()

    at_once(work, work)
    assert found == [want] * 6


def test_one_capture_at_a_time(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA records one stream of a process at a time."""
    busy, clashes = threading.Lock(), list[str]()
    record = tapes()()

    def watched(work: Callable[[], Any]) -> Any:
        if not busy.acquire(blocking=False):
            clashes.append("two at a time")
            return record(work)
        time.sleep(0.05)
        try:
            return record(work)
        finally:
            busy.release()

    monkeypatch.setattr(pool, "cuda_graphs", lambda: watched)
    model = random_model(seed=9)
    at_once(*[lambda: ds.Sampler(model, ds.Unmask(tokens_per_step=4), batch_size=2).generate(RAGGED, 12)] * 2)
    assert not clashes


def at_once(*works: Callable[[], Any]) -> None:
    """Each in a thread of its own."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_abandoned_stream_keeps_its_captures(made: list[Any]) -> None:
    captured, plain = both(random_model(seed=9), ds.Unmask(), batch_size=2)
    captured.generate(RAGGED, 12)
    count = len(made)
    answers = captured.stream(RAGGED, 12)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert captured.generate(RAGGED, 12).tokens == plain.generate(RAGGED, 12).tokens
    assert len(made) == count


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_broken_batch_keeps_nothing(made: list[Any], error: Any) -> None:
    def prompts() -> Any:
        yield from RAGGED[:3]
        raise error

    captured, plain = both(random_model(seed=9), ds.Unmask(), batch_size=2)
    with pytest.raises(error):
        list(captured.stream(prompts(), 12))
    assert captured.generate(RAGGED, 12).tokens == plain.generate(RAGGED, 12).tokens


def test_a_copy_begins_without_captures(made: list[Any]) -> None:
    captured, plain = both(random_model(seed=9), ds.Unmask(), batch_size=2)
    want = captured.generate(RAGGED, 12).tokens
    copy = deepcopy(captured)
    assert not copy._pool._kept
    assert pickle.loads(pickle.dumps(captured._pool))._kept == {}
    assert copy.generate(RAGGED, 12).tokens == want == plain.generate(RAGGED, 12).tokens


def test_two_calls_at_a_time(made: list[Any]) -> None:
    captured, plain = both(random_model(seed=9), ds.Unmask(), batch_size=2)
    want = plain.generate(RAGGED, max_new_tokens=12).tokens
    first = captured.stream(RAGGED, max_new_tokens=12)
    begun = next(first)
    assert captured.generate(RAGGED, max_new_tokens=12).tokens == want
    assert {a.number: a.tokens for a in [begun, *first]} == dict(enumerate(want))


def test_a_row_that_is_done_costs_no_more(made: list[Any]) -> None:
    """EOS ends a row; its slot goes to the next prompt, and the figures count its own forwards only."""
    model = random_model(seed=10)
    with torch.no_grad():
        model.module.lm_head.weight[EOS] *= 3
    captured, plain = both(model, ds.Unmask(tokens_per_step=4), batch_size=2)
    ours, theirs = (s.generate(RAGGED, max_new_tokens=30) for s in (captured, plain))
    assert ours.stats == theirs.stats
    assert {row.finish_reason for row in ours.stats} == {"eos", "length"}
