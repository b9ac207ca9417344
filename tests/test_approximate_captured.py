"""Approximate caches captured: the tokens of the plain reader, whatever had the slots before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.decoding.captured import executor, pool
from dlmsample.decoding.captured.compiled import compiled_update
from dlmsample.decoding.captured.parts import CapturedParts
from dlmsample.decoding.step import tree_map
from dlmsample.heads import CorrectionHead, HeadConfig
from dlmsample.models.attention.approximate import ApproximateReader
from dlmsample.models.attention.in_place import NAME, InPlaceApproximateReader
from dlmsample.models.fusion.fuse import fuse
from dlmsample.policies.base import Policy
from tests.conftest import ZOO
from tests.test_compiled import _again
from tests.test_graphs import RAGGED, both, kept, same
from tests.test_protocol import CASES
from tests.toys import EOS, MASK, random_model

#: Policies that hide tokens one by one have no approximate cache, and a head has tests of its own.
WITH = [p for p in CASES if not {"loo_prob", "error"} & p.needs]
KINDS = ["prefix", "dual"]
in_both_ways = pytest.mark.parametrize("in_place", [False, True])


def toy(in_place: bool, shift: bool = False, seed: int = 1, layers: int = 2) -> ds.Denoiser:
    model = random_model("bidirectional", seed=seed)
    model.module.model.layers = model.module.model.layers[:layers]
    if in_place:
        model.module.set_attn_implementation(NAME)
        model.module.config.num_hidden_layers = layers
    return replace(model, facts=replace(model.facts, logit_shift=shift))


def with_head(model: ds.Denoiser) -> ds.Denoiser:
    torch.manual_seed(0)
    size = model.module.config.hidden_size
    head = CorrectionHead(HeadConfig(hidden_size=size, width=16, heads=2, mlp=24)).eval()
    with torch.no_grad():
        head.out.weight *= 20  # else the scores of all tokens are next to equal
    return model.with_head(head)


@pytest.mark.parametrize(
    "policy", [pytest.param(p, marks=pytest.mark.full) if p.name in ZOO else p for p in WITH], ids=repr
)
@pytest.mark.parametrize("kind", KINDS)
@in_both_ways
def test_captured_is_plain(made: list[Any], in_place: bool, kind: str, policy: Policy, full: bool) -> None:
    captured, plain = both(toy(in_place), policy, batch_size=3, cache=kind)
    same(captured, plain, *((RAGGED, 21) if full else (RAGGED[:4], 10)))
    slots = kept(captured)
    assert made
    assert type(slots.executor) is CapturedParts
    assert type(slots.reader) is (InPlaceApproximateReader if in_place else ApproximateReader)


@pytest.mark.parametrize("refresh", [1, 3])
@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@in_both_ways
def test_whole_forwards_in_mid_block_and_shifted_logits(
    made: list[Any], in_place: bool, kind: str, shift: bool, refresh: int
) -> None:
    policy = ds.T2M(fill_threshold=0.2, max_remasks=2)
    for length, batch in ((None, 3), ("all", 1)):
        options: dict[str, Any] = {"cache": kind, "refresh": refresh, "block_length": length, "batch_size": batch}
        same(*both(toy(in_place, shift), policy, **options), prompts=RAGGED[: batch + 1], new=11)


@pytest.mark.parametrize("kind", KINDS)
@in_both_ways
def test_nothing_before_the_first_block_and_shifted_logits(made: list[Any], in_place: bool, kind: str) -> None:
    """Its first position keeps its own prediction."""
    model = toy(in_place, True)
    model = replace(model, facts=replace(model.facts, block_alignment="absolute"))
    same(*both(model, ds.Unmask(), batch_size=2, cache=kind), prompts=[[9], [7, 8], [*range(3, 12)]], new=12)


@pytest.mark.parametrize("kind", KINDS)
@in_both_ways
def test_a_freed_slot_keeps_nothing(made: list[Any], in_place: bool, kind: str) -> None:
    """Between two calls everything that the slots remember is spoilt."""
    for shift in (False, True):
        model = with_head(toy(in_place, shift, seed=5))
        captured, plain = both(model, ds.DSC(threshold=0.4), batch_size=3, cache=kind)
        captured.generate(RAGGED[:7], max_new_tokens=10)
        slots = kept(captured)
        reader: Any = slots.reader
        poisoned = [*reader._cache._each(), reader._hidden, reader._scored]
        tree_map(poisoned.append, slots.memory.everything)
        for tensor in poisoned:
            tensor.fill_(float("nan") if tensor.is_floating_point() else 1)
        ours, theirs = (s.generate(RAGGED[:7], max_new_tokens=10).tokens for s in (captured, plain))
        assert ours == theirs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refresh", [None, 2])
@in_both_ways
def test_rows_that_come_and_go(made: list[Any], in_place: bool, kind: str, refresh: int | None) -> None:
    """EOS ends rows at any time, others take their slots, and the batch is closed up at the end."""
    model = toy(in_place, seed=12)
    with torch.no_grad():
        model.module.lm_head.weight[EOS] *= 2
    captured, plain = both(model, ds.Unmask(threshold=0.2), batch_size=11, cache=kind, refresh=refresh, temperature=1.0)
    prompts = [[3 + n, 9, *[7 * n % 50 + 5] * n] for n in range(25)]
    seeds = list(range(25))
    ours, theirs = (s.generate(prompts, 19, seed=seeds) for s in (captured, plain))
    assert (ours.tokens, ours.stats) == (theirs.tokens, theirs.stats)
    assert {row.finish_reason for row in ours.stats} == {"eos", "length"}
    for row in (0, 9, 24):
        assert plain.generate(prompts[row : row + 1], 19, seed=[row]).tokens[0] == ours.tokens[row]


@pytest.mark.parametrize("kind", KINDS)
@in_both_ways
def test_texts_with_masks(made: list[Any], in_place: bool, kind: str) -> None:
    texts = [[4, MASK, 7, MASK], [*[9] * 20, MASK, MASK], [MASK] * 5, [3] * 9 + [MASK] + [3] * 20 + [MASK]]
    for length in (None, 4):
        for shift in (False, True):
            captured, plain = both(
                toy(in_place, shift, seed=3), ds.T2T(), block_length=length, batch_size=2, cache=kind
            )
            for _ in range(2):
                assert captured.fill(texts).tokens == plain.fill(texts).tokens
    assert made


def test_streams_and_stop_strings(made: list[Any]) -> None:
    captured, plain = both(toy(True), ds.T2T(fill_threshold=0.3), batch_size=2, cache="dual")
    for _ in range(2):
        found = {answer.number: answer.tokens for answer in captured.stream(RAGGED, 18)}
        assert found == dict(enumerate(plain.generate(RAGGED, 18).tokens))
    drafts = list(ds.watch(captured, RAGGED[:3], 18))
    assert {d.number: d.answer.tokens for d in drafts if d.answer} == {n: found[n] for n in range(3)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("graphs", [False, True])
@in_both_ways
def test_a_head_reads_what_it_reads_without_a_cache(made: list[Any], in_place: bool, kind: str, graphs: bool) -> None:
    """With one layer nothing outside the block goes stale, nor where every forward is a whole one."""
    policy = ds.DSC(threshold=0.4)
    for layers, refresh, shift in ((1, None, False), (1, None, True), (2, 1, False)):
        model = with_head(toy(in_place, shift, layers=layers))
        runs = [
            ds.Sampler(model, policy, batch_size=2, graphs=on, **options).generate(RAGGED[:6], 21)
            for on, options in ((False, {}), (graphs, {"cache": kind, "refresh": refresh}))
        ]
        assert runs[0].tokens == runs[1].tokens
        assert sum(row.remasks for row in runs[0].stats) > 2
        assert [row.remasks for row in runs[0].stats] == [row.remasks for row in runs[1].stats]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [False, True])
@in_both_ways
def test_a_suffix_captured(made: list[Any], in_place: bool, kind: str, shift: bool) -> None:
    options: dict[str, Any] = {"cache": kind, "suffix": 5, "refresh": 3, "batch_size": 3}
    same(*both(with_head(toy(in_place, shift)), ds.DSC(threshold=0.4), **options), prompts=RAGGED[:5], new=29)


@pytest.mark.parametrize("kind", KINDS)
@in_both_ways
def test_a_head_captured(made: list[Any], in_place: bool, kind: str) -> None:
    model = with_head(toy(in_place, seed=2))
    same(*both(model, ds.DSC(threshold=0.4), batch_size=3, cache=kind, refresh=4), prompts=RAGGED[:6])
    texts = [[4, MASK, 7, MASK], [*[9] * 20, MASK, MASK, 5]]
    captured, plain = both(model, ds.DSC(threshold=0.4), cache=kind)
    assert captured.fill(texts).tokens == plain.fill(texts).tokens


def test_few_kinds_are_captured(made: list[Any]) -> None:
    """A step of blocks by the number of rows, whole canvases by how many are due, an update."""
    captured, _ = both(toy(True), ds.Unmask(threshold=0.3), batch_size=8, cache="dual")
    captured.generate([[5 + n] * (1 + n % 5) for n in range(40)], 24)
    kinds = kept(captured).executor.captures.graphs
    assert {kind[0] for kind in kinds} == {"blocks of 8", "canvases", "update"}
    assert len([kind for kind in kinds if kind[0] != "canvases"]) <= 2 * 8
    assert len([kind for kind in kinds if kind[0] == "canvases"]) <= 8


@pytest.mark.parametrize("kind", ["dual", pytest.param("prefix", marks=pytest.mark.full)])
def test_compiled_layers_and_a_compiled_update(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cuda_graphs", lambda: _again)
    monkeypatch.setattr(pool, "_capturable", lambda config: True)
    monkeypatch.setattr(executor, "compiled_update", partial(compiled_update, backend="eager"))
    plain, model = toy(True), replace(toy(True), module=fuse(toy(True).module, "eager"))
    try:
        for graphs in (False, True):
            fused = ds.Sampler(model, ds.T2T(fill_threshold=0.3), batch_size=2, cache=kind, graphs=graphs)
            bare = ds.Sampler(plain, ds.T2T(fill_threshold=0.3), batch_size=2, cache=kind, graphs=False)
            assert fused.generate(RAGGED[:3], 13).tokens == bare.generate(RAGGED[:3], 13).tokens
        assert type(kept(fused).reader) is InPlaceApproximateReader
        assert kept(fused).executor._compiled is not None
    finally:
        torch._dynamo.reset()
