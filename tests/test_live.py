"""Batches that are driven from outside: rows join and leave at any time, and none of the others notices."""

from __future__ import annotations

import random
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
