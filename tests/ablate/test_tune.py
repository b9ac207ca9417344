"""Tuning: the best setting within a budget, chosen on some examples and checked on others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import dlmsample as ds
from dlmsample.ablate import tune as tuning
from dlmsample.ablate.spec import grid as spec
from dlmsample.ablate.tune import Tuning, tune

CANDIDATES = Path(spec.__file__).with_name("candidates.yaml")
POLICIES = [
    {"policy": "unmask", "tokens_per_step": [1, 4, 8]},
    {"policy": "t2m", "fill_threshold": [0.5, 0.9]},
]
LIMIT, CHECK = 3, 4


def grid(**changes: Any) -> spec.Grid:
    given: dict[str, Any] = {
        "name": "g",
        "tasks": [{"name": "wordproblems.short", "split": "test", "limit": LIMIT}],
        "checkpoints": [{"model": "nano"}],
        "policies": POLICIES,
        "max_new_tokens": 32,
    }
    return spec.Grid.model_validate({**given, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def found(folder: Path) -> Tuning:
    return tune(grid(), folder, [0.5, 6, 40], CHECK)


def test_a_setting_is_the_most_accurate_within_its_budget(found: Tuning) -> None:
    assert found.trials.results is not None
    measured = [row.measured for row in found.trials.results.rows if row.measured is not None]
    assert len(measured) == 5
    assert {(row.budget, row.policy) for row in found.rows} >= {(6, "unmask"), (40, "unmask"), (40, "t2m")}
    for row in found.rows:
        assert row.forwards <= row.budget
        within = [m.figures for m in measured if m.config.rule == row.policy and m.figures.nfe <= row.budget]
        best = max((figures.accuracy, -figures.nfe) for figures in within)
        assert (row.tried.value, row.forwards) == (pytest.approx(100 * best[0]), pytest.approx(-best[1]))
        assert ds.policy(row.policy, **row.options)
    assert found.missing == (0.5,)


def test_each_budget_has_one_winner(found: Tuning) -> None:
    for budget in (6, 40):
        rows = [row for row in found.rows if row.budget == budget]
        (best,) = [row for row in rows if row.best]
        assert best.tried.value == max(row.tried.value for row in rows)


def test_what_was_chosen_is_checked_on_other_examples(found: Tuning) -> None:
    assert found.check is not None
    assert found.check.results is not None
    by_setting = {
        (m.config.rule, m.figures.nfe): m for row in found.check.results.rows if (m := row.measured) is not None
    }
    assert all(len(m.index) == LIMIT + CHECK for m in by_setting.values())
    for row in found.rows:
        assert row.checked is not None
        assert row.checked.examples == CHECK
        shares = [100 * m.right[m.index >= LIMIT].mean() for (rule, _), m in by_setting.items() if rule == row.policy]
        assert any(row.checked.value == pytest.approx(share) for share in shares)
        assert row.checked.low <= row.checked.value <= row.checked.high
        compared = row.policy != "unmask" and any(r.policy == "unmask" and r.budget == row.budget for r in found.rows)
        assert (row.over_baseline is not None) == compared


def test_who_cannot_be_told_from_the_winner_is_named(found: Tuning) -> None:
    """Where all answer every checked example alike, no difference can be told."""
    for row in found.rows:
        rivals = {other.policy: other for other in found.rows if other.budget == row.budget and other is not row}
        assert set(row.close) <= (rivals.keys() if row.best else set())
        if row.best and row.checked is not None:
            behind = {n for n, o in rivals.items() if o.checked is not None and o.checked.value >= row.checked.value}
            assert behind <= set(row.close)


def test_a_difference_is_taken_where_both_have_an_answer() -> None:
    def others(places: list[int], right: list[int]) -> tuning._Others:
        return tuning._Others(np.array(places), np.array(right))

    points = tuning._over(others([4, 5, 6], [1, 1, 0]), others([5, 6, 7], [0, 0, 1]))
    assert points is not None
    assert points[0] == 50.0
    assert points[1] <= 0 <= points[2]
    assert tuning._over(others([4], [1]), others([5], [1])) is None
    assert tuning._over(None, others([5], [1])) is None


def test_the_same_call_goes_on_where_it_stopped(folder: Path, found: Tuning) -> None:
    again = tune(grid(), folder, [0.5, 6, 40], CHECK)
    assert again.rows == found.rows
    assert again.trials.ran == 0
    assert again.check is not None
    assert again.check.ran == 0


def test_without_a_check(folder: Path, found: Tuning) -> None:
    rows = tune(grid(), folder, [40]).rows
    assert [(row.checked, row.over_baseline) for row in rows] == [(None, None)] * len(rows)


@pytest.mark.parametrize(
    ("changes", "budgets", "check", "said"),
    [
        ({"tasks": [{"name": "wordproblems"}, {"name": "wordproblems.short"}]}, [8], 0, "one task at a time"),
        ({"checkpoints": [{"model": "nano"}, {"model": "nano", "adapter": "mdm"}]}, [8], 0, "one checkpoint at a time"),
        ({"seeds": [0, 1]}, [8], 0, "one seed at a time"),
        ({"tasks": [{"name": "wordproblems"}]}, [8], 0, "the task's limit"),
        ({}, [], 0, "a budget of more than 0"),
        ({}, [0], 0, "a budget of more than 0"),
        ({}, [8], -1, "check must be 0 or more"),
    ],
)
def test_what_cannot_be_tuned(
    changes: dict[str, Any], budgets: list[float], check: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        tune(grid(**changes), tmp_path, budgets, check)
    assert not any(tmp_path.iterdir())


def test_the_candidates_are_settings_of_policies() -> None:
    entries = yaml.safe_load(CANDIDATES.read_text(encoding="utf-8"))["policies"]
    for entry in grid(policies=entries).policies:
        for variant in entry.variants():
            variant.pop("block_length", None)
            assert ds.policy(entry.policy, **variant).name == entry.policy
