"""Against a whole decoder that is not ours: diffusers' ``LLaDA2Pipeline`` on the same tiny block-causal model.

The pipeline forwards everything up to the active block's end at every step and hands its model a padding mask, which
:class:`Whole` turns into the true block-causal one. Settings are matched so that the rules coincide: blocks counted
from the first token, a canvas of whole blocks, no EOS, more steps offered than a block can take, ``max_post_steps``
one lower than ours (it is checked after the forward), 1e-30 for an edit threshold of 0. Every other test pins
a difference: what the pipeline does, exactly, and what we do instead.
"""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dlmsample as ds
from dlmsample.models.attention import masks
from dlmsample.policies.base import Policy
from dlmsample.types import Event
from tests.toys import MASK, VOCAB, random_model

diffusers = pytest.importorskip("diffusers", minversion="0.42")

BANNED = -1e4  # exp of it is 0 in float32: diffusers then agrees that the mask id is no candidate
NEARLY_OFF = 1e-30  # the smallest threshold diffusers takes for "on"
WORDS = range(3, VOCAB)


class Whole(nn.Module):
    """What the pipeline asks of a model: logits of the whole prefix under a padding mask; counts its forwards."""

    def __init__(self, model: ds.Denoiser, mask_logit: float | None = BANNED) -> None:
        super().__init__()
        self.module, self.width, self.mask_logit, self.forwards = model.module, model.block_length, mask_logit, 0
        self.device = model.device

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor) -> Any:
        self.forwards += 1
        visible = masks.block_causal(position_ids // self.width, attention_mask.bool())
        logits = self.module(input_ids, position_ids=position_ids, attention_mask=visible, use_cache=False).logits
        if self.mask_logit is not None:
            logits[..., MASK] = self.mask_logit
        return SimpleNamespace(logits=logits)


def model_of(seed: int, width: int) -> ds.Denoiser:
    """Nothing ends its answers."""
    model = random_model(alignment="absolute", seed=seed, block_length=width)
    return replace(model, facts=replace(model.facts, eos_ids=()))


def ending(model: ds.Denoiser, prompt: list[int], new: int, at: int) -> ds.Denoiser:
    """The same, but what it puts at this position of its answer (or soon after) is an EOS."""
    answer = ours(model, ds.Unmask(threshold=0.5), [prompt], new).tokens[0]
    return replace(model, facts=replace(model.facts, eos_ids=(next(t for t in answer[at:] if t not in prompt),)))


def theirs(
    model: ds.Denoiser, prompts: list[list[int]], new: int, *, whole: Whole | None = None, **options: Any
) -> tuple[list[list[int]], int]:
    """Tokens of every row as the pipeline leaves them, and the number of its forwards."""
    whole = whole or Whole(model)
    scheduler = diffusers.BlockRefinementScheduler(block_length=model.block_length)
    pipe = diffusers.LLaDA2Pipeline(model=whole, scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    given = {"num_inference_steps": 4 * model.block_length, "editing_threshold": None, **options}
    out = pipe(
        input_ids=torch.tensor(prompts),
        gen_length=new,
        block_length=model.block_length,
        mask_token_id=MASK,
        eos_token_id=model.eos_ids[0] if model.eos_ids else None,
        output_type="seq",
        **given,
    )
    return out.sequences.tolist(), whole.forwards


def ours(model: ds.Denoiser, policy: Policy, prompts: list[list[int]], new: int, cache: bool = True) -> Any:
    return ds.Sampler(model, policy, cache=cache).generate(prompts, max_new_tokens=new, record=True)


def prompt_of(length: int, seed: int) -> list[int]:
    return random.Random(f"{length} {seed}").choices(WORDS, k=length)


def before(eos: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(eos)] if eos in tokens else tokens


#: Ours, what the pipeline is given for it, and its forwards a block beyond ours.
SETTINGS: list[tuple[Policy, dict[str, Any], int]] = [
    (ds.Unmask(threshold=0.9), {"threshold": 0.9}, 1),  # one that sees no mask and changes nothing
    (ds.Unmask(threshold=0.3), {"threshold": 0.3}, 1),
    (ds.T2T(edit_threshold=None), {"threshold": 0.7}, 1),
    (ds.T2T.quality(), {"threshold": 0.7, "editing_threshold": 0.5, "max_post_steps": 15}, 0),
    (ds.T2T.speed(), {"threshold": 0.5, "editing_threshold": NEARLY_OFF, "max_post_steps": 15}, 0),
    (
        ds.T2T(fill_threshold=0.4, edit_threshold=0.2, max_post_steps=2),
        {"threshold": 0.4, "editing_threshold": 0.2, "max_post_steps": 1},
        0,
    ),
]


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize(("policy", "options", "more"), SETTINGS, ids=[repr(p) for p, *_ in SETTINGS])
def test_same_tokens(policy: Policy, options: dict[str, Any], more: int, width: int, full: bool) -> None:
    """Same tokens and forwards, with our cache and without (the pipeline has none); prompts that end anywhere."""
    edits = 0
    for seed in range(30 if full else 3):
        length = (2 * width, width + 1 + seed % (width - 1), 1 + seed % width)[seed % 3]
        new = 4 * width - length % width
        model, prompts = model_of(seed, width), [prompt_of(length, seed)]
        tokens, forwards = theirs(model, prompts, new, **options)
        for cache in (True, False) if full else (seed != 1,):
            out = ours(model, policy, prompts, new, cache)
            assert out.tokens == tokens, f"seed {seed}, cache {cache}"
            blocks = (length + new) // width - length // width
            assert out.stats[0].steps == forwards - more * blocks, f"seed {seed}, cache {cache}"
            edits += out.stats[0].replaces
    assert (edits > 0) == ("editing_threshold" in options), "the comparison is empty unless edits happen"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fixed_number_per_step(count: int) -> None:
    """A threshold above 1 leaves the schedule alone: B / k steps are k tokens a step; no forward too many.

    The schedule's end leaves a block. A first block with a prompt's tail has no mask left before that: then one more.
    """
    for seed, tail in ((0, 0), (1, 0), (2, 3), (3, 7)):
        model, prompts, new = model_of(seed, 8), [prompt_of(8 + tail, seed)], 24 - tail
        tokens, forwards = theirs(model, prompts, new, threshold=2.0, num_inference_steps=8 // count)
        out = ours(model, ds.Unmask(tokens_per_step=count), prompts, new)
        assert out.tokens == tokens
        unused = -(-(8 - tail) // count) < 8 // count  # steps of the first block's schedule
        assert forwards == out.stats[0].steps + unused


def test_rows_of_one_length_in_a_batch() -> None:
    """Divergence: a block goes on for all rows until the slowest is done with it; ours stand at their own blocks."""
    shared = 0
    for seed in range(4):
        model, prompts = model_of(seed, 8), [prompt_of(11, 10 * seed + row) for row in range(4)]
        tokens, forwards = theirs(model, prompts, 29, threshold=0.6)
        out = ours(model, ds.Unmask(threshold=0.6), prompts, 29)
        assert out.tokens == tokens
        slowest = [max(len({e.step for e in row if e.block == b}) for row in out.trace) for b in range(4)]
        assert forwards == sum(slowest) + 4
        shared += forwards > max(row.steps for row in out.stats) + 4
    assert shared > 0


def test_neighbours_lengthen_the_edits_of_a_row() -> None:
    """Divergence: a row that could edit for ever does so while any row has masks, beyond its own limit."""
    options = {"threshold": 0.7, "editing_threshold": NEARLY_OFF, "max_post_steps": 0}
    policy = ds.T2T(fill_threshold=0.7, edit_threshold=0.0, max_post_steps=1)
    changed = 0
    for seed in range(4):
        model, prompts = model_of(seed, 8), [prompt_of(8, 10 * seed + row) for row in range(4)]
        alone = [theirs(model, [p], 24, **options)[0][0] for p in prompts]
        assert ours(model, policy, prompts, 24).tokens == alone
        changed += theirs(model, prompts, 24, **options)[0] != alone
    assert changed > 0


def test_left_padding_moves_the_blocks() -> None:
    """Divergence: blocks are cut from the padded canvas's first column; only whole blocks of padding are harmless."""
    model, policy, prompt = model_of(1, 8), ds.Unmask(threshold=0.5), prompt_of(11, 1)
    alone = ours(model, policy, [prompt], 21).tokens[0]

    def padded(count: int) -> list[int]:
        mask = torch.tensor([[0] * count + [1] * len(prompt)])
        return theirs(model, [[5] * count + prompt], 21, threshold=0.5, attention_mask=mask)[0][0]

    assert padded(8) == padded(16) == alone
    assert padded(3) != alone
    assert ours(model, policy, [prompt, prompt_of(14, 2)], 21).tokens[0] == alone


def test_a_short_last_block_is_padded_with_masks_to_fill() -> None:
    """Divergence: positions behind the answer are candidates there: forwards for nothing, and quotas spent on them."""
    differs = 0
    for seed in range(6):
        model, prompts = model_of(seed, 8), [prompt_of(8, seed)]
        tokens, forwards = theirs(model, prompts, 18, threshold=0.9)
        out = ours(model, ds.Unmask(threshold=0.9), prompts, 18)
        assert out.tokens == tokens  # what nobody sees delays the others, but changes none of them
        assert forwards > out.stats[0].steps + 3
        tokens, _ = theirs(model, prompts, 18, threshold=2.0, num_inference_steps=2)
        differs += ours(model, ds.Unmask(tokens_per_step=4), prompts, 18).tokens != tokens
    assert differs > 0


@pytest.mark.parametrize("width", [4, 8])
def test_a_row_freezes_at_its_eos(width: int) -> None:
    """Divergence: once an EOS is placed and everything before it stands, the row is left as it is, in mid-block.

    Ours finishes the block and edits it like any other. Replayed from our own events, the pipeline's tokens are
    those of that moment; with editing off both are the same.
    """
    policy = ds.T2T(fill_threshold=0.5, edit_threshold=0.1)
    options = {"threshold": 0.5, "editing_threshold": 0.1, "max_post_steps": 15}
    frozen = later = 0
    for seed in range(5):
        prompt, new = prompt_of(width + 1, seed), 4 * width - 1
        model = ending(model_of(seed, width), prompt, new, at=width + seed % width)
        (eos,) = model.eos_ids
        (calm,), _ = theirs(model, [prompt], new, threshold=0.5)
        assert ours(model, ds.Unmask(threshold=0.5), [prompt], new).tokens == [before(eos, calm)]

        (tokens,), forwards = theirs(model, [prompt], new, **options)
        out = ours(model, policy, [prompt], new)
        moment = eos_moment(eos, out.trace[0], new)
        if moment is None:
            assert out.tokens == [before(eos, tokens)]
            continue
        canvas, steps = moment
        assert before(eos, tokens) == before(eos, canvas), f"seed {seed}"
        assert forwards == steps
        frozen += 1
        later += out.tokens[0] != before(eos, canvas)
    assert frozen > 0
    assert later > 0, "no row was edited after that moment"


def eos_moment(eos: int, events: list[Event], new: int) -> tuple[list[int], int] | None:
    """The answer after the first step that placed an EOS and left no mask before the first; the steps so far."""
    canvas = [MASK] * new
    for step in range(max(e.step for e in events) + 1):
        now = [e for e in events if e.step == step]
        for e in now:
            canvas[e.position] = e.new
        if any(e.new == eos for e in now) and eos in canvas and MASK not in before(eos, canvas):
            return canvas, step + 1
    return None


def test_an_eos_in_the_prompt_never_finishes() -> None:
    """Divergence: the first EOS of the whole row decides, so one in the prompt (or as padding) never lets it stop."""
    for seed in range(3):
        model, prompt = model_of(seed, 8), random.Random(seed).sample(WORDS, k=len(WORDS))
        new = 40 - len(prompt) % 8
        endless = ours(model, ds.Unmask(threshold=0.5), [prompt], new).tokens[0]
        eos = next(token for token in endless if token in prompt)
        model = replace(model, facts=replace(model.facts, eos_ids=(eos,)))
        out = ours(model, ds.Unmask(threshold=0.5), [prompt], new)
        (tokens,), _ = theirs(model, [prompt], new, threshold=0.5)
        assert out.tokens == [before(eos, tokens)]
        assert tokens == endless


def test_a_finished_row_keeps_its_batch_going() -> None:
    """Divergence: a block is left for all rows at once, and what a finished row has not filled stays masked."""
    kept = 0
    for seed in range(4):
        prompts = [prompt_of(8, 10 * seed + row) for row in range(2)]
        model = ending(model_of(seed, 8), prompts[0], 24, at=9)
        out = ours(model, ds.Unmask(threshold=0.5), prompts, 24)
        tokens, forwards = theirs(model, prompts, 24, threshold=0.5)
        assert [before(model.eos_ids[0], row) for row in tokens] == out.tokens
        assert forwards >= max(row.steps for row in out.stats)
        kept += any(MASK in row for row in tokens)
    assert kept > 0


def test_zero_is_off_there_and_everything_here() -> None:
    """Divergence: ``editing_threshold=0.0``, S mode of LLaDA2.1, edits nothing in diffusers."""
    differs = 0
    for seed in range(3):
        model, prompts = model_of(seed, 8), [prompt_of(11, seed)]
        off, _ = theirs(model, prompts, 21, threshold=0.5, editing_threshold=0.0)
        assert off == ours(model, ds.T2T(fill_threshold=0.5, edit_threshold=None), prompts, 21).tokens
        differs += off != ours(model, ds.T2T(fill_threshold=0.5, edit_threshold=0.0), prompts, 21).tokens
    assert differs > 0


def test_the_default_schedule_skips_the_look_at_the_last_fill() -> None:
    """Divergence: as many steps as a block has masks, each filling one: the block is left without an examination.

    32 steps for 32 tokens is the pipeline's default. With more steps on offer it examines the last fill, as we do.
    """
    policy = ds.T2T(fill_threshold=1.0, edit_threshold=0.2)
    options = {"threshold": 1.0, "editing_threshold": 0.2, "max_post_steps": 15}
    differs = 0
    for seed in range(2):
        model, prompts = model_of(seed, 8), [prompt_of(8, seed)]
        out = ours(model, policy, prompts, 24)
        assert theirs(model, prompts, 24, **options) == (out.tokens, out.stats[0].steps)
        tokens, forwards = theirs(model, prompts, 24, **options, num_inference_steps=8)
        assert forwards == 24 < out.stats[0].steps
        differs += tokens != out.tokens
    assert differs > 0


def test_a_short_answer_shortens_the_schedule() -> None:
    """Divergence: steps are cut to ``gen_length``, but the schedule still spreads a whole block over them."""
    met = 0
    for seed in range(6):
        model, prompts = model_of(seed, 8), [prompt_of(12, seed)]
        tokens, forwards = theirs(model, prompts, 4, threshold=2.0)  # 8 tokens over 4 steps: 2 a step
        out = ours(model, ds.Unmask(tokens_per_step=2), prompts, 4)
        assert (tokens, forwards) == (out.tokens, out.stats[0].steps + 1)
        met += tokens != ours(model, ds.Unmask(), prompts, 4).tokens
    assert met > 0


def test_masks_stay_where_the_mask_is_the_argmax() -> None:
    """Divergence: the mask id is a candidate there, so positions are "filled" with it and it is returned."""
    model, prompts = model_of(0, 8), [prompt_of(8, 0)]
    tokens, forwards = theirs(model, prompts, 16, whole=Whole(model, mask_logit=1e4), threshold=0.5)
    assert tokens == [[MASK] * 16]
    assert forwards == 2 * 16  # all the steps it was offered, cut to the answer's length
    assert MASK not in ours(model, ds.Unmask(threshold=0.5), prompts, 16).tokens[0]
