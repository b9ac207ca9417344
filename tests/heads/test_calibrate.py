"""AUC, the offset and the counts at 0.5, against loops over all thresholds and pairs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmsample.heads import auc, choose_offset, precision_recall

CASES = st.lists(
    st.tuples(st.one_of(st.integers(-3, 3).map(float), st.floats(-20, 20, width=32)), st.booleans()),
    min_size=1,
    max_size=30,
)


def f1_at(logits: list[float], wrong: list[bool], threshold: float) -> float:
    hits = sum(w for x, w in zip(logits, wrong, strict=True) if x > threshold)
    said = sum(x > threshold for x in logits)
    return 2 * hits / max(said + sum(wrong), 1)


@settings(max_examples=200, deadline=None)
@given(CASES)
def test_the_offset_has_the_best_f1_of_all(cases: list[tuple[float, bool]]) -> None:
    logits, wrong = [x for x, _ in cases], [w for _, w in cases]
    tensor, truth = torch.tensor(logits), torch.tensor(wrong)
    offset = choose_offset(tensor, truth)
    got = precision_recall(tensor + offset, truth)
    rates = {t: f1_at(logits, wrong, t) for t in [*logits, min(logits) - 1]}
    best = max(rates.values())
    assert got.f1 == pytest.approx(best)
    fewest = max(t for t, rate in rates.items() if rate >= best - 1e-9)  # ties: the higher threshold
    assert got.flagged * len(logits) == pytest.approx(sum(x > fewest for x in logits))


def test_the_cut_is_half_way() -> None:
    logits = torch.tensor([[4.0, 1.0], [-3.0, -5.0]])
    assert choose_offset(logits, logits > 0) == 1.0
    assert choose_offset(logits, logits > 2) == -2.5
    assert choose_offset(logits, logits > -9) == 6.0, "all flagged: 1 below the lowest"
    assert choose_offset(logits.half(), logits > 0) == 1.0


def test_equal_logits_are_flagged_together() -> None:
    logits, wrong = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([True, False, False, False])
    found = precision_recall(logits + choose_offset(logits, wrong), wrong)
    assert (found.precision, found.recall, found.flagged) == (1 / 3, 1.0, 0.75)


def test_neighbouring_floats() -> None:
    low = torch.tensor(1.0)
    logits = torch.stack([torch.nextafter(low, torch.tensor(2.0)), low])
    wrong = torch.tensor([True, False])
    assert precision_recall(logits + choose_offset(logits, wrong), wrong).f1 == 1.0


def test_one_class_only() -> None:
    logits = torch.tensor([3.0, -1.0])
    right, wrong = torch.tensor([False, False]), torch.tensor([True, True])
    assert precision_recall(logits + choose_offset(logits, right), right).flagged == 0
    assert precision_recall(logits + choose_offset(logits, wrong), wrong).flagged == 1
    assert math.isnan(auc(logits, right))
    assert math.isnan(auc(logits, wrong))
    assert precision_recall(torch.zeros(0), torch.zeros(0, dtype=torch.bool)) == (0, 0, 0, 0)


@settings(max_examples=200, deadline=None)
@given(CASES)
def test_auc_counts_pairs(cases: list[tuple[float, bool]]) -> None:
    bad, good = [x for x, w in cases if w], [x for x, w in cases if not w]
    got = auc(torch.tensor([x for x, _ in cases]), torch.tensor([w for _, w in cases]))
    if bad and good:
        pairs = [(b > g) + 0.5 * (b == g) for b in bad for g in good]
        assert got == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert math.isnan(got)


@pytest.mark.parametrize("function", [auc, choose_offset, precision_recall])
def test_bad_inputs(function: object) -> None:
    assert callable(function)
    for logits, wrong, says in (
        (torch.zeros(3), torch.zeros(2, dtype=torch.bool), "bool tensor of that shape"),
        (torch.zeros(3), torch.zeros(3), "bool tensor"),
        (torch.tensor([1.0, float("nan")]), torch.tensor([True, False]), "not finite"),
    ):
        with pytest.raises(ValueError, match=says):
            function(logits, wrong)
    with pytest.raises(ValueError, match="no position"):
        choose_offset(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
