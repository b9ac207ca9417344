"""What goes into ``Sampler.generate`` and what comes out of it: mistakes, seeds, batches, order, figures, heads."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.policies.base import Policy, Stateless
from dlmsample.types import Block, Prediction, Update
from tests.test_protocol import PROMPTS, hashed
from tests.toys import EOS, MASK, VOCAB, random_model, scripted_model

POLICIES = [
    ds.Unmask(tokens_per_step=2),
    ds.T2T(fill_threshold=0.4, edit_threshold=0.2),
    ds.T2M(),
    ds.DSC(scorer="random"),
]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=repr)
#: Lengths from one token to several blocks, and duplicates. No empty prompt: on a canvas of masks alone every value
#: vector is the same, so all positions tie in exact arithmetic, and rounding (2e-6), which depends on the shape of the
#: batch, ranks them.
MANY = [*PROMPTS, [7, 9, 30], list(range(3, 40)), PROMPTS[1], [8], [21, 4], PROMPTS[2][:9]]


def says(call: Any, *words: str) -> None:
    """The call raises a ValueError of one line that holds every word."""
    with pytest.raises(ValueError, match=r".") as caught:
        call()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


# ---- mistakes


@pytest.mark.parametrize("prompt", ["one text", "", [5, 7, 9], [{"role": "user", "content": "12 + 3"}]])
def test_a_single_prompt_is_a_list_of_one(nano: ds.Denoiser, prompt: Any) -> None:
    sampler = ds.Sampler(nano, ds.Unmask(tokens_per_step=8))
    alone, listed = sampler.generate(prompt, 16), sampler.generate([prompt], 16)
    assert alone.tokens == listed.tokens
    assert alone.text == listed.texts[0]
    assert sampler.fill("1 + 1 = [MASK]").texts == sampler.fill(["1 + 1 = [MASK]"]).texts


def test_no_prompt_is_no_answer(nano: ds.Denoiser) -> None:
    out = ds.Sampler(nano, ds.Unmask()).generate([])
    assert out.texts == []
    says(lambda: out.text, "0 texts", ".texts")


def test_names_of_a_model_and_a_policy(nano: ds.Denoiser) -> None:
    named = ds.Sampler("nano", "t2m")
    assert named.policy == ds.T2M()
    assert named.model.name == "nano"
    assert named.generate("12 + 3", 8).tokens == ds.Sampler(nano, ds.T2M()).generate("12 + 3", 8).tokens
    says(lambda: ds.Sampler(nano, "t2n"), "t2n", "t2m")
    says(lambda: ds.Sampler(nano, None), "policy such as T2M()")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, 5, b"bytes", {"role": "user", "content": "x"}])
def test_what_is_no_list(given: Any) -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask())
    says(lambda: sampler.generate(given), "prompts is a text, or a list of texts", str(given)[:10])
    says(lambda: sampler.fill(given), "texts is a text, or a list of texts", str(given)[:10])


@pytest.mark.parametrize("new", [0, -1])
def test_max_new_tokens(new: int) -> None:
    says(
        lambda: ds.Sampler(random_model(), ds.Unmask()).generate([[5]], max_new_tokens=new), "max_new_tokens", str(new)
    )


@pytest.mark.parametrize("seeds", [[], [1], [1, 2, 3]])
def test_seeds_of_another_length(seeds: list[int]) -> None:
    says(
        lambda: ds.Sampler(random_model(), ds.Unmask()).generate([[5], [6]], max_new_tokens=4, seed=seeds),
        f"{len(seeds)} seeds for 2 prompts",
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", -1.0),
        ("top_p", float("nan")),
        ("top_k", 0),
        ("top_k", -3),
        ("batch_size", 0),
        ("batch_size", -1),
        ("block_length", 0),
        ("block_length", -4),
        ("block_length", "8"),
        ("block_length", "everything"),
        ("temperature", True),
        ("temperature", "1"),
        ("top_p", True),
        ("top_p", None),
        ("cache", "no"),
        ("cache", 1),
    ],
)
def test_options_out_of_range(option: str, value: Any) -> None:
    says(lambda: ds.Sampler(random_model(), ds.Unmask(), **{option: value}), option.split("_")[0], str(value))


def test_numpy_s_numbers_are_numbers() -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask(), temperature=np.float32(0.5), top_p=np.float64(0.75))  # type: ignore[arg-type]
    assert (sampler.temperature, sampler.top_p) == (0.5, 0.75)
    assert type(sampler.temperature) is type(sampler.top_p) is float


@pytest.mark.parametrize(
    "option", ["model", "policy", "block_length", "temperature", "top_p", "top_k", "batch_size", "cache"]
)
def test_options_are_not_set_later(option: str) -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask())
    before = getattr(sampler, option)
    with pytest.raises(AttributeError, match=f"{option} .* make a new Sampler"):
        setattr(sampler, option, before)
    assert getattr(sampler, option) is before


def test_blocks_shorter_than_the_model_learned(nano: ds.Denoiser) -> None:
    least = nano.facts.min_block_length
    says(lambda: ds.Sampler(nano, ds.Unmask(), block_length=least - 1), "nano", str(least), '"all"')
    assert ds.Sampler(nano, ds.Unmask(), block_length=least).block_length == least
    assert ds.Sampler(nano, ds.Unmask()).block_length == nano.block_length


def test_a_mask_in_a_prompt(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, ds.Unmask())
    for chat in (None, False):
        says(lambda c=chat: sampler.generate([[5, nano.mask_id, 6]], 8, chat=c), "mask", "fill")
    says(lambda: ds.Sampler(random_model(), ds.Unmask()).generate([[5], [MASK]], 8), "prompts[1]", "mask", "fill")
    for prompt in ("3 + 4 = <|mask|>", "3 + 4 = [MASK]", [{"role": "user", "content": "3 + [MASK]"}]):
        assert nano.mask_id not in nano.encode(prompt), "plain characters to this tokenizer"
        assert len(sampler.generate([prompt, "3 + 4?"], 8).texts) == 2


def test_longer_than_the_context() -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask(tokens_per_step=8))
    for prompt, new in ((505, 8), (512, 1)):
        says(
            lambda p=prompt, n=new: sampler.generate([[5], [5] * p], n), str(prompt), "512", "shorten", "max_new_tokens"
        )
    endless = ds.Sampler(scripted_model(hashed, eos_ids=()), ds.Unmask(tokens_per_step=8))
    assert len(endless.generate([[5] * (4096 - 8)], 8).tokens[0]) == 8, "exactly the context fits"


def test_a_head_that_is_missing() -> None:
    says(lambda: ds.Sampler(random_model(), ds.DSC()), "dsc", 'scorer="random"', "with_head")
    assert ds.Sampler(random_model(), ds.DSC(scorer="random")).policy.name == "dsc"


def test_a_mistake_in_one_prompt_costs_no_forward() -> None:
    model = scripted_model(hashed)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        ds.Sampler(model, ds.Unmask(), batch_size=1).generate([[5], [6], [99]], 8)
    assert model.module.calls == 0


# ---- prompts, seeds and batches


def test_no_prompts(nano: ds.Denoiser) -> None:
    for model in (nano, random_model()):
        out = ds.Sampler(model, ds.T2T()).generate([])
        assert (out.tokens, out.stats, out.trace) == ([], [], None)
        assert ds.Sampler(model, ds.T2T()).generate([], record=True, seed=[]).trace == []
    assert ds.Sampler(nano, ds.T2T()).generate([]).texts == []


def test_repeated_prompts_differ_and_reproduce() -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask(tokens_per_step=4), temperature=1.0)
    first = sampler.generate([[5, 6]] * 6, max_new_tokens=16)
    assert len(set(map(tuple, first.tokens))) == 6
    assert sampler.generate([[5, 6]] * 6, max_new_tokens=16).tokens == first.tokens
    assert sampler.generate([[5, 6]] * 2, max_new_tokens=16).tokens == first.tokens[:2]
    assert sampler.generate([[5, 6]] * 6, max_new_tokens=16, seed=1).tokens != first.tokens
    greedy = ds.Sampler(random_model(), ds.Unmask(tokens_per_step=4)).generate([[5, 6]] * 6, max_new_tokens=16)
    assert len(set(map(tuple, greedy.tokens))) == 1


@every_policy
def test_a_list_of_seeds_is_single_runs(policy: Policy) -> None:
    """A seed of one's own makes a sample that depends on nothing else in the call, repeated prompts included."""
    sampler = ds.Sampler(random_model(), policy, temperature=1.0)
    prompts, seeds = [*MANY, [8]], [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    together = sampler.generate(prompts, max_new_tokens=11, seed=seeds)
    for i, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        for alone in (
            sampler.generate([prompt], max_new_tokens=11, seed=seed),
            sampler.generate([prompt], max_new_tokens=11, seed=[seed]),
        ):
            assert (alone.tokens[0], alone.stats[0]) == (together.tokens[i], together.stats[i])
    twins = sampler.generate([[8], [8]], max_new_tokens=11, seed=[2, 2])
    assert twins.tokens[0] == twins.tokens[1]


@pytest.mark.parametrize("seed", [0, -5, 2**31, 2**63, 2**70])
def test_any_int_is_a_seed(seed: int) -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask(tokens_per_step=4), temperature=1.0)
    a, b = (sampler.generate([[5], [6]], max_new_tokens=12, seed=seed) for _ in range(2))
    assert a.tokens == b.tokens


@every_policy
@pytest.mark.parametrize(("attention", "temperature"), [("block_causal", 1.0), ("bidirectional", 0.0)])
def test_batch_size_does_not_matter(policy: Policy, attention: str, temperature: float) -> None:
    """Duplicates among the prompts, lengths from none to several blocks."""
    model = random_model(attention, "absolute")
    outs = [
        ds.Sampler(model, policy, temperature=temperature, batch_size=n).generate(MANY, max_new_tokens=13, record=True)
        for n in (1, 2, 7)
    ]
    for out in outs[1:]:
        assert out.tokens == outs[0].tokens
        assert out.stats == outs[0].stats
        for one, two in zip(out.trace or [], outs[0].trace or [], strict=True):
            assert [(e.kind, e.step, e.block, e.position, e.old, e.new) for e in one] == [
                (e.kind, e.step, e.block, e.position, e.old, e.new) for e in two
            ]


@every_policy
def test_results_stand_in_the_prompts_order(policy: Policy) -> None:
    """Rows are sorted by length inside; greedy decoding of distinct prompts tells whether that shows."""
    sampler = ds.Sampler(random_model(), policy, batch_size=2)
    distinct = [[4] * 9, [5], list(range(3, 33)), [40, 3], [6, 7, 8]]
    alone = [sampler.generate([p], max_new_tokens=10) for p in distinct]
    assert len({tuple(a.tokens[0]) for a in alone}) >= 4
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        out = sampler.generate([distinct[i] for i in order], max_new_tokens=10)
        assert out.tokens == [alone[i].tokens[0] for i in order]
        assert out.stats == [alone[i].stats[0] for i in order]


def test_an_empty_prompt() -> None:
    """No prefill, the whole answer, the same again (alone: see MANY)."""
    for attention in ("block_causal", "bidirectional"):
        sampler = ds.Sampler(random_model(attention), ds.T2T(), temperature=1.0)
        one, two = (sampler.generate([[]], max_new_tokens=20) for _ in range(2))
        assert (one.tokens, one.stats) == (two.tokens, two.stats)
        assert one.stats[0].prefill == 0
        assert len(one.tokens[0]) == 20 or one.stats[0].finish_reason == "eos"


@pytest.mark.parametrize("alignment", ["absolute", "prompt"])
@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("length", [0, 7, 8, 9, 16, 37])
def test_prompts_around_and_beyond_a_block(length: int, attention: str, alignment: str) -> None:
    """A prefill only where a cache has finished blocks to hold; every position is filled once by Unmask."""
    model = random_model(attention, alignment)
    prompt = [3 + i % 50 for i in range(length)]
    out = ds.Sampler(model, ds.Unmask(), cache=True).generate([prompt], max_new_tokens=11, record=True)
    stats = out.stats[0]
    whole_blocks = length if alignment == "prompt" else length // 8 * 8
    assert stats.prefill == int(attention == "block_causal" and whole_blocks > 0)
    assert stats.fills == stats.steps == len((out.trace or [[]])[0])
    assert {e.position for e in (out.trace or [[]])[0]} <= set(range(11))
    if stats.finish_reason == "length":
        assert stats.fills == 11


def test_texts_are_the_decoded_tokens(nano: ds.Denoiser) -> None:
    prompts = ["Ann has 3 pens and buys 4 more. How many?", [{"role": "user", "content": "2 + 3?"}], [300, 301]]
    out = ds.Sampler(nano, ds.Unmask(threshold=0.5), temperature=1.0).generate(prompts, max_new_tokens=32)
    assert out.texts == [nano.decode(t) for t in out.tokens]
    as_ids = [nano.encode(p) for p in prompts]
    again = ds.Sampler(nano, ds.Unmask(threshold=0.5), temperature=1.0).generate(as_ids, max_new_tokens=32)
    assert again.tokens == out.tokens, "a prompt is its ids and nothing else"


# ---- figures


def _eos_at(*places: int) -> ds.Denoiser:
    """EOS at these positions (the prompt is one token long), token 3 + position % 9 elsewhere; sure of itself."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        token = 3 + positions % 9
        for place in places:
            token = torch.where(positions == place + 1, EOS, token)
        return torch.nn.functional.one_hot(token, 16).float() * 20

    return scripted_model(rule)


@pytest.mark.parametrize("places", [(0,), (3,), (7,), (8,), (5, 2), (13, 19), ()], ids=str)
def test_tokens_end_before_the_first_eos(places: tuple[int, ...]) -> None:
    """The block that holds it is finished, later ones are not begun."""
    out = ds.Sampler(_eos_at(*places), ds.Unmask()).generate([[5]], max_new_tokens=20)
    answer = [3 + (i + 1) % 9 for i in range(20)]
    first = min(places, default=20)
    stats = out.stats[0]
    assert out.tokens[0] == answer[:first]
    assert stats.tokens == first
    assert stats.finish_reason == ("eos" if places else "length")
    assert stats.steps == stats.fills == (min(20, (first // 8 + 1) * 8) if places else 20)
    assert not stats.forced


def test_a_prompts_eos_stops_nothing() -> None:
    out = ds.Sampler(_eos_at(), ds.Unmask()).generate([[EOS]], max_new_tokens=20)
    assert (len(out.tokens[0]), out.stats[0].finish_reason) == (20, "length")


@every_policy
def test_the_figures_add_up(policy: Policy) -> None:
    model = random_model(seed=3)
    out = ds.Sampler(model, policy, temperature=1.0).generate(MANY, max_new_tokens=21, record=True)
    assert out.trace is not None
    edits = 0
    for tokens, stats, trace in zip(out.tokens, out.stats, out.trace, strict=True):
        kinds = Counter(e.kind for e in trace)
        assert (stats.fills, stats.replaces, stats.remasks) == (kinds["fill"], kinds["replace"], kinds["remask"])
        edits += stats.replaces + stats.remasks
        assert stats.tokens == len(tokens)
        assert stats.edits_per_100 == pytest.approx(100 * (stats.replaces + stats.remasks) / max(len(tokens), 1))
        assert stats.tokens_per_forward == pytest.approx(len(tokens) / stats.nfe)
        assert stats.steps <= stats.nfe
        assert max(e.step for e in trace) < stats.steps
        assert EOS not in tokens
        assert MASK not in tokens
        assert stats.finish_reason == ("length" if len(tokens) == 21 else "eos")
        assert stats.asdict()["nfe"] == stats.nfe
        canvas = [MASK] * 21
        for event in trace:
            assert canvas[event.position] == event.old
            canvas[event.position] = event.new
        assert canvas[: len(tokens)] == tokens
    assert (edits > 0) == (policy.name != "unmask")


class _Fills(Policy):
    """Fills ``width`` positions of a block at once and never says that it is done."""

    name = "fills"
    summary = paper = ""
    width: int = 8

    def step(self, state: Stateless, block: Block, pred: Prediction) -> tuple[Stateless, Update]:
        here = torch.arange(block.tokens.shape[1]) < self.width
        tokens = torch.where(block.masked & here, pred.token, block.tokens)
        return state, Update(tokens, torch.zeros_like(block.step, dtype=torch.bool))

    def max_steps(self, block: Block) -> Tensor:
        return torch.full_like(block.step, 2)


@pytest.mark.parametrize(("width", "forced"), [(8, False), (7, True)])
def test_forced_means_that_masks_were_left_at_the_bound(width: int, forced: bool) -> None:
    sampler = ds.Sampler(scripted_model(hashed, eos_ids=()), _Fills(width=width), block_length=8)
    stats = sampler.generate([[5, 6]], max_new_tokens=16).stats[0]
    assert stats.forced is forced
    assert (stats.tokens, stats.fills) == (16, 16)


def test_figures_of_an_answer_without_tokens() -> None:
    stats = ds.Sampler(_eos_at(0), ds.Unmask(tokens_per_step=8)).generate([[5]], max_new_tokens=20).stats[0]
    assert (stats.tokens, stats.nfe) == (0, 1)
    assert (stats.edits_per_100, stats.tokens_per_forward) == (0.0, 0.0)


def test_edits_are_counted_per_hundred_tokens() -> None:
    """The model changes its mind about every token once: 8 replacements over 8 tokens."""
    calls = count()

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.full_like(ids, 4 + min(next(calls), 1)), 16).float() * 20

    out = ds.Sampler(scripted_model(rule, block_length=8), ds.T2T()).generate([[5]], max_new_tokens=8)
    stats = out.stats[0]
    assert out.tokens[0] == [5] * 8
    assert (stats.fills, stats.replaces, stats.remasks) == (8, 8, 0)
    assert stats.edits_per_100 == 100.0
    assert (stats.steps, stats.nfe) == (3, 3), "fill, replace, and a forward that edits nothing"
    assert stats.tokens_per_forward == pytest.approx(8 / 3)


# ---- correction heads


class Head:
    """The same error logit everywhere; remembers what it was called with."""

    layer = -2

    def __init__(self, logit: float) -> None:
        self.logit = logit
        self.calls: list[tuple[torch.Size, Tensor, Tensor]] = []

    def __call__(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        self.calls.append((hidden.shape, positions.clone(), valid.clone()))
        return torch.full(hidden.shape[:2], self.logit)


def _forwards(model: ds.Denoiser) -> tuple[list[int], Any]:
    """A list that grows by the rows of each forward of the body, and the hook to remove."""
    rows: list[int] = []
    hook = model.body.register_forward_hook(
        lambda module, args, kwargs, output: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    return rows, hook


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("alignment", ["absolute", "prompt"])
def test_a_head_sees_the_active_block_only(cache: bool, alignment: str) -> None:
    head = Head(-50.0)
    sampler = ds.Sampler(random_model(alignment=alignment).with_head(head), ds.DSC(), cache=cache)
    out = sampler.generate([[5] * 11], max_new_tokens=18)
    first = 11 if alignment == "prompt" else 8
    assert len(head.calls) == out.stats[0].nfe
    starts = []
    for shape, positions, valid in head.calls:
        assert shape == (1, 8, 32)
        assert positions.shape == valid.shape == (1, 8)
        start = int(positions[0, 0])
        starts.append(start)
        inside = torch.arange(start, start + 8) < 29
        assert torch.equal(valid[0], inside)
        assert torch.equal(positions[0, inside], torch.arange(start, start + 8)[inside])
    assert starts == sorted(starts)
    assert set(starts) <= set(range(first, 29, 8))


def test_a_head_of_a_bidirectional_model_sees_the_canvas() -> None:
    head = Head(-50.0)
    ds.Sampler(random_model("bidirectional").with_head(head), ds.DSC()).generate([[5] * 11, [6]], max_new_tokens=18)
    for shape, positions, valid in head.calls:
        assert shape[1] == positions.shape[1] == valid.shape[1]
        assert set(valid.sum(-1).tolist()) <= {29, 19}


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_a_head_costs_no_forward(attention: str) -> None:
    """The body runs once per step, with the head or without; other policies never call it."""
    head = Head(-50.0)
    model = random_model(attention).with_head(head)
    forwards, hook = _forwards(model)
    try:
        scored = ds.Sampler(model, ds.DSC(tokens_per_step=2)).generate([[5] * 11], max_new_tokens=24)
        with_head, called = len(forwards), len(head.calls)
        forwards.clear()
        plain = ds.Sampler(model.with_head(None), ds.Unmask(tokens_per_step=2)).generate([[5] * 11], max_new_tokens=24)
        assert len(forwards) == with_head == plain.stats[0].nfe + plain.stats[0].prefill
        assert (scored.tokens, scored.stats) == (plain.tokens, plain.stats), "a head that objects to nothing"
        assert called == scored.stats[0].nfe
        for policy in (ds.T2T(), ds.DSC(scorer="random")):
            ds.Sampler(model, policy).generate([[5]], max_new_tokens=8)
        assert len(head.calls) == called
    finally:
        hook.remove()


@pytest.mark.parametrize(
    ("logit", "threshold", "objects"),
    [
        (50.0, 0.5, True),
        (0.0, 0.5, False),
        (0.1, 0.5, True),
        (-50.0, 0.0, True),
        (50.0, 1.0, False),
        (1.0, 0.74, False),
    ],
)
def test_the_heads_threshold_is_strict(logit: float, threshold: float, objects: bool) -> None:
    """sigmoid(0) is 0.5 and does not exceed it; sigmoid(1) = 0.731."""
    model = random_model().with_head(Head(logit))
    stats = ds.Sampler(model, ds.DSC(threshold=threshold)).generate([[5]], max_new_tokens=16).stats[0]
    assert (stats.remasks > 0) == objects


@pytest.mark.parametrize("tokens", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("most", [0, 1, 2, 5])
@pytest.mark.parametrize("buffer", [None, 0, 1, 3, 8])
def test_remasks_of_a_head_that_objects_to_everything(tokens: int, stride: int, most: int, buffer: int | None) -> None:
    """Replayed from the trace: every d-th step the K first visible positions (all scores tie), less the FIFO's.

    After 4n remasks in a block there are no more. The FIFO starts empty in each block; where the cap leaves fewer than
    K, the lower positions go.
    """
    policy = ds.DSC(tokens_per_step=tokens, stride=stride, max_remasks=most, buffer=buffer)
    out = ds.Sampler(random_model().with_head(Head(50.0)), policy).generate([[5] * 3, [9]], 20, record=True)
    assert out.trace is not None
    for stats, trace in zip(out.stats, out.trace, strict=True):
        assert not stats.forced
        for number in range(max(e.block for e in trace) + 1):
            events = [e for e in trace if e.block == number]
            start, n = min(e.step for e in events), min(8, 20 - 8 * number)
            base, capacity = 8 * number, 4 if buffer is None else buffer
            visible: set[int] = set()
            pushed: list[int] = []
            for step in range(start, max(e.step for e in events) + 1):
                now = [e for e in events if e.step == step]
                filled = {e.position - base for e in now if e.kind == "fill"}
                reset = [e.position - base for e in now if e.kind == "remask"]
                recent = pushed[-capacity:] if capacity else []
                expected = [p for p in sorted(visible)[:most] if p not in recent]
                if (step - start) % stride != stride - 1:
                    expected = []
                expected = expected[: 4 * n - len(pushed)]
                assert sorted(reset) == expected
                assert len(filled) == min(tokens, n - len(visible))
                pushed += expected
                visible = (visible | filled) - set(expected)
            assert len(visible) == n
            assert len(pushed) <= 4 * n
    assert (sum(s.remasks for s in out.stats) > 0) == (most > 0)


def test_a_head_may_point() -> None:
    """Scores by position: the K with the highest error go, wherever they stand."""

    class Pointer(Head):
        def __call__(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
            return torch.where((positions == 6) | (positions == 4), 5.0 + positions, -5.0)

    model = random_model("bidirectional").with_head(Pointer(0.0))
    policy = ds.DSC(tokens_per_step=8, stride=1, max_remasks=2)
    out = ds.Sampler(model, policy, block_length="all").generate([[5] * 3], max_new_tokens=16, record=True)
    assert out.trace is not None
    remasked = [e for e in out.trace[0] if e.kind == "remask"]
    assert remasked
    assert {e.position for e in remasked} <= {1, 3}
    for event in remasked:
        assert 0 <= event.old < VOCAB
        assert event.old != MASK
        assert event.new == MASK


def test_an_array_of_seeds_is_a_list_of_them() -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask(tokens_per_step=4), temperature=1.0)
    wanted = sampler.generate([[5], [6]], 8, seed=[3, 4]).tokens
    for seeds in (np.array([3, 4]), torch.tensor([3, 4])):
        assert sampler.generate([[5], [6]], 8, seed=seeds).tokens == wanted
    assert sampler.generate([[5]], 8, seed=np.int64(3)).tokens == sampler.generate([[5]], 8, seed=3).tokens
    with pytest.raises(ValueError, match="seed must be an int"):
        sampler.generate([[5]], 8, seed=np.array([0.5]))
