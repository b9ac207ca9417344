"""Answers that grow: DAEDAL against a loop over lists, and what it must leave as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import dlmsample as ds
from dlmsample.decoding.arguments import EncodedPrompt, row_keys
from dlmsample.decoding.grow.canvas import advance_growing, begun, eos_chance
from dlmsample.decoding.step import Counts, Rows, Settings
from dlmsample.models.attention.base import Features, Layout
from dlmsample.models.denoiser import Facts
from dlmsample.models.interface import ModuleInterface
from tests.decoding.daedal import Told, loop
from tests.models import checkpoints as tiny
from tests.toys import EOS, MASK, VOCAB, random_model, scripted_model

#: Short windows, for answers of some dozens of tokens. Rates at which the toys both grow and stop.
OPTIONS = [
    ds.Daedal(initial_length=6, factor=4, eos_window=4, eos_confidence=0.2, low_confidence=0.35),
    ds.Daedal(initial_length=4, factor=8, eos_window=6, eos_confidence=0.15, low_confidence=0.5),
    ds.Daedal(
        initial_length=9, factor=2, eos_window=3, eos_confidence=0.3, expand_eos_confidence=0.4, low_confidence=0.9
    ),
    ds.Daedal(initial_length=1, factor=5, eos_window=1, eos_confidence=0.5, low_confidence=0.2),
    ds.Daedal(
        initial_length=12, factor=3, eos_window=8, eos_confidence=0.0, expand_eos_confidence=1.0, low_confidence=0.6
    ),
]
FILLS: list[dict[str, Any]] = [
    {"threshold": 0.5},
    {"threshold": 0.3, "min_commit": 2, "score": "margin", "eos": "confidence"},
    {"tokens_per_step": 1},
    {"tokens_per_step": 3, "score": "random"},
    {"entropy_bound": 0.8},
]
MOST = 37


def toy(seed: int = 0, ends: int = 4, alignment: str = "prompt", block_length: int = 8) -> ds.Denoiser:
    """A bidirectional model with so many EOS ids that it means to end now and then."""
    model = random_model("bidirectional", alignment, seed)
    facts = Facts(MASK, (EOS, *range(20, 20 + ends)), block_length, "bidirectional", alignment)  # type: ignore[arg-type]
    return ds.Denoiser("toy", model.module, None, facts)


def prompts(count: int = 4, seed: int = 3) -> list[list[int]]:
    """Ragged ids, none of them special."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randint(3, 20, (n,), generator=g).tolist() for n in (3, 11, 1, 7)[:count]]


def same(
    model: ds.Denoiser, option: ds.Daedal, fill: dict[str, Any], most: int = MOST, seed: int = 5, **more: Any
) -> Counter[str]:
    """Every row is what the loop says; gives what happened."""
    given, happened = prompts(seed=seed), Counter[str]()
    absolute = model.facts.block_alignment == "absolute"
    width = model.facts.block_length if more.get("block_length") is None else None
    out = ds.Sampler(model, ds.Unmask(**fill), grow=option, **more).generate(given, most, seed=seed)
    heat = more.get("temperature", 0.0)
    for i, (prompt, key) in enumerate(zip(given, row_keys(seed, given), strict=True)):
        told = loop(model, prompt, most, option, fill, key=key, width=width, absolute=absolute, temperature=heat)
        check(out, i, told)
        happened += told.happened
    return happened


def check(out: ds.Output, i: int, told: Told) -> None:
    stats = out.stats[i]
    assert (out.tokens[i], stats.nfe, stats.steps, stats.fills) == told[:4]
    assert not stats.forced
    assert stats.tokens == len(told.tokens)
    assert (stats.finish_reason == "eos") == (len(told.tokens) < told.length)


@pytest.mark.parametrize("fill", FILLS, ids=str)
@pytest.mark.parametrize("option", OPTIONS, ids=range(len(OPTIONS)))
def test_equals_the_loop(option: ds.Daedal, fill: dict[str, Any]) -> None:
    same(toy(0, 14), option, fill)
    same(toy(1, 24), option, fill, seed=6)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_loop_on_other_models(seed: int) -> None:
    """Narrow blocks, into which and out of which much moves; everything that can happen does, over the seeds."""
    for option in OPTIONS[:2]:
        same(toy(seed, 4 + 12 * (seed % 3), block_length=3), option, FILLS[seed % 5], most=20 + seed)
        same(toy(seed, 16, "absolute"), option, FILLS[(seed + 1) % 5])


def test_an_eos_in_a_block_that_is_passed_over_ends_the_answer() -> None:
    """Masks that were inserted have moved it out of the active block, into one that is full when its turn comes."""
    same(toy(3, 16, block_length=2), OPTIONS[2], {"threshold": 0.4}, most=40)


def test_everything_happens_somewhere() -> None:
    happened = Counter[str]()
    for seed in range(3):
        for option in (OPTIONS[1], OPTIONS[4]):
            happened += same(toy(seed, 24, block_length=3), option, {"threshold": 0.4})
            happened += same(toy(seed, 16), option, {"threshold": 0.5})
    kinds = ("settled", "appended", "inserted", "cut off", "moved tokens", "passed a full block")
    assert all(happened[kind] for kind in kinds), happened


@pytest.mark.parametrize("option", OPTIONS[:3], ids=range(3))
def test_the_whole_answer_may_be_one_block(option: ds.Daedal) -> None:
    for fill in FILLS[::4]:
        same(toy(2, 20), option, fill, block_length="all")


@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
def test_equals_the_loop_with_samples(alignment: str) -> None:
    same(toy(1, 16, alignment), OPTIONS[0], FILLS[0], temperature=0.8)
    same(toy(2, 20, alignment), OPTIONS[1], FILLS[3], temperature=1.2)


@pytest.mark.parametrize("option", OPTIONS, ids=range(len(OPTIONS)))
@pytest.mark.parametrize("heat", [0.0, 1.0])
def test_rows_are_what_they_are_alone(option: ds.Daedal, heat: float) -> None:
    """Rows that grow at their own pace, slots that are refilled."""
    model, given = toy(3, 18), [*prompts(), *prompts(2, seed=8)]
    seeds = list(range(len(given)))
    for size in (3, 6):
        sampler = ds.Sampler(model, ds.Unmask(threshold=0.4), grow=option, batch_size=size, temperature=heat)
        out = sampler.generate(given, MOST, seed=seeds)
        for i, prompt in enumerate(given):
            alone = sampler.generate([prompt], MOST, seed=[i])
            assert (out.tokens[i], out.stats[i]) == (alone.tokens[0], alone.stats[0])
    streamed = {a.number: (a.tokens, a.stats) for a in sampler.stream(given, MOST)}
    whole = sampler.generate(given, MOST)
    assert streamed == dict(enumerate(zip(whole.tokens, whole.stats, strict=True)))


@pytest.mark.parametrize("fill", FILLS, ids=str)
@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
def test_an_answer_that_cannot_grow_is_decoded_as_ever(fill: dict[str, Any], alignment: str) -> None:
    model, given = toy(0, 4, alignment), prompts()
    plain = ds.Sampler(model, ds.Unmask(**fill)).generate(given, MOST)
    out = ds.Sampler(model, ds.Unmask(**fill), grow=ds.Daedal(initial_length=MOST)).generate(given, MOST)
    assert (out.tokens, out.stats) == (plain.tokens, plain.stats)


def test_a_settled_length_without_insertions_is_that_length_with_eos_behind() -> None:
    """Stage 1 alone: with nothing low enough to insert at, the rest is plain decoding of masks and given EOS."""
    model = toy(1, 20)
    option = ds.Daedal(initial_length=5, factor=4, eos_window=4, eos_confidence=0.25, low_confidence=0)
    assert same(model, option, {"threshold": 0.5})["inserted"] == 0


@pytest.mark.parametrize("option", OPTIONS, ids=range(len(OPTIONS)))
def test_it_ends_within_its_bound(option: ds.Daedal) -> None:
    """However unsure the model: an update fills a mask, and there are never more than the length allows."""

    def unsure(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*ids.shape, 16)

    def masks(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.full_like(ids, MASK), 16) * 9.0

    for rule in (unsure, masks):
        for most in (1, 7, 50):
            out = ds.Sampler(scripted_model(rule), ds.Unmask(), grow=option).generate([[5, 6]], most)
            stats = out.stats[0]
            asked = -(-max(most - option.initial_length, 0) // option.factor) + 1
            assert stats.steps <= most + option.factor
            assert stats.nfe <= stats.steps + asked
            assert MASK not in out.tokens[0]
            assert len(out.tokens[0]) <= most


def test_a_length_grows_to_the_end_that_the_model_sees() -> None:
    """A model that says EOS from answer position 40 on: the answer grows until the window is full of them, not on."""

    def rule(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        token = torch.where(positions >= 42, EOS, 7)
        return torch.nn.functional.one_hot(token, 16) * 20.0

    option = ds.Daedal(initial_length=8, factor=8, eos_window=16)
    out = ds.Sampler(scripted_model(rule), ds.Unmask(threshold=0.9), grow=option).generate([[5, 6]], 400)
    assert out.tokens == [[7] * 40]
    assert out.stats[0].finish_reason == "eos"
    assert out.stats[0].nfe == 6 + 6  # lengths 8, 16, ..., 48, where half of the window are EOS; then blocks 1 to 6


def test_a_row_ends_where_all_that_is_left_was_pushed_there() -> None:
    """One mask of the first block becomes two; the last token moves into a block of its own, which needs no forward."""

    def rule(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.full_like(ids, 7), 16) * 20.0 * (positions != 2)[..., None]

    option = ds.Daedal(initial_length=4, factor=2, eos_window=1, eos_confidence=0)
    model = scripted_model(rule, block_length=4)
    out = ds.Sampler(model, ds.Unmask(threshold=0.9), grow=option).generate([[5, 6]], 5)
    assert out.tokens == [[0, 7, 7, 7, 7]]
    stats = out.stats[0]
    assert (stats.nfe, stats.steps, stats.fills, stats.finish_reason) == (4, 3, 5, "length")


def test_stop_strings_end_answers_that_grow(nano: ds.Denoiser) -> None:
    """nano's weights made bidirectional: what they say does not matter here."""
    facts = Facts(nano.mask_id, nano.eos_ids, 8, "bidirectional", "prompt")
    model = ds.Denoiser("both ways", nano.module, nano.tokenizer, facts)
    option = ds.Daedal(initial_length=16, eos_window=8, eos_confidence=0, low_confidence=0.6)
    sampler = ds.Sampler(model, ds.Unmask(threshold=0.6), grow=option, batch_size=2)
    given = [
        "Ann had 3 pens and bought 2 more. How many pens does Ann have?",
        "Tom has 14 cups. How many cups has Tom?",
    ]
    free = sampler.generate(given, 48)
    for i, text in enumerate(free.texts):
        stop = text[len(text) // 2 :][:4]
        out = sampler.generate(given, 48, stop=[stop])
        assert out.texts[i] == text[: text.index(stop)]
        assert out.stats[i].nfe <= free.stats[i].nfe


@pytest.mark.parametrize("family", ["llada", "dream", "bert", "modernbert"])
def test_tiny_checkpoints_equal_the_loop(family: str, tmp_path: Path) -> None:
    """Shifted logits, several EOS ids, masked LMs with a [SEP] behind the answer."""
    model = tiny.opened(family, tmp_path / family)
    given = [[7, 9, 20], [11, 12, 13, 14, 15, 16, 17], [30]]
    size = 1 if model.interface.equal_lengths else 2
    options = [OPTIONS[0], ds.Daedal(initial_length=4, factor=3, eos_window=4, eos_confidence=0.02, low_confidence=0.7)]
    for option in options:
        for tail in ((), (3, 3)):
            canvases = [EncodedPrompt(ids, [*tail]) for ids in given]
            sampler = ds.Sampler(model, ds.Unmask(threshold=0.4), 4, grow=option, batch_size=size)
            out = sampler.generate(canvases, 24)  # type: ignore[arg-type]
            for i, (ids, key) in enumerate(zip(given, row_keys(0, given), strict=True)):
                told = loop(model, ids, 24, option, {"threshold": 0.4}, key=key, width=4, tail=tail)
                assert (out.tokens[i], out.stats[i].nfe) == told[:2], (option, tail, i)


def test_what_cannot_be_done_is_refused_by_name(nano: ds.Denoiser) -> None:
    both, rule, grow = toy(), ds.Unmask(threshold=0.9), ds.Daedal()
    endless = ds.Denoiser("endless", both.module, None, Facts(MASK, (), 8, "bidirectional", "prompt"))
    remasking = ds.chain(ds.fill.Threshold(0.5), ds.edit.Remask())
    refused: list[tuple[ds.Denoiser, ds.Policy, dict[str, Any], str]] = [
        (both, rule, {"grow": "daedal"}, r"grow is a Daedal, such as dlmsample.Daedal\(\), not 'daedal'"),
        (nano, rule, {"grow": grow, "cache": False}, "nano is block-causal .* give max_new_tokens room"),
        (both, rule, {"grow": grow, "cache": "dual"}, "leave cache='dual' out"),
        (both, rule, {"grow": grow, "next_block": (0.5, 1)}, "leave next_block out"),
        (endless, rule, {"grow": grow}, r"endless has none: give load\(..., eos_ids=\[...\]\)"),
        (both, ds.Unmask(steps=8), {"grow": grow}, "unmask with these options .* take Unmask with threshold"),
        (both, remasking, {"grow": grow}, "chain with these options"),
        *[
            (both, ds.policy(name), {"grow": grow}, f"{name} with these options")
            for name in ds.list_policies()
            if name not in ("unmask", "chain", "dsc", "backplay")
        ],
    ]
    for model, policy, more, said in refused:
        with pytest.raises(ValueError, match=said) as error:
            ds.Sampler(model, policy, **more)
        assert "\n" not in str(error.value)
    made = ds.Sampler(both, rule, grow=grow)
    with pytest.raises(ValueError, match="grow knows no record: make a Sampler without it"):
        made.generate([[5, 6]], 8, record=True)
    with pytest.raises(ValueError, match="grow knows no fill"):
        made.fill([[5, MASK]])
    with pytest.raises(ValueError, match="not looked on at"):
        next(ds.watch(made, [[5, 6]], 8))
    with pytest.raises(ValueError, match="factor must be >= 2"):
        ds.Daedal(factor=1)
    with pytest.raises(ValueError, match="low_confidence must be <= 1"):
        ds.Daedal(low_confidence=1.5)
    with pytest.raises(ValueError, match="set batch_size=1"):
        ds.Sampler(of_one_length(both), rule, grow=grow)


def of_one_length(model: ds.Denoiser) -> ds.Denoiser:
    """As if padding changed what a row gives."""
    return ds.Denoiser("strict", model.module, None, model.facts, interface=ModuleInterface(equal_lengths=True))


def test_no_host_sync_while_an_answer_grows() -> None:
    """FakeTensorMode has no data: any look at a value, or branch on one, raises."""
    with FakeTensorMode():
        zero, no = torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.bool)
        canvas = torch.zeros(2, 24, dtype=torch.long)
        opened = Rows(canvas, canvas, zero, zero, zero, ~no, no, no, Counts(*[zero] * 5, no, no), None)
        settings = Settings(ds.Unmask(threshold=0.9), MASK, torch.tensor([EOS]), 0.7, 0.9, 5, False)
        rows, layout = begun(opened, Layout(zero, zero + 16, 8, True), OPTIONS[0], MASK)
        answer = eos_chance(settings)(torch.zeros(2, 16, VOCAB))
        features = Features(torch.zeros(2, 8, VOCAB), None, None, answer)
        for _ in range(2):
            rows, layout, outcome, _ = advance_growing(rows, layout, features, settings, OPTIONS[0])
        assert outcome.shape == layout.length.shape == (2,)


def test_rows_that_must_not_be_padded_grow_one_by_one() -> None:
    model = toy(1, 18)
    same(of_one_length(model), OPTIONS[1], {"threshold": 0.5}, batch_size=1)


def test_a_chain_of_a_fill_alone_grows_as_the_policy_of_that_name() -> None:
    model, given = toy(), prompts()
    named, chained = ds.Unmask(threshold=0.5), ds.chain(ds.fill.Threshold(0.5))
    first, second = (ds.Sampler(model, policy, grow=OPTIONS[0]).generate(given, MOST) for policy in (named, chained))
    assert (first.tokens, first.stats) == (second.tokens, second.stats)
