"""Every number of a report against a naive count, on random models of each layout."""

from __future__ import annotations

import pytest
import torch

import dlmsample as ds
from dlmsample.diagnose import Diagnosis, diagnose
from dlmsample.heads import CorrectionHead, HeadConfig
from dlmsample.rng import sequence_key
from tests.diagnose import loops
from tests.toys import VOCAB, random_model

LAYOUTS = [("block_causal", "prompt"), ("block_causal", "absolute"), ("bidirectional", "prompt")]
RATES = (0.3, 0.9)
SEED, EPSILON, THRESHOLD = 5, 0.2, 0.6


def head(seed: int = 0) -> CorrectionHead:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = CorrectionHead(HeadConfig(hidden_size=32, width=16, layers=1, heads=2, mlp=16)).eval()
        with torch.no_grad():
            made.out.weight.mul_(20)
            made.out.bias.zero_()
    return made


@torch.no_grad()
def copying(model: ds.Denoiser) -> ds.Denoiser:
    """Some visible tokens are also what the model says there."""
    model.lm_head.weight.add_(model.module.get_input_embeddings().weight, alpha=3.0)  # type: ignore[operator]
    return model


@torch.no_grad()
def pairs(model: ds.Denoiser, count: int = 6) -> list[loops.Pair]:
    """Random prompts; many masked tokens are what the model itself says, so that some commits are right."""
    g = torch.Generator().manual_seed(1)

    def draw(length: int) -> list[int]:
        return torch.randint(3, VOCAB, (length,), generator=g).tolist()

    made = []
    for number in range(count):
        prompt, answer = draw(3 + 5 * number % 13), draw(9 + 7 * number % 17)
        for first, last in loops.window(model, (prompt, answer), number, SEED).spans:  # earlier ones are context
            w = loops.window(model, (prompt, answer), number, SEED)
            hidden = loops.masked(w, 0.5)
            logits, _ = loops.forward(model, w, loops.cover(w, hidden))
            for i in hidden:
                if first <= i < last and torch.rand((), generator=g) < 0.7:
                    answer[i - len(prompt)] = loops.best(logits[i])
        made.append((prompt, answer))
    return made


@pytest.fixture(scope="module", params=LAYOUTS, ids=["-".join(layout) for layout in LAYOUTS])
def case(request: pytest.FixtureRequest) -> tuple[ds.Denoiser, list[loops.Pair], Diagnosis]:
    model = copying(random_model(*request.param)).with_head(head(), "toy")
    rows = pairs(model)
    options = {"epsilon": EPSILON, "edit_threshold": THRESHOLD, "mask_rates": RATES, "seed": SEED}
    return model, rows, diagnose(model, rows, batch_size=4, **options)


Case = tuple[ds.Denoiser, list[loops.Pair], Diagnosis]


@torch.no_grad()
def test_stress_test_and_stuck_set(case: Case) -> None:
    model, rows, report = case
    windows = [loops.window(model, row, number, SEED) for number, row in enumerate(rows)]
    windows.sort(key=lambda w: len(w.ids))
    counts = [loops.stress(model, w, EPSILON, THRESHOLD) for w in windows]
    stress, stuck = report.stress, report.stuck
    assert stress.masked == sum(count["masked"] for count in counts)
    key = sequence_key(SEED, (), 1, len(rows))
    for share, part, total in [
        (stress.wrong, "wrong", "committed"),
        (stress.preserved, "preserved", "wrong"),
        (stress.recovered, "recovered", "wrong"),
        (stress.kept, "kept", "right"),
        (stuck.visible, "stuck", "visible"),
        (stuck.wrong, "stuck_wrong", "wrong"),
    ]:
        parts, totals = ([count[name] for count in counts] for name in (part, total))
        assert (share.count, share.total) == (sum(parts), sum(totals))
        assert share.total > 0
        assert share.value == share.count / share.total
        assert (share.low, share.high) == pytest.approx(loops.interval(parts, totals, key))
    assert 0 < stress.wrong.count < stress.wrong.total
    assert 0 < stuck.visible.count < stuck.visible.total
    assert 0 < stress.preserved.count < stress.preserved.total
    assert stress.kept.count > 0


@torch.no_grad()
def test_calibration(case: Case) -> None:
    model, rows, report = case
    assert [row.mask_rate for row in report.calibration] == list(RATES)
    for line in report.calibration:
        found = [
            pair
            for number, row in enumerate(rows)
            for pair in loops.confidences(model, loops.window(model, row, number, SEED), line.mask_rate)
        ]
        assert line.positions == len(found) > 0
        assert line.accuracy == pytest.approx(sum(r for _, r in found) / len(found))
        assert line.confidence == pytest.approx(sum(c for c, _ in found) / len(found))
        assert line.ece == pytest.approx(loops.ece(found), abs=1e-5)


@torch.no_grad()
def test_detection(case: Case) -> None:
    model, rows, report = case
    found = [
        pair
        for number, row in enumerate(rows)
        for pair in loops.detection(model, loops.window(model, row, number, SEED))
    ]
    wrong, right = ([e for e, w in found if w is truth] for truth in (True, False))
    flagged = [w for e, w in found if e > 0]
    d = report.detection
    assert d is not None
    assert d.positions == len(found)
    assert d.positive_rate == pytest.approx(len(wrong) / len(found))
    assert d.auc == pytest.approx(sum((a > b) + (a == b) / 2 for a in wrong for b in right) / len(wrong) / len(right))
    assert d.flagged == pytest.approx(len(flagged) / len(found))
    assert 0 < len(flagged) < len(found)
    assert d.precision == pytest.approx(sum(flagged) / len(flagged))
    assert d.recall == pytest.approx(sum(flagged) / len(wrong))


def test_batch_size_changes_nothing(case: Case) -> None:
    model, rows, report = case
    options = {"epsilon": EPSILON, "edit_threshold": THRESHOLD, "mask_rates": RATES, "seed": SEED}
    for batch_size in (1, 32):
        other = diagnose(model, rows, batch_size=batch_size, **options)
        assert other.stress == report.stress
        assert other.stuck == report.stuck
        for mine, theirs in zip(other.calibration, report.calibration, strict=True):
            assert mine.positions == theirs.positions
            assert mine.accuracy == theirs.accuracy
            assert mine.ece == pytest.approx(theirs.ece, abs=1e-5)
        assert other.detection is not None
        assert report.detection is not None
        assert other.detection.auc == report.detection.auc
        assert other.detection.flagged == report.detection.flagged


def test_the_seed_changes_the_masks(case: Case) -> None:
    model, rows, report = case
    other = diagnose(model, rows, mask_rates=RATES, seed=SEED + 1)
    assert [line.positions for line in other.calibration] != [line.positions for line in report.calibration]


def test_names_and_layout(case: Case) -> None:
    model, rows, report = case
    assert (report.model, report.adapter, report.head, report.examples) == ("random", None, "toy", len(rows))
    assert (report.attention, report.dtype) == (model.attention, "float32")
    assert report.block_length == (8 if model.attention == "block_causal" else None)
