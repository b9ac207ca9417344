"""The exact block cache: the same tokens as without it, never stale, as few forwards as the rule allows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.models.attention.base import Layout, RowPosition
from dlmsample.models.attention.choice import open_reader
from dlmsample.policies.base import Policy
from tests.test_protocol import CASES, PROMPTS
from tests.toys import random_model

STALE = [ds.T2T(fill_threshold=0.1, edit_threshold=0.0, max_post_steps=m) for m in (0, 1, 2)]


@pytest.mark.parametrize("policy", [*CASES, *STALE], ids=repr)
@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
def test_cached_is_uncached(alignment: str, policy: Policy) -> None:
    """STALE leaves blocks through max_post_steps while tokens still change: the last forward saw other tokens."""
    model = random_model("block_causal", alignment, seed=1)
    cached, plain = (
        ds.Sampler(model, policy, cache=on).generate(PROMPTS, max_new_tokens=21, record=True) for on in (True, False)
    )
    assert cached.tokens == plain.tokens
    assert cached.trace is not None
    assert plain.trace is not None
    for one, two in zip(cached.trace, plain.trace, strict=True):
        assert [(e.kind, e.step, e.position, e.new) for e in one] == [(e.kind, e.step, e.position, e.new) for e in two]
    for a, b in zip(cached.stats, plain.stats, strict=True):
        assert a.steps == b.steps == b.nfe
        assert b.prefill == 0


@pytest.mark.parametrize(
    "policy", [pytest.param(ds.Unmask(), marks=pytest.mark.full), ds.T2T(), ds.T2M(), ds.D3IM(steps=24)], ids=repr
)
def test_cached_is_uncached_on_nano(nano: ds.Denoiser, policy: Policy) -> None:
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=3)]
    for block_length in (None, 8):
        cached, plain = (
            ds.Sampler(nano, policy, block_length=block_length, cache=on).generate(prompts, max_new_tokens=72)
            for on in (True, False)
        )
        assert cached.tokens == plain.tokens


@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
def test_cached_logits_equal_the_whole_sequence(alignment: str) -> None:
    """Ragged rows at different blocks, history written block by block: logits to 1e-5 of a whole-canvas forward."""
    torch.manual_seed(0)
    model = random_model("block_causal", alignment)
    prompts, width = torch.tensor([3, 11, 16]), 8
    first = prompts if alignment == "prompt" else prompts // width * width
    length = prompts + 24
    canvas = torch.randint(3, 60, (3, int(length.max()) + width))
    layout = Layout(first, length, width, alignment == "prompt")
    with torch.no_grad():
        cached = open_reader(model, *canvas.shape, cache="exact", score=False)
        plain = open_reader(model, *canvas.shape, cache="none", score=False)
        cached.admit(torch.arange(3), canvas, layout, int(first.max()))
        starts = first.clone()
        for moves in ((1, 1, 1), (1, 0, 1), (0, 1, 0)):  # rows move on at their own pace
            places = [RowPosition(at, 0, end) for at, end in zip(starts.tolist(), length.tolist(), strict=True)]
            a = cached.read(canvas, layout, starts, places).logits
            b = plain.read(canvas, layout, starts, places).logits
            inside = layout.holds(layout.window(starts))
            assert (a - b)[inside].abs().max() < 1e-5
            starts = starts + width * torch.tensor(moves)


def test_a_row_that_moves_on_does_not_wait(nano: ds.Denoiser) -> None:
    """Rows at different blocks share a forward: the batch makes about as many as its longest row alone."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=6)]
    sampler = ds.Sampler(nano, ds.Unmask(threshold=0.9))
    handle = nano.body.register_forward_hook(count)
    try:
        out = sampler.generate(prompts, max_new_tokens=96)
    finally:
        handle.remove()
    assert calls == max(s.nfe for s in out.stats) + 1  # and one prefill


def test_the_last_block_is_never_written(nano: ds.Denoiser) -> None:
    out = ds.Sampler(nano, ds.Unmask(tokens_per_step=8)).generate(["Hello"], max_new_tokens=32)
    assert out.stats[0].nfe == out.stats[0].steps
