"""What a step decides at the very edge of its options, on predictions made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.decoding.step import Settings, decide
from dlmsample.models.attention.base import Features
from dlmsample.policies.base import Policy
from dlmsample.policies.fill import even_split
from dlmsample.types import Block, Prediction, Update
from tests.test_protocol import _Never
from tests.toys import EOS, MASK, VOCAB, scripted_model


def block_of(tokens: list[int], step: int = 0) -> Block:
    count = torch.tensor([len(tokens)])
    return Block(
        tokens=torch.tensor([tokens]),
        editable=torch.ones(1, len(tokens), dtype=torch.bool),
        step=torch.tensor([step]),
        start=0 * count,
        stop=count,
        total=count,
        key=count,
        eos_ids=torch.tensor([EOS]),
        mask_id=MASK,
    )


def pred_of(
    tokens: list[int], prob: list[float], current: list[float] | None = None, **more: list[float]
) -> Prediction:
    p, q = torch.tensor([prob]), torch.tensor([prob if current is None else current])
    rest = {name: torch.tensor([values]) for name, values in more.items()}
    return Prediction(torch.tensor([tokens]), p, 1 / p - 1, q, 1 / q - 1, **rest)


def stepped(policy: Policy, block: Block, pred: Prediction, state: Any = None) -> tuple[Any, Update]:
    return policy.step(policy.init(block) if state is None else state, block, pred)


def after(policy: Policy, block: Block, pred: Prediction) -> list[int]:
    return stepped(policy, block, pred)[1].tokens[0].tolist()


@pytest.mark.parametrize("policy", [ds.Unmask(threshold=0.5), ds.T2T(fill_threshold=0.5), ds.T2M(fill_threshold=0.5)])
def test_a_fill_threshold_is_strict(policy: Policy) -> None:
    assert after(policy, block_of([MASK] * 3), pred_of([5, 6, 7], [0.5, 0.75, 0.5])) == [MASK, 6, MASK]


def test_as_many_as_must_be_filled_are_enough() -> None:
    """Two are sure and two must be filled: what the score would rank first is not looked at."""
    policy = ds.Unmask(threshold=0.5, min_commit=2, score="margin")
    pred = pred_of([5, 6, 7, 8], [0.75, 0.75, 0.25, 0.25], margin=[0.0, 0.0, 0.25, 0.25])
    assert after(policy, block_of([MASK] * 4), pred) == [5, 6, MASK, MASK]


def test_an_entropy_bound_may_be_reached_exactly() -> None:
    pred = pred_of([5, 6, 7], [0.5] * 3, entropy=[0.5, 0.5, 0.5])
    assert after(ds.Unmask(entropy_bound=0.5), block_of([MASK] * 3), pred) == [5, 6, MASK]


def test_a_small_block_gets_one_step_of_a_budget_at_least() -> None:
    """Three of twenty positions and two steps: a share below one."""
    block = block_of([MASK] * 3)._replace(total=torch.tensor([20]))
    assert after(ds.Unmask(steps=2), block, pred_of([5, 6, 7], [0.5] * 3)) == [5, 6, 7]


def test_forwards_of_a_full_block_are_counted_before_they_are_made() -> None:
    """One is allowed, and this was it, though an edit fired."""
    _, update = stepped(ds.T2T(max_post_steps=1), block_of([8]), pred_of([5], [0.875]))
    assert (update.tokens.tolist(), update.done.tolist()) == ([[5]], [True])
    _, update = stepped(ds.T2T(max_post_steps=2), block_of([8]), pred_of([5], [0.875]))
    assert update.done.tolist() == [False]


def test_an_edit_threshold_is_strict() -> None:
    policy = ds.T2T(edit_threshold=0.5)
    assert after(policy, block_of([8, 9, MASK]), pred_of([5, 6, 7], [0.5, 0.75, 0.75])) == [8, 6, 7]


def test_an_edit_needs_another_token() -> None:
    """The model says what stands there: nothing fires, and a block seen without masks is done."""
    _, update = stepped(ds.T2T(), block_of([8, 9]), pred_of([8, 9], [0.875, 0.875]))
    assert update.done.tolist() == [True]


def test_low_probability_is_strict() -> None:
    policy = ds.T2M(threshold=0.5, max_ratio=1.0)
    pred = pred_of([8, 9, 7], [0.5, 0.25, 0.25], [0.5, 0.25, 0.5])
    assert after(policy, block_of([8, 9, 7]), pred) == [8, MASK, 7]


def test_a_drop_is_strict() -> None:
    policy = ds.T2M(detector="logit_diff", threshold=0.25, max_ratio=1.0)
    state, update = stepped(policy, block_of([MASK, MASK]), pred_of([8, 9], [0.75, 0.75]))
    assert update.tokens.tolist() == [[8, 9]]
    _, update = stepped(policy, block_of([8, 9], step=1), pred_of([8, 9], [0.5, 0.25], [0.5, 0.25]), state)
    assert update.tokens.tolist() == [[8, MASK]]


def test_the_least_probable_is_reset_first_and_no_more_than_the_share() -> None:
    """A share of 0.5 of three tokens is one."""
    policy = ds.T2M(threshold=0.5, max_ratio=0.5)
    pred = pred_of([8, 9, 7], [0.25] * 3, [0.25, 0.125, 0.375])
    assert after(policy, block_of([8, 9, 7]), pred) == [8, MASK, 7]


def test_d3im_is_done_at_its_last_step_and_not_before() -> None:
    policy, pred = ds.D3IM(steps=2), pred_of([5, 6, 7, 8], [0.9, 0.8, 0.7, 0.6])
    first, last = (stepped(policy, block_of([MASK] * 4, step), pred)[1] for step in (0, 1))
    assert (first.done.tolist(), last.done.tolist()) == ([False], [True])
    assert last.tokens[0].tolist() == [5, 6, 7, 8]


def test_d3im_that_revises_nothing_is_done_when_all_is_filled() -> None:
    pred = pred_of([5, 6, 7, 8], [0.9, 0.8, 0.7, 0.6])
    full, open_ = block_of([5, 6, 7, 8], 1), block_of([5, 6, 7, MASK], 1)
    frozen = ds.D3IM(steps=4, t2t=False, t2m=False)
    assert [stepped(frozen, block, pred)[1].done.item() for block in (full, open_)] == [True, False]
    assert not stepped(ds.D3IM(steps=4), full, pred)[1].done.item()


def test_d3im_may_draw_an_eos_at_its_last_step() -> None:
    policy = ds.D3IM(steps=2, eos="logit_nonfinal")
    for step, banned in ((0, True), (1, False)):
        block = block_of([MASK] * 4, step)
        asked = policy.asks(policy.init(block), block).no_eos
        assert asked is not None
        assert asked.tolist() == [banned]


def test_an_even_split_gives_what_is_left_over_to_the_first_steps() -> None:
    counts = [even_split(torch.tensor([5]), torch.tensor([3]), torch.tensor([step])) for step in range(4)]
    assert [[int(number) for number in pair] for pair in counts] == [[2, 2], [2, 4], [1, 5], [1, 5]]


def test_where_nothing_is_edited_a_block_is_done_as_soon_as_it_is_full() -> None:
    block, pred = block_of([5, 6, MASK]), pred_of([5, 6, 7], [0.9] * 3)
    assert stepped(ds.T2T(edit_threshold=None), block, pred)[1].done.tolist() == [True]
    assert stepped(ds.T2T(edit_threshold=0.5), block, pred)[1].done.tolist() == [False]


@pytest.mark.parametrize(("since", "forced"), [(0, True), (3, True), (4, False)])
def test_the_bound_of_a_block_counts_from_the_step_at_which_it_was_lengthened(since: int, forced: bool) -> None:
    """Of the step with index 5: the sixth since the block began, the third since step 3, the second since step 4."""
    policy, block = _Never(), block_of([MASK, MASK], step=5)
    settings = Settings(policy, MASK, torch.tensor([EOS]), 0.0, 1.0, None, cached=True)
    logits = torch.zeros(1, 2, VOCAB).index_fill(2, torch.tensor(7), 1.0)
    decided = decide(policy.init(block), block, Features(logits, None), settings, torch.tensor([True]), since=since)
    assert decided.forced.tolist() == decided.done.tolist() == [forced]
    assert decided.tokens.tolist() == [[7, 7] if forced else [MASK, MASK]]


def test_an_eos_of_the_prompt_ends_no_answer() -> None:
    """It stands in the same block as the answer's beginning, and the answer goes on into the next block."""
    model = scripted_model(lambda ids, places: torch.zeros(*ids.shape, 16).index_fill(2, torch.tensor(7), 1.0))
    model = replace(model, facts=replace(model.facts, block_alignment="absolute"))
    out = ds.Sampler(model, ds.Unmask(tokens_per_step=4)).generate([[5, EOS, 6]], max_new_tokens=13)
    assert out.tokens == [[7] * 13]
    assert out.stats[0].finish_reason == "length"


@pytest.mark.parametrize(
    "policy", [ds.D3IM(steps=2), ds.D3IM(steps=2, t2m=False), ds.Unmask(steps=2, eos="confidence")]
)
def test_an_eos_comes_after_what_float32_takes_for_impossible(policy: Policy) -> None:
    """Infinite odds against an ordinary candidate are large odds, an EOS comes after all of them."""
    assert after(policy, block_of([MASK, MASK]), pred_of([EOS, 9], [0.9, 0.0])) == [MASK, 9]


def test_an_eos_comes_after_a_standing_token_that_the_model_rules_out() -> None:
    policy = ds.D3IM(steps=2, t2t=False)
    assert after(policy, block_of([MASK, 7]), pred_of([EOS, 9], [0.9, 0.5], current=[0.5, 0.0])) == [MASK, 7]


def test_p2_takes_nothing_back_at_eta_0() -> None:
    block = block_of([MASK, 7], step=1)
    assert after(ds.P2(steps=4, eta=0.0), block, pred_of([9, 9], [1.0, 0.5])) == [MASK, 7]


def test_a_standing_eos_comes_after_ordinary_candidates() -> None:
    """Without T2T what stands is what is ranked, and not what the model would have there instead."""
    policy = ds.D3IM(steps=2, t2t=False)
    pred = pred_of([9, 8], [0.9, 0.1], current=[0.9, 0.5])
    assert after(policy, block_of([EOS, MASK]), pred) == [MASK, 8]
