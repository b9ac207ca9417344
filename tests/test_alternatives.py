"""Entropy and the most probable tokens in the trace: they are the softmax's, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.predict import alternatives
from tests.toys import MASK, random_model


def test_they_are_the_softmax_without_the_mask() -> None:
    logits = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0))
    found = alternatives(logits, 4, 3)
    for row in range(2):
        for pos in range(3):
            p = torch.cat([logits[row, pos, :4], logits[row, pos, 5:]]).double().softmax(-1)
            ids = [*range(4), *range(5, 9)]
            order = sorted(range(8), key=lambda i: -p[i])[:3]
            assert found.tokens[row, pos].tolist() == [ids[i] for i in order]
            assert found.probs[row, pos].tolist() == pytest.approx([p[i].item() for i in order], abs=1e-6)
            assert found.entropy[row, pos].item() == pytest.approx(-(p * p.log()).sum().item(), abs=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_they_are_finite_whatever_the_model_says(bad: float) -> None:
    logits = torch.zeros(1, 1, 5)
    logits[..., 1] = bad
    found = alternatives(logits, 4, 3)
    assert all(torch.isfinite(part).all() for part in found[1:])


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
def test_they_come_with_the_events_and_change_nothing(kind: str, made: list[Any]) -> None:
    sampler = ds.Sampler(random_model(kind, seed=3), ds.T2M(fill_threshold=0.3), temperature=1.0)
    plain = sampler.generate([[5, 6], [7]], 16, record=True)
    found = sampler.generate([[5, 6], [7]], 16, record="alternatives")
    assert (found.tokens, found.stats) == (plain.tokens, plain.stats)
    assert plain.trace is not None
    assert found.trace is not None
    for before, after in zip(plain.trace, found.trace, strict=True):
        assert [(e.kind, e.step, e.position, e.new) for e in before] == [
            (e.kind, e.step, e.position, e.new) for e in after
        ]
        for event in before:
            assert (event.entropy, event.others) == (None, ())
        for event in after:
            assert event.entropy is not None
            assert len(event.others) == 3
            assert MASK not in dict(event.others)
            best = dict(event.others)
            if event.kind != "remask" and event.new in best:
                assert best[event.new] == pytest.approx(event.probability, abs=1e-5)
    assert sampler.generate([[5, 6], [7]], 16, record=True).trace == plain.trace
