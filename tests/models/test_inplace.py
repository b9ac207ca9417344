"""The cache read in place: the same tokens as by slices and masks, and for which bodies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, MistralConfig, Qwen3Config

import dlmsample as ds
from dlmsample.decoding import slots
from dlmsample.models.attention.cached import CachedReader
from dlmsample.models.attention.in_place import NAME, InPlaceReader, attention_for, in_place
from tests.toys import random_model


@pytest.fixture
def prompts() -> list[str]:
    return [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=5)]


def reading(kind: type[CachedReader], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every batch be read by this one."""

    def opened(model: ds.Denoiser, rows: int, capacity: int, *, score: bool, **_: Any) -> CachedReader:
        return kind(model, rows, capacity, score)

    monkeypatch.setattr(slots, "open_reader", opened)


@pytest.mark.parametrize("policy", [ds.Unmask(threshold=0.9), ds.T2T(), ds.T2M(), ds.D3IM(steps=16)])
def test_the_same_answers_as_by_slices_and_masks(
    policy: ds.Policy, prompts: list[str], nano: ds.Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for kind in (CachedReader, InPlaceReader):
        reading(kind, monkeypatch)
        runs.append(ds.Sampler(nano, policy, batch_size=3).generate(prompts, 64))
    assert runs[0].tokens == runs[1].tokens
    assert runs[0].stats == runs[1].stats


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
def test_every_alignment_and_shifted_logits(alignment: str, shift: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(alignment=alignment)
    model.module.set_attn_implementation(NAME)
    model = replace(model, facts=replace(model.facts, logit_shift=shift))
    ids = [[5, 6, 7], [9] * 21, [11, 12, 13, 14, 15, 16, 17, 18], [3]]
    runs = []
    for kind in (CachedReader, InPlaceReader):
        reading(kind, monkeypatch)
        runs.append(ds.Sampler(model, ds.Unmask(tokens_per_step=2), batch_size=2).generate(ids, 30).tokens)
    assert runs[0] == runs[1]


def test_which_bodies_are_read_in_place() -> None:
    assert attention_for(LlamaConfig()) == attention_for(Qwen3Config()) == NAME
    assert attention_for(MistralConfig()) == "sdpa"
    sliding = Qwen3Config(num_hidden_layers=2, use_sliding_window=True, sliding_window=8, max_window_layers=0)
    assert attention_for(sliding) == "sdpa"
    nano = ds.load("nano")
    assert in_place(nano)
    nano.module.config.rope_parameters["rope_type"] = "dynamic"  # its angles depend on the longest row
    assert not in_place(nano)
    assert not in_place(random_model())


def test_without_blocks_it_is_the_attention_of_transformers(nano: ds.Denoiser) -> None:
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    module = nano.module
    with torch.no_grad():
        for given in ({}, {"attention_mask": mask}):
            ours = module(ids, **given).logits
            module.set_attn_implementation("sdpa")
            try:
                theirs = module(ids, **given).logits
            finally:
                module.set_attn_implementation(NAME)
            assert torch.equal(ours, theirs)


def test_it_serves_what_is_captured_and_what_is_compiled(nano: ds.Denoiser) -> None:
    from dlmsample.models.attention.choice import open_reader

    def kind(model: ds.Denoiser, **options: bool) -> type:
        return type(open_reader(model, 1, 64, cache="exact", score=False, **options))

    assert kind(nano) is CachedReader
    assert kind(nano, captured=True) is InPlaceReader
    assert kind(random_model(), captured=True) is CachedReader
    with torch.autocast("cpu", dtype=torch.bfloat16):  # keys would not have the cache's dtype
        assert kind(nano, captured=True) is CachedReader
