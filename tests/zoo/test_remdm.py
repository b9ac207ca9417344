"""ReMDM: the rates of the authors' own code, random remasking as its special case, and what does not fit together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample import rng
from dlmsample.policies import fill
from dlmsample.policies.base import Policy, Stateless
from dlmsample.policies.zoo.remdm import ReMDMState
from dlmsample.types import Block, Prediction, Update
from tests.test_protocol import PROMPTS
from tests.toys import random_model

CANVAS = [0, 4, 2, 4, 4, 1, 3, 4]  #: 4 is the mask
COMMITTED = [0.9, 0.0, 0.35, 0.0, 0.0, 0.6, 0.1, 0.0]
#: Options, T and k; the probabilities of being masked after the step of visible positions and of masked ones, as
#: ``_ddpm_caching_update`` of https://github.com/kuleshov-group/remdm (Apache-2.0) gave them for this canvas.
PUBLIC: list[tuple[dict[str, Any], int, int, list[float], float]] = [
    ({"eta": 0.3}, 16, 1, [0.3] * 4, 0.913333333),
    ({"eta": 0.3}, 16, 8, [0.3] * 4, 0.575),
    ({"eta": 0.3}, 16, 14, [0.071428571] * 4, 0.0),
    ({"eta": 0.3}, 16, 15, [0.0] * 4, 0.0),
    ({"eta": 0.04}, 16, 14, [0.04] * 4, 0.22),
    ({"eta": 0.04}, 10, 3, [0.04] * 4, 0.84),
    ({"sigma": "rescale", "eta": 0.5}, 16, 1, [0.5] * 4, 0.9),
    ({"sigma": "rescale", "eta": 0.5}, 16, 8, [0.4375] * 4, 0.4375),
    ({"sigma": "rescale", "eta": 0.5}, 16, 14, [0.035714286] * 4, 0.25),
    ({"sigma": "conf"}, 16, 1, [0.158512449, 0.274742181, 0.213969426, 0.352775944], 0.933333333),
    ({"sigma": "conf"}, 16, 8, [0.138698393, 0.240399409, 0.187223248, 0.308678951], 0.875),
    ({"sigma": "conf"}, 10, 3, [0.158512449, 0.274742181, 0.213969426, 0.352775944], 0.857142857),
    ({"when": "loop"}, 40, 1, [0.0] * 4, 0.947368421),
    ({"when": "loop"}, 40, 17, [0.0] * 4, 0.666666667),
    ({"when": "loop"}, 40, 18, [0.02] * 4, 0.82),
    ({"when": "loop"}, 40, 37, [0.02] * 4, 0.82),
    ({"when": "loop"}, 40, 39, [0.0] * 4, 0.0),
]


def step(options: dict[str, Any], steps: int, at: int, rows: int) -> tuple[Block, Tensor]:
    """Many rows with the same canvas and keys of their own: the block, and its tokens after one step."""
    column = torch.ones(rows, dtype=torch.long)
    tokens = torch.tensor(CANVAS).expand(rows, -1)
    block = Block(
        tokens, tokens >= 0, at * column, 0 * column, 8 * column, 8 * column, column.cumsum(0), torch.tensor([9]), 4
    )
    number = torch.full((rows, 8), 0.5)
    pred = Prediction(torch.zeros_like(tokens), number, number, number, number)
    state = ReMDMState(steps * column, torch.tensor(COMMITTED).expand(rows, -1))
    return block, ds.policy("remdm", steps=steps, **options).step(state, block, pred)[1].tokens


@pytest.mark.parametrize(("options", "steps", "at", "visible", "masked"), PUBLIC)
def test_the_rates_are_those_of_the_public_code(
    options: dict[str, Any], steps: int, at: int, visible: list[float], masked: float
) -> None:
    """Every decision of thousands is the one that the published probability gives for the same draw."""
    block, tokens = step(options, steps, at, 4000)
    draws = rng.uniform(rng.fold(block.key[:, None], 3, torch.arange(8)))
    given = iter(visible)
    for i, token in enumerate(CANVAS):
        stays_hidden = draws[:, i] >= 1 - masked if token == 4 else draws[:, i] < next(given)
        assert torch.equal(tokens[:, i] == 4, stays_hidden)


class _RandomRemasking(Policy):
    """LLaDA's random remasking: of what is predicted, each position is masked again with probability s/t."""

    name = "random_remasking"
    summary = paper = ""
    steps: int = 12

    def step(self, state: Stateless, block: Block, pred: Prediction) -> tuple[Stateless, Update]:
        total = fill.share(self.steps, block)
        t, s = total - block.step, total - block.step - 1
        positions = torch.arange(block.tokens.shape[1])
        stays = 1 - rng.uniform(rng.fold(block.key[:, None], 3, positions)).double() <= (s / t.double())[:, None]
        tokens = torch.where(block.masked & ~stays, pred.token, block.tokens)
        return state, Update(tokens, ~(block.editable & (tokens == block.mask_id)).any(-1))

    def max_steps(self, block: Block) -> Tensor:
        return fill.share(self.steps, block)


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("sigma", ["cap", "rescale", "conf"])
def test_without_remasking_it_is_random_remasking(attention: str, temperature: float, sigma: str) -> None:
    model = random_model(attention, "absolute")
    for length in (None, 5, "all"):
        one, two = (
            ds.Sampler(model, policy, length, temperature=temperature).generate(PROMPTS, 19, seed=3, record=True)
            for policy in (ds.policy("remdm", steps=12, sigma=sigma, eta=0), _RandomRemasking())
        )
        assert (one.tokens, one.stats) == (two.tokens, two.stats)
        assert not any(row.remasks for row in one.stats)


def test_the_expected_share_of_visible_tokens_stays_on_schedule() -> None:
    """What remasking takes, unmasking gives back: after step k about α_s of all positions are visible."""
    for options in ({"eta": 0.3}, {"sigma": "rescale", "eta": 0.5}):
        _, tokens = step(options, 16, 8, 4000)  # 4 of 8 positions are visible before, and α is 1/2
        assert (tokens != 4).double().mean().item() == pytest.approx(9 / 16, abs=0.01)


def test_published_values_and_what_does_not_fit() -> None:
    assert [ds.policy("remdm", sigma=s).level for s in ("cap", "rescale", "conf")] == [0.008, 0.015, 1.0]
    assert ds.policy("remdm", when="loop").level == 0.02
    for wrong in ({"when": "loop", "t_off": 0.6}, {"when": "loop", "sigma": "conf"}):
        with pytest.raises(ValueError, match="loop"):
            ds.policy("remdm", **wrong)
