"""Losses and metrics worked out by hand on a few positions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dlmsample.objectives.base import Apart, Batch, Corrupted, Outputs, means, shares
from dlmsample.objectives.fca import FCA
from dlmsample.objectives.random_t2t import RandomT2T
from dlmsample.objectives.scope import SCOPE
from tests.objectives.common import IDS

CLEAN = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 8, 9]])
EDITABLE = torch.tensor([[False, True, True, True, True], [True, True, True, False, False]])


def gold_with(probability: Tensor, vocab: int = 40) -> Tensor:
    """Logits that give gold the stated probability ``[row, pos]``."""
    rest = torch.log((1 - probability) / (vocab - 1))[..., None].expand(-1, -1, vocab)
    return rest.scatter(2, CLEAN[..., None], torch.log(probability)[..., None]) + 3.0


@pytest.mark.parametrize("normalise", ["tokens", "set"])
def test_three_terms(normalise: str) -> None:
    rule = RandomT2T.model_validate({"masked_weight": 1, "wrong_weight": 2, "right_weight": 3, "normalise": normalise})
    tokens = torch.tensor([[5, 6, 9, 9, 9], [5, 6, 7, 8, 9]])
    masked = torch.tensor([[False, True, False, False, False], [False, True, True, False, False]])
    out = rule.supervise(Batch(CLEAN, EDITABLE, torch.tensor([4, 5]), IDS), tokens, masked)
    p = torch.tensor([[0.9, 1 / 2, 1 / 4, 1 / 16, 1 / 8], [1 / 2, 1 / 4, 1 / 64, 0.9, 0.9]])
    loss, metrics = rule.loss(gold_with(p), out)
    # Row 0: masked 1 bit, wrong (2 + 4) / 2 bits, right 3 bits. Row 1: masked (2 + 6) / 2, no wrong, right 1.
    bits = ((1 * 1 + 2 * 3 + 3 * 3) + (1 * 4 + 2 * 0 + 3 * 1)) / 2
    if normalise == "tokens":  # every supervised token of a row alike: sums, divided by 4 and by 3 tokens
        bits = ((1 * 1 + 2 * (2 + 4) + 3 * 3) / 4 + (1 * (2 + 6) + 3 * 1) / 3) / 2
    assert float(loss) == pytest.approx(bits * math.log(2), rel=1e-5)
    assert float(metrics["ce/wrong"]) == pytest.approx(3 * math.log(2), rel=1e-5)
    assert float(metrics["ce/masked"]) == pytest.approx(3 * math.log(2), rel=1e-5)
    assert float(metrics["share/wrong"]) == pytest.approx(0.2)
    assert float(metrics["acc/right"]) == 1


@pytest.mark.parametrize("supervise", ["corrupted", "all"])
def test_scope_separates_wrong_and_right_commits(supervise: str) -> None:
    rule = SCOPE(mdm_share=0, temperature=0, commit_rate=1, supervise=supervise)  # type: ignore[arg-type]
    drafts = torch.tensor([[5, 6, 9, 9, 9], [5, 6, 7, 8, 9]])
    out = rule.corrupt(Batch(CLEAN, EDITABLE, torch.tensor([4, 5]), IDS), lambda tokens: 9.0 * torch.eye(40)[drafts])
    wrong, right = out.sets["wrong_commit"], out.sets["right_commit"]
    assert wrong.any()
    assert right.any()
    p = torch.where(wrong, 1 / 8, torch.where(right, 1 / 2, 1 / 4)) * torch.ones(2, 5)
    loss, metrics = rule.loss(gold_with(p), out)
    bits = 3 * wrong.sum(1) + right.sum(1)
    size = (wrong | right).sum(1)
    if supervise == "all":
        bits, size = bits + 2 * (EDITABLE.sum(1) - size), EDITABLE.sum(1)
    assert float(loss) == pytest.approx(float((bits / size).mean()) * math.log(2), rel=1e-5)
    assert float(metrics["ce/wrong_commit"]) == pytest.approx(3 * math.log(2), rel=1e-5)
    assert float(metrics["ce/right_commit"]) == pytest.approx(math.log(2), rel=1e-5)


def fca_batch(gamma: float | None) -> Corrupted:
    """Row 0: a mask, a wrong token, two right ones. Row 1: three right ones."""
    visible = EDITABLE & torch.tensor([[True, False, True, True, True], [True] * 5])
    masked, wrong = EDITABLE & ~visible, torch.zeros_like(EDITABLE)
    wrong[0, 2] = True
    tokens = CLEAN.masked_fill(masked, IDS.mask).masked_fill(wrong, 30)
    weights = visible / visible.sum(1, keepdim=True) * (gamma or 1.0)
    sets = {"masked": masked, "visible": visible, "wrong": wrong, "right": visible & ~wrong, "artefact": wrong}
    if gamma is None:
        return Corrupted(tokens, CLEAN, weights, sets)
    # What became an artefact was masked in x_t: its demasking counts too.
    first = masked | wrong
    apart = Apart(CLEAN.masked_fill(first, IDS.mask), first * 0.5)
    return Corrupted(tokens, CLEAN, weights, {**sets, "demasked": first}, apart)


ERROR = torch.tensor([[50.0, -50.0, math.log(3), 0.0, -math.log(3)], [-math.log(7), 0.0, math.log(3), 50.0, -50.0]])


def test_fca_is_binary_cross_entropy_on_visible_positions() -> None:
    loss, metrics = FCA().loss(ERROR, fca_batch(None))
    # P_error: row 0 wrong 3/4, right 1/2 and 1/4; row 1 right 1/8, 1/2, 3/4.
    wrong, right = -math.log(3 / 4), [math.log(2), -math.log(3 / 4), -math.log(7 / 8), math.log(2), math.log(4)]
    rows = [(wrong + sum(right[:2])) / 3, sum(right[2:]) / 3]
    assert float(loss) == pytest.approx(sum(rows) / 2, rel=1e-5)
    assert float(metrics["bce/wrong"]) == pytest.approx(wrong, rel=1e-5)
    assert float(metrics["bce/right"]) == pytest.approx(sum(right) / 5, rel=1e-5)
    assert float(metrics["error/wrong"]) == pytest.approx(3 / 4)
    assert float(metrics["error/right"]) == pytest.approx((1 / 2 + 1 / 4 + 1 / 8 + 1 / 2 + 3 / 4) / 5)
    assert float(metrics["positive_rate"]) == pytest.approx(1 / 6)
    assert float(metrics["acc/visible"]) == pytest.approx(5 / 6)  # only the 3/4 on a right token is over 1/2
    assert "ce/demasked" not in metrics


def test_fca_joint_adds_cross_entropy_at_the_masks() -> None:
    plain = float(FCA().loss(ERROR, fca_batch(None))[0])
    logits = gold_with(torch.full((2, 5), 1 / 8))
    loss, metrics = FCA(gamma=0.25).loss(Outputs(logits, ERROR), fca_batch(0.25))
    assert float(loss) == pytest.approx(0.25 * plain + 0.5 * 2 * 3 * math.log(2) / 2, rel=1e-5)
    assert float(metrics["ce/demasked"]) == pytest.approx(3 * math.log(2), rel=1e-5)
    assert float(metrics["bce/visible"]) == pytest.approx(
        float(FCA().loss(ERROR, fca_batch(None))[1]["bce/visible"]), rel=1e-6
    )


def test_metrics_of_sets() -> None:
    """Over no position a mean is 0, and a share is one of all positions, padding included."""
    none, some = torch.zeros(2, 3, dtype=torch.bool), torch.tensor([[True, False, False], [True, True, False]])
    found = means({"none": none, "some": some}, ce=torch.tensor([[1.0, 9.0, 9.0], [2.0, 6.0, 9.0]]))
    assert {name: value.item() for name, value in found.items()} == {"ce/none": 0.0, "ce/some": 3.0}
    assert {name: value.item() for name, value in shares({"none": none, "some": some}).items()} == {
        "share/none": 0.0,
        "share/some": 0.5,
    }
