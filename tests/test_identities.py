"""Policies that must coincide, and what must be monotone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.policies.base import Policy
from tests.test_protocol import PROMPTS, hashed
from tests.toys import random_model, scripted_model

Run = Callable[[Policy], ds.Output]


@pytest.fixture(params=["block_causal", "bidirectional", "nano"])
def run(request: pytest.FixtureRequest) -> Run:
    """Decode the same prompts with the same model under any policy, with events."""
    if request.param == "nano":
        model = request.getfixturevalue("nano")
        prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=2)]
        return lambda policy: ds.Sampler(model, policy).generate(prompts, max_new_tokens=48, record=True)
    model = random_model(request.param, "absolute")
    return lambda policy: ds.Sampler(model, policy).generate(PROMPTS, max_new_tokens=21, record=True)


def same(a: ds.Output, b: ds.Output) -> None:
    assert a.tokens == b.tokens
    assert a.stats == b.stats
    assert a.trace == b.trace


@pytest.mark.parametrize("steps", [5, 21, 60])
def test_d3im_without_channels_is_unmask(run: Run, steps: int) -> None:
    same(run(ds.D3IM(steps=steps, t2t=False, t2m=False, eos="none")), run(ds.Unmask(steps=steps)))


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_t2m_without_remasks_is_threshold_unmask(run: Run, threshold: float) -> None:
    for detector in ("low_prob", "t2t_remask", "logit_diff"):
        plain = run(ds.T2M(detector=detector, max_remasks=0, fill_threshold=threshold))
        same(plain, run(ds.Unmask(threshold=threshold)))


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_t2t_without_edits_is_threshold_unmask(run: Run, threshold: float) -> None:
    same(run(ds.T2T(edit_threshold=None, fill_threshold=threshold)), run(ds.Unmask(threshold=threshold)))


def test_edit_threshold_zero_edits(run: Run) -> None:
    """0.0 means "whenever the argmax differs", not "off"."""
    assert run(ds.T2T(fill_threshold=0.1, edit_threshold=0.0)).stats != run(ds.Unmask(threshold=0.1)).stats


@pytest.mark.parametrize("seed", range(5))
def test_a_higher_fill_threshold_never_takes_fewer_forwards(seed: int) -> None:
    """On the same predictions: the model looks at positions only."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        return hashed(torch.full_like(ids, seed), positions)

    steps = [
        ds.Sampler(scripted_model(rule), ds.Unmask(threshold=t)).generate([[5]], max_new_tokens=32).stats[0].nfe
        for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]


def test_modes_of_t2t() -> None:
    assert ds.T2T.quality() == ds.T2T(fill_threshold=0.7, edit_threshold=0.5)
    assert ds.T2T.speed() == ds.T2T(fill_threshold=0.5, edit_threshold=0.0)


@pytest.mark.parametrize(("k", "nfe"), [(1, 20), (3, 8), (8, 3)])
def test_quota_forwards(k: int, nfe: int) -> None:
    """⌈8/k⌉ + ⌈8/k⌉ + ⌈4/k⌉ steps for 20 tokens in blocks of 8."""
    out = ds.Sampler(scripted_model(hashed, eos_ids=()), ds.Unmask(tokens_per_step=k)).generate(
        [[5]], max_new_tokens=20
    )
    assert out.stats[0].steps == out.stats[0].nfe == nfe
