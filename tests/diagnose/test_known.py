"""Models and numbers for which the answer is known beforehand, and what cannot be diagnosed."""

from __future__ import annotations

import json
import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.diagnose import TokenShare, diagnose, expected_calibration_error
from dlmsample.diagnose.intervals import shares
from tests.toys import EOS, MASK, random_model, scripted_model

WORDS = 16
ATTENTION = ["block_causal", "bidirectional"]


def gold(position: Any) -> Any:
    return 4 + position % 3


def pair(prompt: int, answer: int) -> tuple[list[int], list[int]]:
    return [15] * prompt, [gold(i) for i in range(prompt, prompt + answer)]


PAIRS = [pair(3, 20), pair(8, 13), pair(1, 30), pair(5, 40)]


def says(tokens: Tensor) -> Tensor:
    """Logits that are sure of these tokens."""
    return 9.0 * torch.nn.functional.one_hot(tokens, WORDS)


def copies(ids: Tensor, positions: Tensor) -> Tensor:
    """The standing token; at a mask one that is never right."""
    return says(torch.where(ids == MASK, 9, ids))


def corrects(ids: Tensor, positions: Tensor) -> Tensor:
    """Gold where a token stands; at a mask one that is never right."""
    return says(torch.where(ids == MASK, 9, gold(positions)))


def knows(ids: Tensor, positions: Tensor) -> Tensor:
    """Gold everywhere."""
    return says(gold(positions))


def doubts(ids: Tensor, positions: Tensor) -> Tensor:
    """Sure and wrong at a mask, no idea where a token stands: each of 15 has 1/15 (the mask id is none)."""
    return copies(ids, positions) * (ids == MASK)[..., None]


def measured(rule: Any, attention: str, **options: Any) -> Any:
    return diagnose(scripted_model(rule, attention=attention), PAIRS, mask_rates=[1.0], **options)


@pytest.mark.parametrize("attention", ATTENTION)
def test_copying_preserves_every_wrong_commit(attention: str) -> None:
    report = measured(copies, attention)
    stress = report.stress
    assert 0 < stress.wrong.total <= stress.masked / 2
    assert (stress.wrong.value, stress.preserved.value, stress.recovered.value) == (1, 1, 0)
    assert stress.kept == TokenShare(None, None, None, 0, 0)
    assert report.stuck.visible.count == report.stuck.wrong.count == 0
    line = report.calibration[0]
    assert (line.positions, line.accuracy) == (103, 0)
    assert line.ece == line.confidence == pytest.approx(1 / (1 + 14 * math.exp(-9)))


@pytest.mark.parametrize("attention", ATTENTION)
def test_correcting_recovers_every_wrong_commit(attention: str) -> None:
    stress = measured(corrects, attention).stress
    assert (stress.wrong.value, stress.preserved.value, stress.recovered.value) == (1, 0, 1)
    assert (stress.recovered.low, stress.recovered.high) == (1, 1)


@pytest.mark.parametrize("attention", ATTENTION)
def test_a_model_that_knows_has_no_wrong_commit(attention: str) -> None:
    stress = measured(knows, attention).stress
    assert (stress.wrong.value, stress.kept.value, stress.preserved.value) == (0, 1, None)


@pytest.mark.parametrize("attention", ATTENTION)
def test_rates_of_the_stress_test(attention: str) -> None:
    stress = measured(copies, attention, mask_rate=1.0, commit_rate=1.0).stress
    assert (stress.masked, stress.wrong.total, stress.mask_rate, stress.commit_rate) == (103, 103, 1, 1)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize(("epsilon", "threshold", "share"), [(0.1, 0.5, 1), (0.05, 0.5, 0), (0.1, 0.05, 0)])
def test_stuck_where_nothing_is_likely(attention: str, epsilon: float, threshold: float, share: int) -> None:
    report = measured(doubts, attention, epsilon=epsilon, edit_threshold=threshold)
    assert report.stuck.visible.value == report.stuck.wrong.value == share
    assert report.stuck.visible.total == 103 - report.stress.masked + report.stress.wrong.total


def test_calibrated_confidence_has_no_error() -> None:
    odds = torch.zeros(WORDS).index_fill(0, torch.arange(WORDS), -60.0)
    odds[5], odds[6] = math.log(3), 0.0  # 0.75 and 0.25
    model = scripted_model(lambda ids, positions: odds.expand(*ids.shape, -1))
    line = diagnose(model, [([3], [5, 5, 5, 6] * 5)], mask_rates=[1.0]).calibration[0]
    assert (line.positions, line.accuracy) == (20, 0.75)
    assert line.confidence == pytest.approx(0.75)
    assert line.ece == pytest.approx(0, abs=1e-6)


def test_expected_calibration_error_by_hand() -> None:
    confidence = torch.tensor([0.0, 1 / 15, 0.5, 0.52, 1.0])
    right = torch.tensor([False, True, True, False, False])
    # bins: {0, 1/15}, {0.5, 0.52}, {1}
    by_hand = (abs(1 - 1 / 15) + abs(1 - 1.02) + abs(0 - 1)) / 5
    assert expected_calibration_error(confidence, right) == pytest.approx(by_hand)
    assert expected_calibration_error(confidence, right, bins=1) == pytest.approx(abs(2 - confidence.sum().item()) / 5)
    assert expected_calibration_error(torch.empty(0), torch.empty(0, dtype=torch.bool)) is None


class Oracle:
    """A head that sees the token in the hidden state and knows gold; without ``blocks``, as decoding calls it."""

    layer = -2

    def __init__(self, sure: float, widths: list[int]) -> None:
        self.sure, self.widths = sure, widths

    def __call__(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        self.widths.append(hidden.shape[1])
        return torch.where(hidden.argmax(-1) != gold(positions), self.sure, -self.sure)


def guesses(ids: Tensor, positions: Tensor) -> Tensor:
    """The standing token; at a mask each with 1/15."""
    return says(ids) * (ids != MASK)[..., None]


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize(("sure", "auc", "recall"), [(2.0, 1.0, 1.0), (-2.0, 0.0, 0.0)])
def test_a_head_that_knows(attention: str, sure: float, auc: float, recall: float) -> None:
    widths: list[int] = []
    model = scripted_model(guesses, attention=attention).with_head(Oracle(sure, widths))
    report = diagnose(model, PAIRS)
    found = report.detection
    assert report.head == "Oracle"
    assert found is not None
    assert (found.auc, found.recall, found.precision) == (auc, recall, recall)
    assert found.positive_rate is not None
    assert 0.02 < found.positive_rate < 0.5
    assert set(widths) == ({8} if attention == "block_causal" else {45})


def test_a_head_that_finds_nothing_to_say() -> None:
    model = scripted_model(knows).with_head(Oracle(1.0, []))
    found = diagnose(model, PAIRS).detection
    assert found is not None
    assert (found.positive_rate, found.auc, found.recall, found.precision) == (
        pytest.approx(0, abs=1),
        None,
        None,
        None,
    )


def test_a_damaged_head_is_refused() -> None:
    model = scripted_model(guesses).with_head(Oracle(math.nan, []))
    with pytest.raises(ValueError, match="not finite"):
        diagnose(model, PAIRS)


def test_intervals() -> None:
    g = torch.Generator().manual_seed(0)
    totals = torch.randint(0, 9, (200,), generator=g)
    parts = (totals * torch.rand(200, generator=g)).round().long()
    nothing = torch.zeros(200, dtype=torch.int64)
    found = shares({"some": (parts, totals), "none": (nothing, totals), "empty": (nothing, nothing)}, key=3)
    some = found["some"]
    assert (some.low, some.high) != (None, None)
    assert 0 < some.low < some.value < some.high < 1  # type: ignore[operator]
    assert (found["none"].low, found["none"].high) == (0, 0)
    assert found["empty"] == TokenShare(None, None, None, 0, 0)
    few = shares({"some": (parts[:20], totals[:20])}, key=3)["some"]
    assert few.high - few.low > some.high - some.low  # type: ignore[operator]
    one = shares({"some": (parts[-1:], totals[-1:])}, key=3)["some"]
    assert (one.low, one.high) == (None, None)


def test_examples_of_equal_behaviour_have_no_interval_but_unequal_ones_do() -> None:
    total = torch.full((50,), 10)
    equal = shares({"x": (torch.full((50,), 5), total)}, 0)["x"]
    clustered = shares({"x": (torch.arange(50) % 2 * 10, total)}, 0)["x"]
    assert (equal.low, equal.high) == (0.5, 0.5)
    assert clustered.value == 0.5
    # 50 examples that are all or nothing: about 0.5 +- 1.96 * sqrt(0.25 / 50), though there are 500 tokens
    assert clustered.high - clustered.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 50), rel=0.2)  # type: ignore[operator]


def test_report_is_json(nano: ds.Denoiser) -> None:
    report = diagnose(nano, ds.tasks.load("wordproblems", "valid", 3), mask_rate=0.9)
    data = json.loads(json.dumps(report.asdict()))
    assert (data["model"], data["examples"], data["detection"], data["dtype"]) == ("nano", 3, None, "float32")
    assert [row["mask_rate"] for row in data["calibration"]] == [0.1, 0.3, 0.5, 0.7, 0.9]
    accuracy = [row["accuracy"] for row in data["calibration"]]
    assert accuracy[0] > 0.9
    assert accuracy[0] > accuracy[-1]
    assert data["stress"]["kept"]["value"] > 0.8


MISTAKES: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "nothing": ([], {}, "at least one"),
    "text": ([ds.tasks.Example("1 + 1?", "2", "2")], {}, "no tokenizer"),
    "no answer": ([([3], [])], {}, "no answer"),
    "mask": ([([3], [4, MASK])], {}, "mask id"),
    "vocabulary": ([([3], [400])], {}, "outside the vocabulary"),
    "context": ([([3] * 500, [3] * 13)], {}, "513 tokens, more than the 512"),
    "no rates": (PAIRS, {"mask_rates": []}, "mask_rates"),
    "rate": (PAIRS, {"mask_rate": 0.0}, "mask_rate must"),
    "commits": (PAIRS, {"commit_rate": math.nan}, "commit_rate must"),
    "epsilon": (PAIRS, {"epsilon": -0.1}, "epsilon"),
    "threshold": (PAIRS, {"edit_threshold": 1.1}, "edit_threshold"),
    "batch": (PAIRS, {"batch_size": 0}, "1 or more"),
    "seed": (PAIRS, {"seed": 0.5}, "seed must be an int"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_name_the_remedy(case: str) -> None:
    examples, options, remedy = MISTAKES[case]
    with pytest.raises(ValueError, match=remedy) as error:
        diagnose(random_model(), examples, **options)
    assert "\n" not in str(error.value)


def test_a_full_context_fits() -> None:
    for attention in ATTENTION:
        report = diagnose(random_model(attention), [([3] * 500, [3] * 11 + [EOS])], mask_rates=[0.5])
        assert report.examples == 1


def test_only_models_are_diagnosed() -> None:
    with pytest.raises(ValueError, match=r"dlmsample\.load"):
        diagnose("nano", PAIRS)  # type: ignore[arg-type]


def test_the_package_stays_a_package() -> None:
    assert isinstance(ds.diagnose, ModuleType)  # type: ignore[attr-defined]
    assert "diagnose" not in ds.__all__
