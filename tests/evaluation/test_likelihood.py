"""The Monte-Carlo bound equals a loop over single maskings, and its expectation is the bound itself."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample import rng
from dlmsample.evaluation.likelihood import Likelihood, Pair, log_likelihood, noise
from tests.toys import MASK, random_model

PAIRS = [
    Pair([5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
    Pair([], [20, 21, 22, 23]),
    Pair([30], [31]),
    Pair(list(range(3, 14)), [40, 41, 42]),
]
MODELS = [("bidirectional", "prompt"), ("block_causal", "prompt"), ("block_causal", "absolute")]


def one_forward(model: ds.Denoiser, ids: list[int], blocks: list[int] | None) -> torch.Tensor:
    """Log-probabilities ``[pos, vocab]`` of one canvas that sees everything, or its own and earlier blocks."""
    where = torch.tensor([0] * len(ids) if blocks is None else blocks)
    mask = (where[:, None] >= where[None, :])[None, None]
    place = torch.arange(len(ids))[None]
    with torch.no_grad():
        found = model.module(input_ids=torch.tensor([ids]), position_ids=place, attention_mask=mask).logits[0]
    if model.facts.logit_shift:
        found = torch.cat([found[:1], found[:-1]])
    return found.double().log_softmax(-1)


def blocks_of(model: ds.Denoiser, pair: Pair) -> list[int]:
    """The block of every position of a canvas."""
    b, p = model.block_length, len(pair.context)
    places = range(p + len(pair.answer))
    return [i // b if model.block_alignment == "absolute" else 0 if i < p else 1 + (i - p) // b for i in places]


def looped(model: ds.Denoiser, pair: Pair, samples: int, seed: int) -> Likelihood:
    """The bound, draw by draw and block by block."""
    ids, p = [*pair.context, *pair.answer], len(pair.context)
    causal = model.attention == "block_causal"
    blocks = blocks_of(model, pair) if causal else [0] * len(ids)
    key = torch.tensor(rng.sequence_key(seed, ids, p))
    values = []
    for draw in range(samples):
        total = 0.0
        for block in sorted(set(blocks[p:])):
            spots = [i for i in range(p, len(ids)) if blocks[i] == block]
            size = len(spots)
            start = math.floor(float(rng.uniform(rng.fold(key, 0, block))) * size)
            count = 1 + (start + draw * size // samples) % size
            chosen = sorted(spots, key=lambda i: float(rng.uniform(rng.fold(key, 1, draw, i - p))))[:count]
            noisy = [MASK if i in chosen else t for i, t in enumerate(ids) if not causal or blocks[i] <= block]
            logp = one_forward(model, noisy, blocks[: len(noisy)] if causal else None)
            total += size / count * sum(float(logp[i, ids[i]]) for i in chosen)
        values.append(total)
    mean = sum(values) / samples
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (samples - 1))
    return Likelihood(mean, spread / math.sqrt(samples))


@pytest.mark.parametrize(("attention", "alignment"), MODELS)
@pytest.mark.parametrize("shift", [False, True])
def test_it_equals_the_loop(attention: str, alignment: str, shift: bool) -> None:
    model = random_model(attention, alignment, block_length=4)
    model = replace(model, facts=replace(model.facts, logit_shift=shift))
    found = log_likelihood(model, PAIRS, samples=5, seed=3, batch_size=7)
    for pair, (value, error) in zip(PAIRS, found, strict=True):
        assert (value, error) == pytest.approx(looped(model, pair, 5, 3), abs=1e-4)


@pytest.mark.parametrize(("attention", "alignment"), MODELS)
def test_batches_and_order_change_nothing(attention: str, alignment: str) -> None:
    model = random_model(attention, alignment, block_length=4)
    alone = [log_likelihood(model, [pair], samples=6, batch_size=1)[0] for pair in PAIRS]
    turned = log_likelihood(model, PAIRS[::-1], samples=6, batch_size=64)[::-1]
    for one, other in zip(alone, turned, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert alone[0] != log_likelihood(model, [PAIRS[0]], samples=6, seed=1)[0]


def test_the_mean_is_the_bound() -> None:
    model, pair = random_model("bidirectional"), Pair([5, 6], [8, 9, 10])
    exact = 0.0
    for count in (1, 2, 3):
        every = list(combinations(range(2, 5), count))
        for chosen in every:
            ids = [MASK if i in chosen else t for i, t in enumerate([5, 6, 8, 9, 10])]
            logp = one_forward(model, ids, None)
            exact += sum(float(logp[i, [5, 6, 8, 9, 10][i]]) for i in chosen) / (count * len(every))
    value, error = log_likelihood(model, [pair], samples=1500, batch_size=500)[0]
    assert abs(value - exact) < 4 * error


def test_blocks_of_one_position_are_exact() -> None:
    model, pair = random_model("block_causal", "absolute", block_length=1), PAIRS[0]
    ids = [*pair.context, *pair.answer]
    exact = 0.0
    for i in range(len(pair.context), len(ids)):
        exact += float(one_forward(model, [*ids[:i], MASK], list(range(i + 1)))[i, ids[i]])
    value, error = log_likelihood(model, [pair], samples=3)[0]
    assert (value, error) == pytest.approx((exact, 0.0), abs=1e-4)


def test_numbers_of_masks_are_spread_evenly() -> None:
    size, samples = 8, 16
    keys = torch.full((samples,), 11)
    blocks, valid = torch.zeros(samples, size, dtype=torch.long), torch.ones(samples, size, dtype=torch.bool)
    found = noise(blocks, valid, keys, torch.arange(samples), samples)
    assert sorted(found.masked.sum(1).tolist()) == sorted([*range(1, size + 1)] * 2)


def test_mistakes_and_edges() -> None:
    model = random_model()
    assert log_likelihood(model, []) == []
    assert log_likelihood(model, [Pair([5], [])], samples=2) == [Likelihood(0.0, 0.0)]
    assert math.isnan(log_likelihood(model, [PAIRS[0]], samples=1)[0].error)
    wrongs: list[tuple[str, dict[str, Any]]] = [("samples", {"samples": 0}), ("batch_size", {"batch_size": 0})]
    for said, options in wrongs:
        with pytest.raises(ValueError, match=said):
            log_likelihood(model, PAIRS, **options)
    with pytest.raises(ValueError, match="exceeds the context"):
        log_likelihood(model, [Pair([5] * 600, [6])])
