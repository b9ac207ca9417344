"""Batches that are driven from outside: rows join and leave at any time, and none of the others notices."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.decoding.answers import Decoded
from dlmsample.decoding.arguments import RowKeys
from dlmsample.decoding.live import LiveBatches
from dlmsample.decoding.request import Request
from tests.toys import MASK, random_model

POLICIES = [ds.T2M(fill_threshold=0.3), ds.T2T(fill_threshold=0.3), ds.Unmask(tokens_per_step=2), ds.D3IM(steps=6)]


def driven(sampler: ds.Sampler, prompts: list[list[int]], new: int, seed: int) -> dict[int, Decoded]:
    """Every prompt decoded in a batch whose rows come and go by chance; those that are dropped come again later."""
    chance = random.Random(seed)
    requests = [Request(i, p + [MASK] * new, RowKeys(5).of(p), record=i % 2 == 0) for i, p in enumerate(prompts)]
    waiting, results = list(requests), dict[int, Decoded]()
    with LiveBatches(sampler, 64, new).open() as batch:
        while waiting or batch.live:
            if batch.room and waiting and (chance.random() < 0.5 or not batch.live):
                count = chance.randint(1, min(batch.room, len(waiting)))
                batch.admit(waiting[:count])
                waiting = waiting[count:]
            if batch.live and chance.random() < 0.1:
                gone = chance.choice(batch.live)
                batch.drop([gone])
                waiting.append(gone.request)
            if not batch.live:
                continue
            results |= dict(batch.forward())
            if chance.random() < 0.7:
                batch.close_up()
    return results


def check(kind: str, policy: ds.Policy, block_length: Any, seed: int) -> None:
    chance = random.Random(seed)
    prompts = [[chance.randint(3, 40) for _ in range(chance.randint(1, 20))] for _ in range(9)]
    sampler = ds.Sampler(random_model(kind, seed=3), policy, block_length, temperature=1.0, batch_size=4)
    results = driven(sampler, prompts, 20, seed)
    assert sorted(results) == list(range(9))
    for number, prompt in enumerate(prompts):
        out = sampler.generate([prompt], 20, seed=5, record=True)
        result = results[number]
        assert result.stats(len(out.tokens[0])) == out.stats[0]
        assert result.canvas[len(prompt) :][: len(out.tokens[0])] == out.tokens[0]
        assert out.trace is not None
        assert [(e.step, e.position, e.new) for e in result.events] == (
            [(e.step, e.position, e.new) for e in out.trace[0]] if number % 2 == 0 else []
        )


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_rows_come_and_go(kind: str, policy: ds.Policy, full: bool) -> None:
    for seed in range(8 if full else 1):
        check(kind, policy, None, seed)
        check(kind, policy, "all", seed)


@pytest.mark.parametrize("policy", POLICIES[:2], ids=lambda policy: policy.name)
def test_they_do_so_where_forwards_are_captured(policy: ds.Policy, made: list[Any], full: bool) -> None:
    for seed in range(4 if full else 1):
        check("block_causal", policy, None, seed)
    assert made


def test_blocks_that_are_left_behind_are_known() -> None:
    sampler = ds.Sampler(random_model(seed=3), ds.Unmask(), batch_size=2)
    whole = sampler.generate([[5, 6]], 24, seed=5)
    with LiveBatches(sampler, 64, 24).open() as batch:
        batch.admit([Request(0, [5, 6] + [MASK] * 24, RowKeys(5).of([5, 6]))])
        seen = set()
        while batch.live:
            seen.add(tuple(batch.answered(batch.live[0])))
            batch.forward()
    assert len(seen) > 1
    assert all(list(part) == whole.tokens[0][: len(part)] for part in seen)


def exact(event: ds.Event) -> tuple[object, ...]:
    """An event without its figures, which rounding moves in a batch of another shape."""
    return event.kind, event.step, event.block, event.position, event.old, event.new


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_drafts_lead_to_the_answers_of_generate(kind: str, policy: ds.Policy) -> None:
    chance = random.Random(repr(policy))
    prompts = [[chance.randint(3, 40) for _ in range(n)] for n in (3, 12, 1, 7, 7)]
    sampler = ds.Sampler(random_model(kind, seed=3), policy, temperature=1.0, batch_size=2)
    out = sampler.generate(prompts, 21, seed=5, record=True)
    assert out.trace is not None
    drafts = list(ds.watch(sampler, prompts, 21, seed=5))
    for number in range(len(prompts)):
        mine = [draft for draft in drafts if draft.number == number]
        answer = mine[-1].answer
        assert answer is not None
        assert (answer.tokens, answer.stats) == (out.tokens[number], out.stats[number])
        told = [event for draft in mine for event in draft.events]
        assert told == answer.trace
        assert list(map(exact, told)) == list(map(exact, out.trace[number]))
        assert [draft.forwards for draft in mine] == [*range(1, out.stats[number].nfe + 1)]
        canvas = [MASK] * 21
        for draft in mine:  # events lead from a draft to the next, and settled tokens stay
            for event in draft.events:
                assert draft.confidence[event.position] is not None
                canvas[event.position] = event.new
            assert draft.tokens == canvas
            assert mine[-1].tokens[: draft.settled] == draft.tokens[: draft.settled]
            assert all(0 <= sure <= 1 for sure in draft.confidence if sure is not None)
        assert all(draft.answer is None for draft in mine[:-1])


def test_a_draft_for_every_finished_block(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, ds.T2M(fill_threshold=0.6))
    drafts = list(ds.watch(sampler, "Ann had 3 pens and bought 2 more. How many?", 72, every="block"))
    assert len({draft.settled for draft in drafts}) == len(drafts) <= 4
    told = [draft.text or "" for draft in drafts]
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert told[-1] == sampler.generate(["Ann had 3 pens and bought 2 more. How many?"], 72).texts[0]


def test_a_stop_string_ends_what_is_watched(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, ds.Unmask(tokens_per_step=1))
    *_, last = ds.watch(sampler, "Ann had 3 pens and bought 2 more. How many?", 72, stop=["####"])
    assert last.answer is not None
    assert last.answer.stats.finish_reason == "stop"
    assert last.text == sampler.generate("Ann had 3 pens and bought 2 more. How many?", 72, stop=["####"]).texts[0]


def test_what_cannot_be_watched(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, "unmask")
    with pytest.raises(ValueError, match="watch takes a Sampler, not 'nano'"):
        ds.watch("nano", "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='every is "step" or "block"'):
        ds.watch(sampler, "x", every="token")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="context"):
        ds.watch(sampler, "x", 10**6)
