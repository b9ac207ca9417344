"""Policies of the zoo that must coincide with others, and what each is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.cli.listing.policy import explained_policy
from dlmsample.cli.settings import make_policy
from tests.test_identities import run as run  # the fixture: decode the same prompts under any policy, with events
from tests.test_protocol import PROMPTS
from tests.toys import EOS, random_model, scripted_model

#: Pairs that give the same tokens, counts and events; blocks are of 8 and the last one of 5 positions.
PAIRS: list[tuple[Any, Any]] = [
    (ds.policy("tolerator", steps=9, rounds=0, eos_penalty=1), ds.Unmask(steps=9)),
    (ds.policy("wino", draft_threshold=0.3, verify_threshold=0), ds.Unmask(threshold=0.3)),
    (
        ds.policy("wino", draft_threshold=0.3, verify_threshold=0, eos="confidence"),
        ds.Unmask(threshold=0.3, eos="confidence"),
    ),
    (ds.policy("wino", draft_threshold=1, verify_threshold=1), ds.Unmask(tokens_per_step=1)),
    (ds.policy("rcr", steps=1), ds.Unmask(steps=1)),
    (ds.policy("p2", steps=1), ds.Unmask(steps=1)),
]


@pytest.mark.parametrize("pair", PAIRS, ids=repr)
def test_policies_that_coincide(run: Any, pair: tuple[Any, Any]) -> None:
    a, b = (run(policy) for policy in pair)
    assert (a.tokens, a.stats) == (b.tokens, b.stats)


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_p2_between_unmask_and_d3im(steps: int) -> None:
    """η = 0 never gives a token up; η = 1 is D3IM without replacement, where the quotas divide evenly."""
    for attention in ("block_causal", "bidirectional"):
        model = random_model(attention, "prompt", block_length=16)
        p2, unmask, one, d3im = (
            ds.Sampler(model, policy, temperature=0.7).generate(PROMPTS, 16, seed=3, record=True)
            for policy in (
                ds.policy("p2", steps=steps, eta=0),
                ds.Unmask(steps=steps),
                ds.policy("p2", steps=steps, eta=1),
                ds.D3IM(steps=steps, t2t=False, eos="none"),
            )
        )
        same_tokens = [(a.tokens, a.stats) == (b.tokens, b.stats) for a, b in ((p2, unmask), (one, d3im))]
        assert same_tokens == [True, True]


def test_a_larger_eta_gives_up_more_tokens() -> None:
    model = random_model("bidirectional", "prompt", seed=4, block_length=24)
    taken = [
        sum(row.remasks for row in ds.Sampler(model, ds.policy("p2", steps=20, eta=eta)).generate(PROMPTS, 24).stats)
        for eta in (0, 0.5, 1, 4)
    ]
    assert taken == sorted(taken)
    assert taken[0] == 0 < taken[-1]


def test_rcr_gives_an_unsure_token_back() -> None:
    """The first two tokens are placed unsurely; once something stands there, the model is surer of the others."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        alone = (ids[:, 1:] == 2).all(-1)
        logits = torch.zeros(*ids.shape, 16)
        logits[..., 7] = torch.where(positions == 1, 4.0, torch.where(alone[:, None], 1.0, 8.0))
        return logits

    out = ds.Sampler(scripted_model(rule), ds.policy("rcr", steps=4)).generate([[9]], max_new_tokens=8, record=True)
    assert out.trace is not None
    given_back = [event.position for event in out.trace[0] if event.kind == "remask"]
    assert given_back == [0, 1]
    assert all(event.reason == "running_confidence" for event in out.trace[0] if event.kind == "remask")
    assert out.stats[0].steps == 4


def test_tolerator_penalises_eos_in_the_fill_up_alone() -> None:
    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        logits = torch.zeros(*ids.shape, 16)
        logits[..., EOS], logits[..., 5] = 6.0, 4.0
        return logits

    model = scripted_model(rule)
    found = [
        ds.Sampler(model, ds.policy("tolerator", steps=2, rounds=rounds, eos_penalty=penalty)).generate([[9]], 8)
        for rounds, penalty in ((0, 1.0), (0, 1.6), (1, 1.6))
    ]
    assert [len(out.tokens[0]) for out in found[:2]] == [0, 8]
    assert found[2].tokens[0] != [5] * 8
    filled = ds.Sampler(model, ds.policy("tolerator", steps=2, rounds=0, eos_penalty=1.6)).fill([[9, 2, 2]])
    assert filled.tokens == [[5, 5]]  # where an EOS is no candidate anyway


def test_tolerator_locks_what_never_changes() -> None:
    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(3 + positions % 5, 16).float() * 9

    model = scripted_model(rule)
    policy = ds.policy("tolerator", steps=1, rounds=50, start_share=1.0, end_share=1.0, lock_after=3)
    assert ds.Sampler(model, policy).generate([[9]], 8).stats[0].steps == 1 + 3


def test_wino_revokes_what_the_model_would_not_say_unseen() -> None:
    """Token 7 stands only because it sees itself: unseen, position 3 is 4."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        wrong = (positions == 4) & ~(ids == 2).all(-1, keepdim=True)
        wanted = torch.where(wrong & (ids == 2), 4, torch.where(wrong, 7, 5))
        first = (ids[:, 1:] == 2).all(-1, keepdim=True) & (positions == 4)
        return torch.nn.functional.one_hot(torch.where(first, 7, wanted), 16).float() * 9

    model = scripted_model(rule)
    out = ds.Sampler(model, ds.policy("wino", max_draft=4)).generate([[9]], 8, record=True)
    assert out.trace is not None
    assert [e.position for e in out.trace[0] if e.kind == "remask"] == [3]
    assert out.tokens[0][3] == 4
    assert "unseen" in {event.reason for event in out.trace[0]}


def test_backplay_is_dsc() -> None:
    """The paper's name since its second version: known wherever a policy is named, and listed once."""
    policy = ds.policy("backplay", scorer="random", threshold=0.3)
    assert policy == ds.DSC(scorer="random", threshold=0.3)
    assert ds.policy(policy.name, **policy.model_dump()) == policy
    assert ds.BackPlay is ds.DSC
    assert "backplay" not in ds.list_policies()
    assert explained_policy("backplay")["options"] == explained_policy("dsc")["options"]
    assert make_policy("backplay", {"stride": 3}) == ds.DSC(stride=3)
