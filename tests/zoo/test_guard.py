"""The guard against oscillation: equal to the loops of ``guarded``, and what it is for."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from tests.test_differential import compare
from tests.toys import VOCAB, random_model, scripted_model
from tests.zoo import guarded  # noqa: F401  registers the oracle of guarded chains

FILLS: list[Any] = [ds.fill.Threshold(0.2), ds.fill.Quota(3), ds.fill.Steps(9, score="random")]
EDITS: list[Any] = [
    ds.edit.Replace(0.0),
    ds.edit.Replace(0.1, max_edits=4, max_post_steps=30),
    ds.edit.Remask(ds.detect.LowProb(0.6), max_per_position=4, max_share=0.5),
    ds.edit.Remask(ds.detect.LogitDiff(0.01), max_per_position=6),
    ds.edit.BufferedRemask(ds.detect.Random(0.2), stride=1, max_per_step=3, buffer=1),
]
PAIRS = list(itertools.product(FILLS, EDITS))


@pytest.mark.parametrize("at", range(len(PAIRS)))
def test_every_guarded_edit_is_the_loops(at: int, full: bool) -> None:
    filling, editing = PAIRS[at]
    chain = ds.chain(filling, ds.edit.Guard(editing))
    assert ds.policy("chain", **json.loads(chain.model_dump_json())) == chain
    draw = random.Random(at)
    for _ in range(20 if full else 2):
        model = random_model(draw.choice(["block_causal", "bidirectional"]), "absolute", seed=draw.randrange(1000))
        prompts = [[draw.randrange(3, VOCAB) for _ in range(n)] for n in (3, 8)]
        kw = {"temperature": draw.choice([0.0, 0.7, 1.2]), "block_length": draw.choice([None, "all", 5])}
        assert compare(model, prompts, "chain", chain.model_dump(), 13, **kw) == []


def swapping(ids: Tensor, positions: Tensor) -> Tensor:
    """Sure of token 5 where an even token stands, else of token 4: every look at a position wants the other one."""
    wanted = torch.where((ids % 2 == 0) & (ids != 2), 5, 4)
    return torch.nn.functional.one_hot(wanted, 16).float() * 20


def test_a_swap_stops_when_it_comes_round() -> None:
    free, shut = (
        ds.Sampler(scripted_model(swapping), ds.T2T(guard=on)).generate([[7]], max_new_tokens=8).stats[0]
        for on in (False, True)
    )
    assert free.replaces == 16 * 8
    assert shut.replaces == 2 * 8  # 4 becomes 5 and 4 again
    assert shut.steps == 4  # the fill, two replacements, and a look that finds nothing to edit


@pytest.mark.parametrize("seed", range(4))
def test_a_guard_never_adds_edits_where_predictions_do_not_depend_on_the_canvas(seed: int) -> None:
    """Every step prefers another token of a fixed random sequence, whatever stands there."""
    g = torch.Generator().manual_seed(seed)
    wanted = torch.randint(3, 7, (400, 24), generator=g)
    stats = []
    for on in (False, True):
        turn = itertools.count()

        def rule(ids: Tensor, positions: Tensor, turn: Any = turn) -> Tensor:
            return torch.nn.functional.one_hot(wanted[next(turn)][positions], 16).float() * 20

        model = scripted_model(rule)
        stats.append(ds.Sampler(model, ds.T2T(edit_threshold=0.0, guard=on)).generate([[7]], 8).stats[0])
    assert stats[1].replaces < stats[0].replaces
    assert stats[1].replaces <= 8 * 4  # four tokens to choose from: the fourth change at the latest is a return


def test_off_by_default_and_then_not_in_the_dump() -> None:
    assert ds.T2T() == ds.T2T(guard=False)
    assert "guard" not in ds.T2T().model_dump()
    assert json.loads(ds.T2T(guard=True).model_dump_json())["guard"] is True
    assert ds.T2T(guard=True).chain == ds.chain(ds.fill.Threshold(0.7), ds.edit.Guard(ds.edit.Replace(0.5)))


def test_it_shortens_a_checkpoints_quarrel(nano: ds.Denoiser) -> None:
    """Positions of nano's random_t2t that were filled on thin evidence swap their wording back and forth."""
    model = ds.load("nano", adapter="random_t2t")
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=6)]
    samplers = [ds.Sampler(model, ds.T2T(fill_threshold=0.3, edit_threshold=0.0, guard=on)) for on in (False, True)]
    free, shut = (sum(row.replaces for row in sampler.generate(prompts, 96).stats) for sampler in samplers)
    assert shut < 0.9 * free
