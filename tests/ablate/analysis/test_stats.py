"""Statistics against scipy, on known tables and random ones."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dlmsample.ablate.analysis.comparisons import compare
from dlmsample.ablate.analysis.configs import group
from dlmsample.ablate.analysis.figures import MeasuredConfig, measure_config
from dlmsample.ablate.analysis.stats import (
    common_denominator,
    effective_total,
    holm,
    paired_bootstrap,
    sign_flip_test,
    wilson,
)
from tests.ablate import fakes
from tests.ablate.fakes import answers, cell


@pytest.mark.parametrize(
    ("right", "total"), [(0, 1), (1, 1), (0, 500), (500, 500), (1, 3), (37, 50), (499, 500), (650, 1319)]
)
def test_wilson_is_scipys(right: int, total: int) -> None:
    wanted = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert wilson(right / total, total) == pytest.approx((wanted.low, wanted.high), rel=1e-12, abs=1e-15)


def test_wilson_holds_what_was_seen() -> None:
    assert wilson(0.0, 20)[0] == 0.0
    assert wilson(1.0, 20)[1] == 1.0
    with pytest.raises(ValueError, match="more than 0 trials"):
        wilson(0.5, 0)


def test_mcnemar_on_a_known_table() -> None:
    """Presidential approval (Agresti, Categorical Data Analysis, Table 11.1): 150 changed one way, 86 the other."""
    flips = np.repeat([1, -1, 0], [150, 86, 1364])
    assert sign_flip_test(flips) == pytest.approx(stats.binomtest(86, 236).pvalue, rel=1e-10)
    assert sign_flip_test(flips) == pytest.approx(3.716e-05, rel=1e-3)


@pytest.mark.parametrize("gained", [0, 1, 2, 5, 9, 40, 700])
@pytest.mark.parametrize("lost", [0, 1, 3, 8, 55, 1500])
def test_one_run_is_mcnemars_exact_test(gained: int, lost: int) -> None:
    flips = np.repeat([1, -1, 0], [gained, lost, 7])
    wanted = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert sign_flip_test(flips) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_several_runs_are_an_exact_permutation_test(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-3, 4, size=10)
    every_sign = np.array(list(product([1, -1], repeat=10)))
    enumerated = np.mean(np.abs((every_sign * differences).sum(1)) >= abs(differences.sum()))
    assert sign_flip_test(differences) == pytest.approx(enumerated, rel=1e-12)
    scipys: Any = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=4096, alternative="two-sided"
    )
    # scipy doubles the smaller tail, which is the same for a symmetric distribution, ties at 0 aside
    if differences.sum():
        assert sign_flip_test(differences) == pytest.approx(scipys.pvalue, rel=1e-12)


def test_bootstrap_is_scipys() -> None:
    rng = np.random.default_rng(0)
    table = rng.choice([-1, 0, 1], p=[0.1, 0.7, 0.2], size=(300, 2))
    low, high = paired_bootstrap(table, replicates=20_000)
    for column in range(2):
        wanted: Any = stats.bootstrap(
            (table[:, column],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        assert low[column] == pytest.approx(wanted.low, abs=0.005)
        assert high[column] == pytest.approx(wanted.high, abs=0.005)


def test_bootstrap_depends_on_nothing_but_its_data_and_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(3).integers(-2, 3, size=(57, 3))
    whole = paired_bootstrap(table, seed=4)
    monkeypatch.setattr("dlmsample.ablate.analysis.stats._AT_ONCE", 57 * 7)
    for again in (paired_bootstrap(table, seed=4), tuple(np.stack(x) for x in zip(*columns(table), strict=True))):
        assert all((a == b).all() for a, b in zip(whole, again, strict=True))
    assert (paired_bootstrap(table, seed=5)[0] != whole[0]).any()


def columns(table: np.ndarray) -> list[tuple[float, float]]:
    """Each column bootstrapped alone."""
    found = [paired_bootstrap(table[:, [at]], seed=4) for at in range(table.shape[1])]
    return [(low[0], high[0]) for low, high in found]


def test_bootstrap_covers() -> None:
    """Of 400 samples, about 95 % of the intervals hold the true difference of 0.1."""
    rng = np.random.default_rng(7)
    table = rng.choice([-1, 0, 1], p=[0.15, 0.6, 0.25], size=(200, 400))
    low, high = paired_bootstrap(table, replicates=1000)
    assert 0.92 <= np.mean((low <= 0.1) & (high >= 0.1)) <= 0.98


def test_holm_on_a_known_table() -> None:
    """Holm's own procedure by hand: 4 · 0.005, 3 · 0.01, 2 · 0.03 and never below the one before, in any order."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    rng = np.random.default_rng(0)
    values = rng.random(30) ** 3
    adjusted = np.array(holm(values.tolist()))
    ordered = adjusted[np.argsort(values)]
    assert (np.diff(ordered) >= 0).all()
    assert (adjusted >= values).all()
    assert (adjusted <= np.minimum(1, values * 30)).all()  # never above Bonferroni's


def test_several_seeds_are_worth_between_the_examples_and_the_answers() -> None:
    same, spread = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.5, 0.5])
    three = np.full(4, 3)
    assert effective_total(same, three) == pytest.approx(4)
    assert effective_total(spread, three) == 12
    assert effective_total(np.array([1.0, 2.0, 1.0, 2.0]) / 3, three) == 12, "no more than there are answers"
    assert effective_total(np.ones(4), three) == effective_total(np.zeros(4), three) == 4, "no run has told more"
    assert effective_total(np.array([1.0, 1 / 3, 2 / 3, 0.0]), three) == pytest.approx(
        0.25 / (0.5092 / 2.75 / 4), rel=0.1
    )


def test_wilson_of_clustered_answers_covers() -> None:
    """Answers to one example agree more than chance has it: plain Wilson on all of them is too narrow, ours is not."""
    rng, plain, ours = np.random.default_rng(5), 0, 0
    for _ in range(400):
        chance = rng.beta(0.6, 0.4, size=100)  # mean 0.6
        right = rng.binomial(5, chance)
        share = right.sum() / 500
        low, high = wilson(share, 500)
        plain += low <= 0.6 <= high
        low, high = wilson(share, effective_total(right / 5, np.full(100, 5)))
        ours += low <= 0.6 <= high
    assert plain / 400 < 0.85
    assert 0.92 <= ours / 400 <= 0.98


def test_common_denominator() -> None:
    assert common_denominator(np.array([2, 2]), np.array([3])) == 6


def measured(policy: str, **runs: str) -> list[MeasuredConfig]:
    """A baseline and a policy: seed -> verdicts."""
    sides = {
        "unmask": {k[1:]: v for k, v in runs.items() if k[0] == "b"},
        policy: {k[1:]: v for k, v in runs.items() if k[0] == "a"},
    }
    configs = group([cell(name, seed=int(seed)) for name, given in sides.items() for seed in given])
    found = [
        measure_config(c, {int(s): fakes.columns(answers(v)) for s, v in sides[c.policy].items()}) for c in configs
    ]
    return [m for m in found if m is not None]


def test_comparison_of_one_run_a_side() -> None:
    base, other = measured("t2m", b0="1100110010", a0="1111110001")
    found = compare([base, other], {"wordproblems": base.config})
    assert list(found) == [2]
    versus = found[2]
    assert (versus.gained, versus.lost, versus.examples) == (3, 1, 10)
    assert (versus.gains, versus.losses) == ((2, 3, 9), (8,))
    assert (versus.difference, versus.accuracy, versus.baseline_accuracy) == (0.2, 0.7, 0.5)
    assert versus.p == versus.p_holm == pytest.approx(stats.binomtest(1, 4).pvalue)
    assert versus.low <= 0.2 <= versus.high


def test_only_examples_that_both_have_count() -> None:
    base, other = measured("t2m", b0="11001 ", a0=" 01111")
    versus = compare([base, other], {"wordproblems": base.config})[2]
    assert (versus.examples, versus.gained, versus.lost, versus.difference) == (4, 2, 1, 0.25)


def test_runs_that_repeat_each_other_are_no_evidence() -> None:
    """Three seeds with the same verdicts say what one says: same difference, same interval, same p."""
    once = measured("t2m", b0="110011001000", a0="111111000111")
    thrice = measured(
        "t2m", **{f"b{s}": "110011001000" for s in range(3)}, **{f"a{s}": "111111000111" for s in range(3)}
    )
    one, three = (compare(m, {"wordproblems": m[0].config})[2] for m in (once, thrice))
    for name in ("examples", "difference", "p", "gained", "lost"):
        assert getattr(one, name) == getattr(three, name)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert (thrice[1].figures.low, thrice[1].figures.high) == pytest.approx((once[1].figures.low, once[1].figures.high))


def test_different_numbers_of_seeds() -> None:
    base, other = measured("t2m", b0="10", b1="00", a0="11", a1="10", a2="1 ")
    versus = compare([base, other], {"wordproblems": base.config})[2]
    assert versus.difference == pytest.approx(((1 - 0.5) + (0.5 - 0)) / 2)
    assert (versus.low, versus.high) == (0.5, 0.5), "both examples differ by one half, whichever are drawn"
    assert (versus.gained, versus.lost) == (2, 0)
    assert versus.p == 0.5  # two examples, both up: 2 of 4 signs reach as far


def test_p_values_are_adjusted_over_all_comparisons() -> None:
    """Six and five flips: p of 1/32 and 1/16, which Holm's rule makes 2 · 1/32 and, never below that, 1/16."""
    sides = {"unmask": "000000000000", "t2m": "111111000000", "t2t": "111110000000"}
    configs = group([cell(name) for name in sides])
    found = [measure_config(c, {0: fakes.columns(answers(sides[c.policy]))}) for c in configs]
    both = compare([m for m in found if m is not None], {"wordproblems": configs[0]})
    assert [versus.p for versus in both.values()] == [1 / 32, 1 / 16]
    assert [versus.p_holm for versus in both.values()] == [1 / 16, 1 / 16]
    assert not any(versus.clear for versus in both.values()), "one of them would be by itself"
