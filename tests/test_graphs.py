"""Captured forwards give what plain ones give, whatever had the slots before."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample import graphs
from dlmsample.batch import tree_map
from dlmsample.policies.base import Policy
from tests.tape import tapes
from tests.test_protocol import CASES
from tests.toys import EOS, MASK, random_model

RAGGED = [[5, 7, 9], [4] * 17, [8], [6, 3] * 9, [11] * 8, [12, 13], [9] * 30, [20, 21, 22], [33] * 5]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Captures on the CPU; the tapes that were made."""
    log: list[Any] = []
    monkeypatch.setattr(graphs, "cuda_graphs", tapes(log))
    monkeypatch.setattr(graphs, "_capturable", lambda plan: plan.cache not in ("prefix", "dual"))
    return log


def both(model: ds.Denoiser, policy: Policy, **options: Any) -> tuple[ds.Sampler, ds.Sampler]:
    return tuple(ds.Sampler(model, policy, graphs=on, **options) for on in (True, False))  # type: ignore[return-value]


@pytest.mark.parametrize("policy", CASES, ids=repr)
@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
def test_captured_is_plain(made: list[Any], kind: str, policy: Policy) -> None:
    captured, plain = both(random_model(kind, seed=1), policy, batch_size=4)
    for _ in range(2):  # the second call plays what the first one captured
        ours, theirs = (s.generate(RAGGED, max_new_tokens=21, record=True) for s in (captured, plain))
        assert ours.tokens == theirs.tokens
        assert ours.stats == theirs.stats
        for one, two in zip(ours.trace or [], theirs.trace or [], strict=True):
            assert [replace(e, probability=0) for e in one] == [replace(e, probability=0) for e in two]
            assert [e.probability for e in one] == pytest.approx([e.probability for e in two], abs=1e-5)
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
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=5)]
    captured, plain = both(nano, ds.T2T(), temperature=1.0, batch_size=2)
    ours, theirs = (s.generate(prompts, max_new_tokens=64, seed=4, stop=["."]) for s in (captured, plain))
    assert ours.texts == theirs.texts
    assert any(row.finish_reason == "stop" for row in ours.stats)


def test_a_freed_slot_keeps_nothing(made: list[Any]) -> None:
    """Between two calls everything that the slots remember is spoilt."""
    for kind in ("block_causal", "bidirectional"):
        captured, plain = both(random_model(kind, seed=5), ds.T2M(max_remasks=3, fill_threshold=0.2), batch_size=3)
        captured.generate(RAGGED, max_new_tokens=17)
        slots = captured._pool._kept[0]  # type: ignore[index]
        poisoned = [*slots._reader._cache._each()] if captured.cache == "exact" else []
        tree_map(poisoned.append, slots._all[0])
        for tensor in poisoned:
            tensor.fill_(float("nan") if tensor.is_floating_point() else 1)
        assert captured.generate(RAGGED, max_new_tokens=17).tokens == plain.generate(RAGGED, max_new_tokens=17).tokens


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


def test_new_weights_are_captured_anew(made: list[Any]) -> None:
    model = random_model(seed=8)
    captured, plain = both(model, ds.Unmask(), batch_size=4)
    captured.generate(RAGGED, max_new_tokens=20)
    count = len(made)
    captured.generate(RAGGED, max_new_tokens=20)
    assert len(made) == count
    model.module.double()
    assert captured.generate(RAGGED, max_new_tokens=20).tokens == plain.generate(RAGGED, max_new_tokens=20).tokens
    assert len(made) > count


def test_within_inference_mode_and_without(made: list[Any]) -> None:
    captured, plain = both(random_model(seed=8), ds.T2T(), batch_size=4)
    with torch.inference_mode():
        first = captured.generate(RAGGED, max_new_tokens=20)
    assert first.tokens == captured.generate(RAGGED, 20).tokens == plain.generate(RAGGED, 20).tokens


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
