"""Fast-dLLM's caches: what they compute, where they are exact, and that a row's answer is its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch

import dlmsample as ds
from dlmsample.models.denoiser import Denoiser, Facts
from tests.test_protocol import PROMPTS
from tests.toys import random_model

KINDS: tuple[Literal["prefix", "dual"], ...] = ("prefix", "dual")
POLICIES = [
    ds.Unmask(tokens_per_step=2),
    ds.Unmask(threshold=0.3),
    ds.T2T(fill_threshold=0.2),
    ds.T2M(fill_threshold=0.3),
    ds.D3IM(steps=12),
    ds.DSC(scorer="random"),
]


def shallow(seed: int = 0) -> Denoiser:
    """One layer: what a position keeps depends on its token alone, so nothing outside the block goes stale."""
    model = random_model("bidirectional", seed=seed)
    model.module.model.layers = model.module.model.layers[:1]
    return model


def shifted(model: Denoiser) -> Denoiser:
    facts = Facts(model.mask_id, model.eos_ids, model.block_length, "bidirectional", "prompt", logit_shift=True)
    return Denoiser("shifted", model.module, None, facts)


def tokens(model: Denoiser, policy: ds.Policy, prompts: Any = PROMPTS, **options: Any) -> list[list[int]]:
    return ds.Sampler(model, policy, **options).generate(prompts, max_new_tokens=21, seed=3).tokens


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_makes_them_exact(kind: Literal["prefix", "dual"], policy: ds.Policy) -> None:
    for model in (shallow(), shifted(shallow(1))):
        for block_length in (8, "all"):
            options: dict[str, Any] = {"block_length": block_length}
            assert tokens(model, policy, cache=kind, **options) == tokens(model, policy, cache=False, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_forward_every_time_is_no_approximation(kind: Literal["prefix", "dual"]) -> None:
    model = random_model("bidirectional", seed=2)
    for policy in POLICIES:
        assert tokens(model, policy, cache=kind, refresh=1) == tokens(model, policy, cache=False)


def test_it_approximates_with_more_layers() -> None:
    """Else the option would do nothing."""
    model, policy = random_model("bidirectional", seed=2), ds.Unmask(tokens_per_step=1)
    prompts = [[5 + i, 9, 30 - i] for i in range(8)]
    plain, prefix, dual = (tokens(model, policy, prompts, cache=kind) for kind in (False, *KINDS))
    assert plain != prefix != dual != plain


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize(("kind", "refresh"), [("prefix", None), ("dual", None), ("dual", 3), ("prefix", 2)])
def test_a_batch_gives_what_its_rows_give_alone(kind: Any, refresh: int | None, policy: ds.Policy) -> None:
    """Rows stand at other blocks and ages, so some need a whole forward where others do not."""
    for model in (random_model("bidirectional", seed=4), shifted(random_model("bidirectional", seed=4))):
        sampler = ds.Sampler(model, policy, cache=kind, refresh=refresh)
        together = sampler.generate(PROMPTS, max_new_tokens=21, seed=[7] * len(PROMPTS))
        refilled = ds.Sampler(model, policy, cache=kind, refresh=refresh, batch_size=len(PROMPTS) - 1)
        assert refilled.generate(PROMPTS, max_new_tokens=21, seed=[7] * len(PROMPTS)).tokens == together.tokens
        for prompt, answer, stats in zip(PROMPTS, together.tokens, together.stats, strict=True):
            alone = sampler.generate([prompt], max_new_tokens=21, seed=[7])
            assert (alone.tokens[0], alone.stats[0]) == (answer, stats)


def test_less_is_computed() -> None:
    """Positions that go through the body: 24 in a whole forward; from the block on; the block."""
    model, seen = random_model("bidirectional"), []
    model.module.model.register_forward_pre_hook(
        lambda _, __, given: seen.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    cases: list[tuple[Any, list[int]]] = [("prefix", [24, 16, 24, 8]), ("dual", [24, 8, 24, 8])]
    for kind, expected in cases:
        seen.clear()
        ds.Sampler(model, ds.Unmask(tokens_per_step=4), cache=kind).generate([list(range(3, 11))], max_new_tokens=16)
        assert seen == [(1, count) for count in expected]


def test_the_output_says_what_was_used(nano: ds.Denoiser) -> None:
    model = random_model("bidirectional")
    cases: list[tuple[Any, str]] = [(True, "none"), (False, "none"), ("prefix", "prefix"), ("dual", "dual")]
    for given, said in cases:
        assert ds.Sampler(model, ds.Unmask(steps=1), cache=given).generate([[5]], 8).cache == said
    assert ds.Sampler(nano, ds.Unmask(steps=1)).generate(["a"], 8).cache == "exact"


def test_masks_inside_text(nano: ds.Denoiser) -> None:
    text = [5, 9, 2, 2, 30, 2, 8, 7, 7, 2, 40]
    for model in (shallow(), shifted(shallow(1))):
        for block_length in (None, 4):
            plain = ds.Sampler(model, ds.Unmask(), block_length, cache=False).fill([text, text[:5]])
            for kind in KINDS:
                found = ds.Sampler(model, ds.Unmask(), block_length, cache=kind).fill([text, text[:5]])
                assert found.tokens == plain.tokens


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cache": "duel"}, "'prefix' or 'dual'"),
        ({"cache": "dual", "refresh": 0}, "refresh is 1 or more"),
        ({"refresh": 4}, "refresh is 1 or more forwards, for cache"),
        ({"cache": "dual", "suffix": -1}, "suffix is 0 or more"),
        ({"cache": "dual", "suffix": 2.5}, "suffix must be an int"),
        ({"suffix": 4}, "suffix is 0 or more positions, for cache"),
    ],
)
def test_mistakes(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ds.Sampler(random_model("bidirectional"), ds.Unmask(), **options)


def test_a_block_causal_model_has_an_exact_one(nano: ds.Denoiser) -> None:
    with pytest.raises(ValueError, match="exact cache"):
        ds.Sampler(nano, ds.Unmask(), cache="dual")


def by_hand(model: Denoiser, prompt: list[int], new: int, suffix: int) -> list[int]:
    """One token a step, the most confident, from forwards over no more than ``suffix`` positions behind the block."""
    ids, width, shift = [*prompt, *[model.mask_id] * new], model.block_length, model.facts.logit_shift
    for start in range(len(prompt), len(ids), width):
        end = min(start + width, len(ids))
        while model.mask_id in ids[start:end]:
            with torch.no_grad():
                logits = model.module(torch.tensor([ids[: end + suffix]]), use_cache=False).logits[0]
            if shift:
                logits = torch.cat([logits[:1], logits[:-1]])
            logits[:, model.mask_id] = -torch.inf
            best = logits.softmax(-1).max(-1)
            at = max((p for p in range(start, end) if ids[p] == model.mask_id), key=lambda p: float(best.values[p]))
            ids[at] = int(best.indices[at])
    return ids[len(prompt) :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [0, 3, 8])
def test_a_suffix_by_hand(kind: Any, suffix: int) -> None:
    """Where every forward is a whole one, whole is up to there."""
    model = random_model("bidirectional", seed=2)
    for of in (model, shifted(model)):
        of = replace(of, facts=replace(of.facts, eos_ids=()))
        options: dict[str, Any] = {"cache": kind, "refresh": 1, "suffix": suffix}
        out = ds.Sampler(of, ds.Unmask(), **options).generate(PROMPTS[:3], max_new_tokens=21)
        assert out.tokens == [by_hand(of, prompt, 21, suffix) for prompt in PROMPTS[:3]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_suffix_that_holds_all_changes_nothing_and_another_does(kind: Any) -> None:
    model, policy = random_model("bidirectional", seed=2), ds.Unmask()
    of = {n: tokens(model, policy, cache=kind, suffix=n) for n in (None, 512, 13, 0)}
    assert of[None] == of[512] == of[13] != of[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refresh", [None, 3])
def test_a_batch_with_a_suffix_gives_what_its_rows_give_alone(kind: Any, refresh: int | None) -> None:
    for model in (random_model("bidirectional", seed=4), shifted(random_model("bidirectional", seed=4))):
        sampler = ds.Sampler(model, ds.T2M(fill_threshold=0.3), cache=kind, refresh=refresh, suffix=5, batch_size=3)
        together = sampler.generate(PROMPTS, max_new_tokens=37, seed=[7] * len(PROMPTS))
        for prompt, answer in zip(PROMPTS, together.tokens, strict=True):
            assert sampler.generate([prompt], max_new_tokens=37, seed=[7]).tokens == [answer]


def test_a_suffix_leaves_less_to_compute() -> None:
    """Positions that go through the body; blocks of 8 behind a prompt of 8, 40 new tokens, two steps a block."""
    model, seen = random_model("bidirectional"), []
    model.module.model.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    cases: list[tuple[Any, list[int]]] = [
        ("dual", [20, 8, 28, 8, 36, 8, 44, 8, 48, 8]),
        ("prefix", [20, 12, 28, 12, 36, 12, 44, 12, 48, 8]),
    ]
    for kind, expected in cases:
        seen.clear()
        sampler = ds.Sampler(model, ds.Unmask(tokens_per_step=4), cache=kind, suffix=4)
        sampler.generate([list(range(3, 11))], max_new_tokens=40)
        assert seen == expected
