"""The oracle against examples worked by hand from the specification, not by running it."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from dlmsample.rng import fold, gumbel, uniform
from tests.oracle import (
    DSC,
    Block,
    attention_mask,
    choose_candidate,
    decode,
    layout,
    quota,
    read_position,
    share_of_steps,
)

A, B, C, D, E, F, EOS, M = range(8)
VOCAB = 8
INF = math.inf


def logits_from(probs: dict[int, float]) -> torch.Tensor:
    """The dictated probabilities; what is left is spread evenly over the other ids.

    The mask id always has the largest logit: a correct oracle never looks at it.
    """
    others = [v for v in range(VOCAB) if v not in probs and v != M]
    left = 1.0 - sum(probs.values())
    spread = left / len(others) if left > 1e-9 else 0.0
    full = [probs.get(v, spread) for v in range(M)]
    return torch.tensor([math.log(p) if p > 0 else -INF for p in full] + [20.0])


class Table:
    """A fake module: ``table[answer]`` lists the probabilities of every answer position for that canvas.

    A canvas that is not in the table keeps what stands (0.99) and wants A (0.99) at masks.
    """

    def __init__(self, table: dict, prompt: list[int]):
        self.table, self.prompt, self.calls = table, len(prompt), []

    def __call__(self, input_ids, position_ids, attention_mask):
        self.calls.append((input_ids, position_ids, attention_mask))
        canvas = input_ids[0].tolist()
        answer = tuple(canvas[self.prompt :])
        default = [{A if token == M else token: 0.99} for token in answer]
        rows = [{A: 0.99}] * self.prompt + self.table.get(answer, default)
        return SimpleNamespace(logits=torch.stack([logits_from(r) for r in rows])[None])


def fake(table=None, prompt=(), attention="bidirectional", alignment="prompt", block_length=4):
    return SimpleNamespace(
        module=Table(table or {}, list(prompt)),
        mask_id=M,
        eos_ids=(EOS,),
        attention=attention,
        block_alignment=alignment,
        block_length=block_length,
    )


def run(table, length, policy, options, prompt=(), block_length="all", **rest):
    model = fake(table, prompt)
    return decode(model, list(prompt), policy, options, block_length=block_length, max_new_tokens=length, **rest)


def afters(result):
    return [step.after for step in result.steps]


def always(*rows):
    """A module that predicts the same at every forward, whatever the canvas."""

    class Everything(dict):
        def get(self, answer, default):
            return list(rows)

    return Everything(x=1)


# ----------------------------------------------------------------------------------------- numbers and layout


def read(logits, standing, excluded=()):
    key = torch.tensor(0)
    return read_position(torch.tensor(logits), standing, 0, key, 3, excluded, 0.0, 1.0, None)


def test_numbers_of_one_position():
    logits = [0.0, math.log(2), math.log(3), 9.0]  # p = 1/6, 2/6, 3/6; the last is the mask id
    at = read(logits, standing=0)
    assert at.token == 2
    assert at.odds == pytest.approx(1.0)
    assert at.prob == pytest.approx(1 / 2)
    assert at.current_odds == pytest.approx(5.0)
    assert at.current_prob == pytest.approx(1 / 6)
    assert at.margin == pytest.approx(1 / 6)
    assert at.entropy == pytest.approx(math.log(6) - (2 * math.log(2) + 3 * math.log(3)) / 6)
    assert read(logits, standing=3).current_prob is None


def test_excluded_ids_leave_the_softmax():
    at = read([0.0, math.log(2), math.log(3), 9.0], standing=2, excluded=(2,))
    assert (at.token, at.current_odds, at.current_prob) == (1, INF, 0.0)
    assert at.prob == pytest.approx(2 / 3)


def test_ties_between_tokens_go_to_the_lower_id():
    assert read([0.0, 1.0, 1.0, 9.0], standing=3).token == 1


def test_odds_still_rank_where_float32_probabilities_tie():
    sure, surer = read([0.0, 0.0, 30.0, 9.0], 3), read([0.0, 0.0, 31.0, 9.0], 3)
    assert sure.prob == surer.prob == 1.0
    assert surer.odds < sure.odds


def test_quota_gives_the_remainder_to_the_earliest_steps():
    assert [quota(7, 3, s) for s in range(3)] == [3, 2, 2]
    assert [quota(2, 4, s) for s in range(4)] == [1, 1, 0, 0]


@pytest.mark.parametrize(("steps", "shares"), [(10, [4, 4, 2]), (3, [1, 1, 1]), (2, [1, 1, 1]), (5, [2, 2, 1])])
def test_a_budget_is_shared_in_proportion(steps, shares):
    # T = 20 in blocks of 8, 8, 4. For 5: floor(2.0) = 2, floor(4.0) - 2 = 2, 5 - 4 = 1.
    # For 2: max(1, floor(0.8)) = 1, floor(1.6) - 0 = 1, 2 - 1 = 1.
    assert [share_of_steps(steps, a, b, 20) for a, b in [(0, 8), (8, 16), (16, 20)]] == shares


@pytest.mark.parametrize(
    ("alignment", "block_length", "blocks", "block_of"),
    [
        ("absolute", 4, [(4, 8), (8, 11)], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]),
        ("prompt", 4, [(5, 9), (9, 11)], [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]),
        ("absolute", "all", [(5, 11)], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]),
        ("absolute", 5, [(5, 10), (10, 11)], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]),
    ],
)
def test_layout_of_five_prompt_and_six_answer_positions(alignment, block_length, blocks, block_of):
    assert layout(5, 6, alignment, block_length) == (blocks, block_of)


def test_layout_of_an_empty_prompt():
    assert layout(0, 3, "absolute", 2) == ([(0, 2), (2, 3)], [0, 0, 1])
    assert layout(0, 3, "prompt", 2) == ([(0, 2), (2, 3)], [1, 1, 2])


def test_what_the_module_is_given():
    model = fake({}, [B, C, D], "block_causal", "absolute", block_length=2)
    result = decode(model, [B, C, D], "unmask", {}, block_length=None, max_new_tokens=2)
    ids, positions, mask = model.module.calls[0]
    assert ids.tolist() == [[B, C, D, M, M]]
    assert positions.tolist() == [[0, 1, 2, 3, 4]]
    assert mask.dtype == torch.bool
    two, four, five = [True] * 2 + [False] * 3, [True] * 4 + [False], [True] * 5
    assert mask[0, 0].tolist() == [two, two, four, four, five]
    assert attention_mask("bidirectional", [0, 1]).tolist() == [[[[True, True], [True, True]]]]
    # the prompt's tail D sits in the first active block and is never touched
    assert [(s.block, s.step, s.before, s.after) for s in result.steps] == [
        (0, 0, [D, M], [D, A]),
        (1, 0, [M], [A]),
    ]
    assert result.canvas == [B, C, D, A, A]


# ----------------------------------------------------------------------------------------------------- Unmask


def test_unmask_one_per_step_most_confident_first_ties_to_the_lower_position():
    result = run(always({A: 0.5}, {B: 0.9}, {A: 0.5}, {D: 0.7}), 4, "unmask", {})
    assert afters(result) == [[M, B, M, M], [M, B, M, D], [A, B, M, D], [A, B, A, D]]
    assert (result.tokens, result.finish_reason, result.forced) == ([A, B, A, D], "length", False)
    assert result.nfe_cached == 4


def test_unmask_steps_splits_the_quota():
    rows = always({A: 0.9}, {A: 0.8}, {A: 0.7}, {A: 0.6}, {A: 0.5})
    three = [[A, A, M, M, M], [A, A, A, A, M], [A] * 5]
    assert afters(run(rows, 5, "unmask", {"steps": 3})) == three
    assert len(run(rows, 5, "unmask", {"steps": 9}).steps) == 5  # nfe = min(S, n)
    assert [s.count(A) for s in afters(run(rows, 5, "unmask", {"tokens_per_step": 3}))] == [3, 5]


def test_unmask_steps_over_blocks():
    # T = 5 in blocks of 2, 2, 1 and N = 3: floor(6/5) = 1, floor(12/5) - 1 = 1, 3 - 2 = 1
    result = run({}, 5, "unmask", {"steps": 3}, block_length=2)
    assert [(s.block, s.step) for s in result.steps] == [(0, 0), (1, 0), (2, 0)]
    # each forward of blocks 0 and 1 saw masks, so each needs one write; the last never does
    assert result.nfe_cached == 3 + 2


def test_unmask_threshold_with_fallback():
    rows = always({A: 0.95}, {B: 0.6}, {C: 0.9}, {D: 0.4})
    result = run(rows, 4, "unmask", {"threshold": 0.7})
    assert afters(result) == [[A, M, C, M], [A, B, C, M], [A, B, C, D]]
    result = run(rows, 4, "unmask", {"threshold": 0.7, "min_commit": 2})
    assert afters(result) == [[A, M, C, M], [A, B, C, D]]
    result = run(rows, 4, "unmask", {"threshold": 0.7, "min_commit": 3})
    assert afters(result) == [[A, B, C, M], [A, B, C, D]]


def test_thresholds_are_strict():
    half = {A: 0.5, B: 0.5}  # c is exactly 0.5
    assert len(run(always(half, half), 2, "unmask", {"threshold": 0.5}).steps) == 2
    assert len(run(always(half, half), 2, "unmask", {"threshold": 0.4999}).steps) == 1


def test_unmask_scores():
    # confidence 0.5 and 0.4, margin 0.1 and 0.3
    rows = always({A: 0.5, B: 0.4}, {C: 0.4, B: 0.1})
    assert afters(run(rows, 2, "unmask", {}))[0] == [A, M]
    assert afters(run(rows, 2, "unmask", {"score": "margin"}))[0] == [M, C]
    # confidence 0.5 and 0.6, entropy ln 2 = 0.69 and 1.39
    rows = always({A: 0.5, B: 0.5}, {C: 0.6})
    assert afters(run(rows, 2, "unmask", {}))[0] == [M, C]
    assert afters(run(rows, 2, "unmask", {"score": "entropy"}))[0] == [A, M]


def test_unmask_random_order_is_the_shared_random_number():
    rows = always(*[{A: 0.9}] * 4)
    seen = set()
    for row_key in range(20):
        first = afters(run(rows, 4, "unmask", {"score": "random"}, row_key=row_key))[0].index(A)
        key = fold(torch.tensor(row_key), 0, 0)  # block 0, step 0
        draws = [uniform(fold(key, 1, i)).item() for i in range(4)]
        assert draws[first] == min(draws)
        seen.add(first)
    assert seen == {0, 1, 2, 3}


def test_unmask_entropy_bound():
    # entropies ln 2, 0, ln 4, ln 2: order 1, 0, 3, 2, sums of the previous ones 0, 0, 0.69, 1.39
    quarter = {A: 0.25, B: 0.25, C: 0.25, D: 0.25}
    rows = always({A: 0.5, B: 0.5}, {A: 1.0}, quarter, {A: 0.5, B: 0.5})
    result = run(rows, 4, "unmask", {"entropy_bound": 0.7})
    assert afters(result) == [[A, A, M, A], [A, A, A, A]]
    result = run(rows, 4, "unmask", {"entropy_bound": 0.0})
    assert afters(result) == [[A, A, M, M], [A, A, M, A], [A, A, A, A]]


# -------------------------------------------------------------------------------------------------------- T2T

T2T_TABLE = {
    (M, M, M): [{A: 0.9}, {B: 0.6}, {C: 0.5}],  # fills 0
    (A, M, M): [{D: 0.6}, {B: 0.8}, {C: 0.75}],  # fills 1 and 2, edits 0
    (D, B, C): [{A: 0.45}, {B: 0.9}, {E: 0.51}],  # edits 2; 0.45 is not above 0.5
    (D, B, E): [{A: 0.45}, {B: 0.9}, {E: 0.4}],  # nothing: done
    (A, B, E): [{A: 0.3}, {B: 0.9}, {E: 0.4}],
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[A, M, M], [D, B, C], [D, B, E], [D, B, E]]),
        ({"max_post_steps": 1}, [[A, M, M], [D, B, C], [D, B, E]]),
        ({"max_post_steps": 0}, [[A, M, M], [D, B, C]]),
        ({"edit_threshold": None}, [[A, M, M], [A, B, C]]),
        ({"edit_threshold": 0.0}, [[A, M, M], [D, B, C], [A, B, E], [A, B, E]]),
        ({"edit_threshold": 0.9}, [[A, M, M], [A, B, C], [A, B, C]]),
        # 0.9 fills at 0.85; then 0.8 and 0.75 do not, so 1 alone; (D, B, M) is not in the table: 2 becomes A
        ({"fill_threshold": 0.85}, [[A, M, M], [D, B, M], [D, B, A], [D, B, A]]),
    ],
)
def test_t2t(options, expected):
    result = run(T2T_TABLE, 3, "t2t", options, prompt=[F])
    assert afters(result) == expected


def test_t2t_post_steps_count_over_the_block_when_tokens_flip_for_ever():
    flip = {(A, A): [{B: 0.9}, {B: 0.9}], (B, B): [{A: 0.9}, {A: 0.9}]}
    result = run(flip, 2, "t2t", {})
    assert len(result.steps) == 1 + 16
    assert result.tokens == [A, A]  # an even number of flips


def test_t2t_cache_writes():
    # left by Done: the last forward saw the final tokens, no write
    assert run({}, 4, "t2t", {}, block_length=2).nfe_cached == 4
    # left by max_post_steps: the last forward saw masks; one write for the first block
    result = run({}, 4, "t2t", {"max_post_steps": 0}, block_length=2)
    assert (len(result.steps), result.nfe_cached) == (2, 3)


# -------------------------------------------------------------------------------------------------------- T2M

LOW_PROB_TABLE = {
    (M, M, M, M): [{A: 0.9}, {B: 0.8}, {C: 0.6}, {D: 0.5}],  # fills 0, 1
    (A, B, M, M): [{A: 0.2, C: 0.3}, {B: 0.1, C: 0.3}, {C: 0.6}, {D: 0.65}],  # fallback 3; q .2 .1: remask 1
    (A, M, M, D): [{A: 0.2, C: 0.3}, {E: 0.9}, {C: 0.9}, {D: 0.05, E: 0.5}],  # fills 1, 2; remask 3
    (A, E, C, M): [{A: 0.2, C: 0.3}, {E: 0.01, B: 0.9}, {C: 0.4}, {F: 0.9}],  # 1 has had its remask: remask 0
    (M, E, C, F): [{A: 0.9}, {E: 0.05}, {C: 0.4}, {F: 0.9}],  # fills 0; the forward saw a mask: not done
    (A, E, C, F): [{A: 0.1}, {E: 0.05}, {C: 0.1, B: 0.2}, {F: 0.9}],  # first remasks 2, later nothing is left
    (A, E, M, F): [{A: 0.1}, {E: 0.05}, {C: 0.9}, {F: 0.9}],
}


def test_t2m_low_prob():
    result = run(LOW_PROB_TABLE, 4, "t2m", {})
    assert afters(result) == [
        [A, B, M, M],
        [A, M, M, D],
        [A, E, C, M],
        [M, E, C, F],
        [A, E, C, F],
        [A, E, M, F],
        [A, E, C, F],
        [A, E, C, F],
    ]
    # two forwards saw the block free of masks (the 6th and the 8th), counted over the whole block
    assert len(run(LOW_PROB_TABLE, 4, "t2m", {"max_post_steps": 1}).steps) == 7
    assert len(run(LOW_PROB_TABLE, 4, "t2m", {"max_post_steps": 0}).steps) == 5


def test_t2m_caps_of_a_step():
    # |E| = 2 at the second step: max(1, floor(0.25 * 2)) = 1, with ratio 1 it is 2, the paper's floor is 0
    assert afters(run(LOW_PROB_TABLE, 4, "t2m", {}))[1] == [A, M, M, D]
    assert afters(run(LOW_PROB_TABLE, 4, "t2m", {"max_ratio": 1.0}))[1] == [M, M, M, D]
    assert afters(run(LOW_PROB_TABLE, 4, "t2m", {"min_per_step": 0}))[1] == [A, B, M, D]
    # q_1 = 0.1 < 0.15 only
    assert afters(run(LOW_PROB_TABLE, 4, "t2m", {"max_ratio": 1.0, "threshold": 0.15}))[1] == [A, M, M, D]


def test_t2m_without_remasks_is_threshold_unmask():
    plain = run(LOW_PROB_TABLE, 4, "unmask", {"threshold": 0.7})
    off = run(LOW_PROB_TABLE, 4, "t2m", {"max_remasks": 0})
    assert afters(off) == afters(plain) == [[A, B, M, M], [A, B, M, D], [A, B, A, D]]
    assert off.nfe_cached == plain.nfe_cached


def test_t2m_max_remasks_counts_a_position_in_the_block():
    # the token is doubted whenever it stands, and placed surely whenever masked
    doubt = {(M,): [{A: 0.9}], (A,): [{A: 0.1, B: 0.2}]}
    for most in (1, 2, 3):
        result = run(doubt, 1, "t2m", {"max_remasks": most})
        # fill, (remask, fill) * most, and one last look
        assert afters(result) == [[A]] + [[M], [A]] * most + [[A]]


def test_t2m_t2t_remask_takes_the_surest_disagreement_first():
    table = {
        (M, M, M, M): [{A: 0.9}, {B: 0.9}, {C: 0.9}, {D: 0.9}],
        (A, B, C, D): [{A: 0.99}, {E: 0.92}, {E: 0.95}, {E: 0.95}],
    }
    options = {"detector": "t2t_remask"}
    assert afters(run(table, 4, "t2m", options))[1] == [A, B, M, D]  # a tie: the lower position
    assert afters(run(table, 4, "t2m", {**options, "max_ratio": 0.5}))[1] == [A, B, M, M]
    assert afters(run(table, 4, "t2m", {**options, "max_ratio": 1.0}))[1] == [A, M, M, M]
    assert afters(run(table, 4, "t2m", {**options, "max_ratio": 1.0, "threshold": 0.93}))[1] == [A, B, M, M]


def test_t2m_logit_diff():
    table = {
        # fills 0, 1; the first step abstains; kept .8 .9 - -
        (M, M, M, M): [{A: 0.8}, {B: 0.9}, {C: 0.4}, {D: 0.3}],
        # drops .35 and .40: one remask, the larger; fills 2; kept .45 - .75 -
        (A, B, M, M): [{A: 0.45}, {B: 0.5}, {C: 0.75}, {D: 0.2}],
        # 0 drops .25 from the *last* step (.6 in all: not enough); 2 rises; fills 1; kept .2 .95 .99 -
        (A, M, C, M): [{A: 0.2}, {E: 0.95}, {C: 0.99}, {D: 0.2}],
        # first: 1 drops .35 but has had its remask, 2 drops .49: remask; fills 3; kept .01 .6 - .8
        # second: 2 drops .4 but has had its remask; fills 3
        (A, E, C, M): [{A: 0.01}, {E: 0.6}, {C: 0.5}, {D: 0.8}],
        # 3 drops .4: remask; fills 2
        (A, E, M, D): [{A: 0.01}, {E: 0.6}, {C: 0.9}, {D: 0.4}],
    }
    result = run(table, 4, "t2m", {"detector": "logit_diff"})
    assert afters(result) == [
        [A, B, M, M],
        [A, M, C, M],
        [A, E, C, M],
        [A, E, M, D],
        [A, E, C, M],
        [A, E, C, D],
        [A, E, C, D],
    ]


# ------------------------------------------------------------------------------------------------------- D3IM

D3IM_TABLE = {
    (M, M, M, M): [{A: 0.9}, {B: 0.5}, {C: 0.8}, {D: 0.6}],
    (A, M, C, M): [{E: 0.3}, {B: 0.6}, {C: 0.2, F: 0.5}, {D: 0.7}],
    (A, M, M, M): [{E: 0.4, A: 0.3}, {B: 0.5}, {C: 0.8}, {D: 0.6}],
}


def test_d3im_overwrites_at_the_final_step():
    assert afters(run(D3IM_TABLE, 4, "d3im", {"steps": 2})) == [[A, M, C, M], [E, B, F, D]]
    assert afters(run(D3IM_TABLE, 4, "d3im", {"steps": 2, "t2m": False})) == [[A, M, C, M], [E, B, F, D]]
    assert afters(run(D3IM_TABLE, 4, "d3im", {"steps": 2, "t2t": False})) == [[A, M, C, M], [A, B, C, D]]


@pytest.mark.parametrize(
    ("channels", "second"),
    [
        ({}, [M, M, C, D]),  # k = 2: 0 is demoted
        ({"t2m": False}, [E, M, C, M]),  # 0 keeps its place and is overwritten; one masked position more
        ({"t2t": False}, [M, M, C, D]),  # A at 0.3 loses to 0.8 and 0.6
        ({"t2t": False, "t2m": False}, [A, M, C, M]),
    ],
)
def test_d3im_channels_at_the_second_of_four_steps(channels, second):
    result = run(D3IM_TABLE, 4, "d3im", {"steps": 4, **channels})
    assert afters(result)[:2] == [[A, M, M, M], second]
    assert len(result.steps) == 4
    assert M not in result.canvas


def test_d3im_without_channels_is_unmask():
    for steps in (1, 2, 3, 4, 7):
        off = run(D3IM_TABLE, 4, "d3im", {"steps": steps, "t2t": False, "t2m": False, "eos": "none"})
        assert off.steps == run(D3IM_TABLE, 4, "unmask", {"steps": steps}).steps


def test_d3im_makes_all_its_forwards():
    result = run({}, 8, "d3im", {}, block_length=4)
    assert [s.block for s in result.steps] == [0] * 32 + [1] * 32
    assert result.nfe_cached == 64  # the last forward of the first block saw its final tokens
    assert len(run({}, 2, "d3im", {"steps": 5}).steps) == 5
    assert len(run({}, 2, "d3im", {"steps": 5, "t2t": False}).steps) == 5
    assert len(run({}, 2, "d3im", {"steps": 5, "t2m": False}).steps) == 5
    assert len(run({}, 2, "d3im", {"steps": 5, "t2t": False, "t2m": False}).steps) == 2


D3IM_EOS_TABLE = {
    (M, M, M): [{EOS: 0.9, A: 0.05}, {EOS: 0.8, B: 0.15}, {C: 0.3}],
    (M, M, C): [{EOS: 0.5}, {EOS: 0.9}, {C: 0.3}],
    (EOS, M, C): [{EOS: 0.6}, {B: 0.6}, {C: 0.9}],
    # without EOS: B is 0.15 / 0.2 = 0.75 in the first row below, A 0.5, C about 0.34
    (M, B, M): [{EOS: 0.6, A: 0.3}, {B: 0.9}, {C: 0.3}],
    (A, B, M): [{EOS: 0.6, A: 0.3}, {B: 0.9}, {C: 0.3}],
}


@pytest.mark.parametrize(
    ("eos", "expected"),
    [
        # EOS candidates wait; at k = 2 the only other one is not enough, then the lower position goes first
        ("confidence", [[M, M, C], [EOS, M, C], [EOS, B, C]]),
        ("logit_nonfinal", [[M, B, M], [A, B, M], [EOS, B, C]]),
        ("logit_all", [[M, B, M], [A, B, M], [A, B, C]]),
    ],
)
def test_d3im_eos(eos, expected):
    result = run(D3IM_EOS_TABLE, 3, "d3im", {"steps": 3, "eos": eos})
    assert afters(result) == expected
    assert result.tokens == ([A, B, C] if eos == "logit_all" else [])
    assert result.finish_reason == ("length" if eos == "logit_all" else "eos")


def test_d3im_eos_none():
    assert afters(run(D3IM_EOS_TABLE, 3, "d3im", {"steps": 3, "eos": "none"}))[0] == [EOS, M, M]


# -------------------------------------------------------------------------------------------------------- DSC

DSC_ROWS = ({A: 0.9}, {B: 0.8}, {C: 0.7}, {D: 0.6})


def test_dsc_scores_the_canvas_the_forward_saw_every_second_step():
    seen = []

    def head(key, tokens):
        seen.append(tokens)
        return [0.6, 0.9, 0.99, 0.99]  # 2 and 3 are masked when it looks

    result = run(always(*DSC_ROWS), 4, "dsc", {}, head=head)
    assert seen == [[A, B, M, M]]
    assert afters(result) == [[A, B, M, M], [M, M, C, D], [A, B, C, D]]


def test_dsc_threshold_is_strict():
    result = run(always(*DSC_ROWS), 4, "dsc", {}, head=lambda key, tokens: [0.5, 0.9, 0, 0])
    assert afters(result) == [[A, B, M, M], [A, M, C, D], [A, B, C, D]]


def test_dsc_takes_the_top_first_and_then_asks_the_buffer():
    options = {"stride": 1, "max_remasks": 1}  # H_max = 4 // 2
    result = run(always(*DSC_ROWS), 4, "dsc", options, head=lambda key, tokens: [0.9, 0.8, 0.7, 0.2])
    # H: - | 0 | 0 1 | the top one is 0, which is in H: nothing, although 2 is not in H
    assert afters(result) == [[A, B, M, M], [M, B, C, D], [A, M, C, D], [A, B, C, D]]


def test_dsc_stops_remasking_after_four_n():
    options = {"stride": 1, "max_remasks": 1, "buffer": 1}  # H forgets at once: 0 and 1 in turn
    result = run(always(*DSC_ROWS), 4, "dsc", options, head=lambda key, tokens: [0.9, 0.8, 0.7, 0.2])
    states = afters(result)
    assert states[:4] == [[A, B, M, M], [M, B, C, D], [A, M, C, D], [M, B, C, D]]
    assert sum(M in s for s in states[1:]) == 16
    assert len(states) == 1 + 16 + 1  # 4n + ceil(n / k), more than the printed ceil(5n / k) + 1 = 11
    assert states[-1] == [A, B, C, D]


def test_dsc_allowance_and_push_order():
    errors = [0.6, 0.9, 0.7, 0.8]
    block = Block([0, 1, 2, 3], M, (EOS,), 0, 4, 4, 4, lambda key, tokens: errors)
    rule = DSC(block, max_remasks=3)
    assert rule.choose_remasks(torch.tensor(0), [A, B, C, D]) == [1, 3, 2]
    assert list(rule.recent) == [3, 2]  # capacity 2: the first in is out
    rule = DSC(block, max_remasks=3)
    rule.remasks_left = 2
    assert rule.choose_remasks(torch.tensor(0), [A, B, C, D]) == [1, 3]
    assert rule.choose_remasks(torch.tensor(0), [A, B, C, D]) == []


def test_dsc_buffer_starts_afresh_with_each_block():
    options = {"stride": 1, "max_remasks": 1, "tokens_per_step": 1}  # H_max = 2 // 2
    result = run({}, 4, "dsc", options, block_length=2, head=lambda key, tokens: [0.9] * 2)
    one = [[A, M], [M, A], [A, M], [M, A]]
    # step 1 fills 1 and remasks 0; step 2 fills 0 and remasks 1 (H: 1); and so on until 4 * 2 remasks
    assert [s.after for s in result.steps if s.block == 0][:4] == one
    assert [s.after for s in result.steps if s.block == 1][:4] == one
    assert len(result.steps) == 2 * (1 + 8 + 1)


def test_dsc_random_scorer_is_the_shared_random_number():
    options = {"scorer": "random", "max_remasks": 1}
    for row_key in range(10):
        result = run(always(*DSC_ROWS), 4, "dsc", options, row_key=row_key)
        key = fold(torch.tensor(row_key), 0, 1)  # block 0, step 1, where 0 and 1 are visible
        draws = [uniform(fold(key, 2, i)).item() for i in range(2)]
        expected = [A, B, C, D]
        if max(draws) > 0.5:
            expected[draws.index(max(draws))] = M
        assert afters(result)[1] == expected


# ----------------------------------------------------------------------------------------- EOS stop, sampling


def test_the_row_stops_after_the_block_with_eos():
    table = {(M, M, M, M): [{A: 0.9}, {EOS: 0.9}, {C: 0.9}, {D: 0.9}]}
    result = run(table, 4, "unmask", {"threshold": 0.5}, block_length=2)
    assert (result.tokens, result.finish_reason) == ([A], "eos")
    assert result.canvas == [A, EOS, M, M]
    assert result.nfe_cached == 1  # stopped here, so nothing reads its cache


def test_eos_in_the_last_block_and_in_the_prompt():
    table = {(M, M, M, M): [{A: 0.9}, {B: 0.9}, {C: 0.9}, {EOS: 0.9}]}
    result = run(table, 4, "unmask", {"threshold": 0.5})
    assert (result.tokens, result.finish_reason) == ([A, B, C], "eos")
    model = fake({}, [EOS], "block_causal", "absolute", block_length=2)
    result = decode(model, [EOS], "unmask", {}, block_length=None, max_new_tokens=3)
    assert (result.tokens, result.finish_reason) == ([A, A, A], "length")


def frequencies(probs, temperature=1.0, top_p=1.0, top_k=None):
    row = torch.tensor([math.log(p) for p in probs])
    draws = Counter(
        choose_candidate(row, 0, torch.tensor(key * 7919), temperature, top_p, top_k) for key in range(1500)
    )
    return [draws[v] / 1500 for v in range(len(probs))]


@pytest.mark.parametrize(
    ("probs", "options", "expected"),
    [
        ([0.5, 0.3, 0.2], {}, [0.5, 0.3, 0.2]),
        ([0.5, 0.3, 0.2], {"temperature": 2.0}, [0.4154, 0.3218, 0.2627]),  # square roots over their sum
        ([0.5, 0.3, 0.2], {"top_k": 2}, [0.625, 0.375, 0]),
        ([0.4, 0.3, 0.3], {"top_k": 2}, [0.4, 0.3, 0.3]),  # all that equal the k-th stay
        ([0.2, 0.5, 0.3], {"top_p": 0.6}, [0, 0.625, 0.375]),  # before the third: 0.8
        ([0.2, 0.5, 0.3], {"top_p": 0.45}, [0, 1, 0]),
        ([0.2, 0.5, 0.3], {"top_p": 0.0}, [0, 1, 0]),  # the first always stays
        # top-k first: 5/8 and 3/8 are left, and 0.625 is not below 0.6; the other way round both would stay
        ([0.2, 0.5, 0.3], {"top_k": 2, "top_p": 0.6}, [0, 1, 0]),
    ],
)
def test_sampling_frequencies(probs, options, expected):
    assert frequencies(probs, **options) == pytest.approx(expected, abs=0.05)  # 3.9 standard deviations


def test_samples_use_block_step_position_and_keep_the_untempered_confidence():
    probs = {A: 0.4, B: 0.3, C: 0.3}
    seen = set()
    for row_key in range(8):
        result = run(always(probs, probs), 2, "unmask", {}, block_length=1, temperature=1.0, row_key=row_key)
        for block in (0, 1):
            key = fold(torch.tensor(row_key), block, 0)
            row = logits_from(probs)
            noisy = [row[v] + gumbel(fold(key, 0, 0, v)) for v in (A, B, C)]
            assert result.tokens[block] == max((A, B, C), key=lambda v: noisy[v])
        seen.update(result.tokens)
    assert len(seen) > 1
    row = logits_from({A: 0.4})
    at = read_position(row, M, 0, torch.tensor(5), M, (), 9.0, 1.0, 1)
    assert (at.token, at.prob) == (A, pytest.approx(0.4))
