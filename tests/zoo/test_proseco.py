"""ProSeCo: the loops nested as its algorithms print them, what it equals without them, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from tests.toys import random_model, scripted_model
from tests.zoo.fake import VOCAB, gentle
from tests.zoo.loops import decode_proseco

PROMPTS = [[7, 9, 3], [5] * 6, [8], [11, 4, 12, 13]]
OPTIONS: list[dict[str, Any]] = [
    {"steps": 9},
    {"steps": 20, "every": 3, "max_corrections": 7},
    {"steps": 24, "every": 1, "max_corrections": 1},
    {"steps": 1, "every": 1},
    {"steps": 40},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_loops_as_printed(options: dict[str, Any]) -> None:
    gently = scripted_model(gentle, vocab=VOCAB, eos_ids=())
    for model in (gently, random_model("bidirectional", "prompt", seed=4)):
        sampler = ds.Sampler(model, ds.policy("proseco", **options), "all")
        for prompt in PROMPTS:  # one at a time: the first model sees what pads a batch
            out = sampler.generate([prompt], 24)
            printed, forwards = decode_proseco(model, prompt, options, 24)
            ends = next((at for at, token in enumerate(printed) if token in model.eos_ids), 24)
            assert (out.tokens[0], out.stats[0].nfe) == (printed[:ends], forwards)


@pytest.mark.parametrize("options", [{"max_corrections": 0}, {"every": 99}], ids=str)
def test_without_loops_it_is_unmask(options: dict[str, Any]) -> None:
    model = random_model("block_causal", "prompt")
    ours, unmask = (
        ds.Sampler(model, policy, temperature=0.8).generate(PROMPTS, 21, seed=3, record=True)
        for policy in (ds.ProSeCo(steps=12, **options), ds.Unmask(steps=12))
    )
    assert (ours.tokens, ours.stats) == (unmask.tokens, unmask.stats)


def test_a_loop_mends_what_was_filled_in_the_dark() -> None:
    """The first step fills the ends with 7; only a full text tells the model that they should be 4."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        full = (ids != 2).all(-1, keepdim=True)
        logits = torch.zeros(*ids.shape, 16)
        logits[..., 7] = torch.where(full, 0.0, 5.0 - 0.1 * positions)
        logits[..., 4] = torch.where(full, 6.0, 0.0)
        return logits

    model = scripted_model(rule)
    out = ds.Sampler(model, ds.ProSeCo(steps=4), "all").generate([[9]], 8, record=True)
    assert out.tokens == [[4] * 8]
    # steps 2 and 4 loop twice each: the draft of 7s becomes 4s, which stay
    assert (out.stats[0].nfe, out.stats[0].forced) == (4 + 2 + 2, False)
    assert out.trace is not None
    assert {event.reason for event in out.trace[0] if event.kind == "replace"} == {"corrected"}
    assert ds.Sampler(model, ds.Unmask(steps=4), "all").generate([[9]], 8).tokens == [[7] * 8]


def test_a_loop_ends_as_soon_as_nothing_changes() -> None:
    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        return 9.0 * torch.nn.functional.one_hot(3 + positions % 5, 16)

    for budget in (1, 8):
        out = ds.Sampler(scripted_model(rule), ds.ProSeCo(steps=4, max_corrections=budget), "all").generate([[9]], 8)
        assert out.stats[0].nfe == 4 + 2
