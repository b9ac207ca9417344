"""Frequencies of 10^5 corrupted sequences against the laws the rules state, within 4 sigma."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dlmsample.objectives.base import Batch, Ids
from dlmsample.objectives.draws import BETA as BETA_DRAW
from dlmsample.objectives.draws import Draws
from dlmsample.objectives.fca import FCA
from dlmsample.objectives.random_t2t import RandomT2T
from dlmsample.objectives.scope import SCOPE
from dlmsample.objectives.self_generated_t2t import SelfGeneratedT2T
from dlmsample.rng import fold

COUNT = 100_000
SMALL = Ids(mask=2, special=(0, 1, 2), end=8)
GRID = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
BETA_WEIGHT = 6 * GRID * (1 - GRID) / len(GRID)
BETA = GRID.clamp(0.05, 0.95)


def batch(width: int = 4, seed: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    clean = torch.full((COUNT, width), 5)
    return clean, torch.ones_like(clean, dtype=torch.bool), fold(torch.tensor(seed), torch.arange(COUNT))


def close(sample: Tensor, expected: float) -> None:
    """The mean of independent numbers, one per sequence, is what it should be."""
    sample = sample.double()
    sigma = float(sample.std()) / math.sqrt(len(sample))
    assert abs(float(sample.mean()) - expected) <= 4 * sigma + 1e-12, (float(sample.mean()), expected)


def both(members: Tensor, i: int = 0, j: int = 1) -> Tensor:
    return members[:, i] & members[:, j]


def square(low: float, high: float) -> float:
    """E[u²] for u uniform in (low, high)."""
    return (low * low + low * high + high * high) / 3


def favours(token: int) -> object:
    return lambda tokens: torch.zeros(*tokens.shape, 8).index_fill(2, torch.tensor([token]), 30.0)


BLOCKS = torch.tensor([[1, 1, 2, 2]]).expand(COUNT, -1)


@pytest.mark.parametrize("blocks", [None, BLOCKS], ids=["whole", "blocks"])
def test_random_t2t(blocks: Tensor | None) -> None:
    clean, editable, keys = batch()
    rule = RandomT2T(mask_ratio=(0.3, 0.8), random_share=(0.1, 0.5))
    out = rule.corrupt(Batch(clean, editable, keys, SMALL, blocks))
    masked, wrong = out.sets["masked"], out.sets["wrong"]
    for i in range(4):
        close(masked[:, i], 0.55)
        close(wrong[:, i], 0.45 * 0.3)
    close(both(masked), square(0.3, 0.8))
    close(both(masked, 1, 2), square(0.3, 0.8) if blocks is None else 0.55**2)
    close(both(wrong), square(0.2, 0.7) * square(0.1, 0.5))
    close(both(wrong, 1, 2), square(0.2, 0.7) * square(0.1, 0.5) if blocks is None else (0.45 * 0.3) ** 2)
    for token in (3, 4, 6, 7):
        close((out.input[wrong] == token).float(), 0.25)


@pytest.mark.parametrize("blocks", [None, BLOCKS], ids=["whole", "blocks"])
def test_self_generated_t2t(blocks: Tensor | None) -> None:
    clean, editable, keys = batch()
    rule = SelfGeneratedT2T(edit_ratio=(0.2, 0.6), draft_remask=(0.1, 0.7))
    out = rule.corrupt(Batch(clean, editable, keys, SMALL, blocks), favours(1))  # type: ignore[arg-type]
    masked = out.sets["masked"]
    drafted = out.input == 1
    random = editable & ~masked & ~drafted & (out.input != 5)
    close(masked[:, 0], 0.55 * 0.4)
    close(both(masked), square(0.3, 0.8) * square(0.1, 0.7))
    close(both(masked, 1, 2), square(0.3, 0.8) * square(0.1, 0.7) if blocks is None else (0.55 * 0.4) ** 2)
    close(drafted[:, 2], 0.55 * 0.6 * 0.95)
    close(random[:, 3], 0.55 * 0.6 * 0.05 + 0.45 * 0.4)
    right = rule.corrupt(Batch(clean, editable, keys, SMALL, blocks), favours(5))  # type: ignore[arg-type]
    assert torch.equal(right.input == 2, masked)
    close(right.sets["wrong"][:, 0], 0.55 * 0.6 * 0.05 + 0.45 * 0.4)


@pytest.mark.parametrize("blocks", [None, BLOCKS], ids=["whole", "blocks"])
def test_scope_rates_and_branches(blocks: Tensor | None) -> None:
    clean, editable, keys = batch()
    rule = SCOPE(mdm_share=0.3, commit_rate=1, temperature=0)
    out = rule.corrupt(Batch(clean, editable, keys, SMALL, blocks), favours(1))  # type: ignore[arg-type]
    # A sequence of the plain branch shows masks unless it drew none; one of the other branch shows none.
    none = 1 / 5 if blocks is None else (1 / 3) ** 2
    plain = out.sets["masked"].any(1)
    close(plain, 0.3 * (1 - none * 0.999**4))
    own, pair = SCOPE(mdm_share=0, commit_rate=1, temperature=0), float((BETA_WEIGHT * BETA**2).sum())
    hidden = own.corrupt(Batch(clean, editable, keys, SMALL, blocks), favours(1)).weights > 0  # type: ignore[arg-type]
    for i in range(4):
        close(hidden[:, i], 0.5)
    close(both(hidden), pair)
    close(both(hidden, 1, 2), pair if blocks is None else 0.25)


def test_scope_samples_at_its_temperature_and_commits_half() -> None:
    clean, editable, keys = batch(6)
    scores = torch.tensor([0.0, 2.0, 9.0, 1.0, -1.0, 1.5, 0.5, 0.0])
    rule = SCOPE(mdm_share=0, temperature=1.5, random_commit=True, commit_rate=(0.5, 0.5))
    out = rule.corrupt(Batch(clean, editable, keys, SMALL), lambda tokens: scores.expand(*tokens.shape, 8))
    committed = out.sets["wrong_commit"] | out.sets["right_commit"]
    assert torch.equal(committed.sum(1), (committed | out.sets["masked"]).sum(1) // 2)
    p = torch.softmax((scores / 1.5).index_fill(0, torch.tensor([2]), -torch.inf), 0)
    for token in range(8):
        close((out.input[committed] == token).float(), float(p[token]))
    per_position = committed.double().mean(0)
    assert per_position.max() - per_position.min() < 6 * math.sqrt(0.25 / COUNT)  # no position is favoured


def test_scope_commit_rate_is_drawn_per_sequence() -> None:
    clean, editable, keys = batch(12)
    rule = SCOPE(mdm_share=0, commit_rate=(0.0, 1.0), temperature=0)
    out = rule.corrupt(Batch(clean, editable, keys, SMALL), favours(1))  # type: ignore[arg-type]
    size = (out.weights > 0).sum(1)
    # ⌊ρn⌋ with ρ ~ U(0, 1) is uniform on 0..n-1.
    for n in (4, 6, 8):
        committed = out.sets["wrong_commit"].sum(1)[size == n]
        for k in range(n):
            close((committed == k).float(), 1 / n)


@pytest.mark.parametrize("steps", [None, 3, 40])
@pytest.mark.parametrize("blocks", [False, True], ids=["whole", "blocks"])
@pytest.mark.parametrize("artefacts", ["self", "uniform", "prism"])
def test_fca_times_and_artefacts(steps: int | None, blocks: bool, artefacts: str) -> None:
    """t ~ U(0, 1 − Δt), t' ~ U(Δt, 1 − t), seen in what is masked in x_t and in what the draft saw."""
    clean, editable, keys = batch(10)
    given = torch.tensor([[1] * 5 + [2] * 5]).expand(COUNT, -1) if blocks else None
    length = 5 if blocks else 10
    seen: list[Tensor] = []

    def draft(tokens: Tensor) -> Tensor:
        seen.append(tokens)
        return favours(1)(tokens)  # type: ignore[operator]

    rule = FCA(artefacts=artefacts, steps=steps)  # type: ignore[arg-type]
    out = rule.corrupt(Batch(clean, editable, keys, SMALL, given), draft)
    dt = 2 / length if steps is None else 1 / steps
    chosen = out.sets["artefact"]
    assert torch.equal(out.sets["wrong"], chosen)
    want = max(1, math.floor(length * dt + 1e-9))
    per_canvas = chosen.view(COUNT, -1, length).sum(2)
    assert int(per_canvas.max()) == want
    # Artefacts may stand where x_t was masked, so what x_t masked is known of the two other kinds only.
    if artefacts != "self":
        masked = out.sets["masked"]
        close(masked[:, 0], (1 - dt) / 2)
        close(both(masked), square(0, 1 - dt))
        close(both(masked, 4, 5), (1 - dt) ** 2 / 4 if blocks else square(0, 1 - dt))
    if artefacts == "uniform":
        visible = (~out.sets["masked"]).view(COUNT, -1, length).sum(2)
        assert torch.equal(per_canvas, visible.clamp(max=want))
        assert not (out.input[chosen] == 1).any()
        assert not seen
        return
    hidden = seen[0] == 2
    t = (1 - dt) * GRID[::40, None]
    later = (t + dt) * torch.ones(500) if artefacts == "prism" else t + dt + (1 - t - dt) * GRID[::40][None]
    close(hidden[:, 0], float(later.mean()))
    close(both(hidden), float((later**2).mean()))
    among = hidden if artefacts == "self" else hidden & (chosen | ~out.sets["masked"])
    assert torch.equal(per_canvas, among.view(COUNT, -1, length).sum(2).clamp(max=want))
    assert not (chosen & ~hidden).any()
    assert (out.input[chosen] == 1).all()
    # Everything still masked was masked for the draft too, and no canvas favours a position.
    assert not (out.sets["masked"] & ~hidden).any()
    share = chosen.double().mean(0)
    assert float(share.max() - share.min()) < 6 * math.sqrt(0.25 / COUNT)


def test_fca_may_choose_what_was_masked_at_t_and_weighs_by_one_over_t() -> None:
    clean, editable, keys = batch(10)
    rule = FCA(gamma=2.0)
    out = rule.corrupt(Batch(clean, editable, keys, SMALL), favours(1))  # type: ignore[arg-type]
    plain = FCA(artefacts="uniform").corrupt(Batch(clean, editable, keys, SMALL))
    first = plain.sets["masked"]  # the same t and the same masks
    assert torch.equal(out.sets["masked"], first & ~out.sets["artefact"])
    assert (first & out.sets["artefact"]).any()
    joint = FCA(artefacts="uniform", gamma=1.0).corrupt(Batch(clean, editable, keys, SMALL))
    assert joint.apart is not None
    close(joint.apart.weights.sum(1), 1.0)  # E[1/t; masked] = 1 at every position
    visible = torch.where(out.sets["visible"], out.weights, 0).sum(1)
    torch.testing.assert_close(visible, torch.full_like(visible, 2.0))


def test_scope_clamps_its_mask_rate() -> None:
    """Sequences whose Beta(2, 2) draw lies outside [0.05, 0.95] are masked at those rates."""
    keys = fold(torch.tensor(9), torch.arange(COUNT))
    drawn = Draws(keys, torch.zeros(COUNT, 1), None).beta22(BETA_DRAW)[:, 0]
    for members, rate in ((drawn < 0.02, 0.05), (drawn > 0.98, 0.95)):
        clean = torch.full((int(members.sum()), 100), 5)
        everywhere = torch.ones_like(clean, dtype=torch.bool)
        rule = SCOPE(mdm_share=0, commit_rate=0)
        out = rule.corrupt(Batch(clean, everywhere, keys[members], SMALL), favours(1))  # type: ignore[arg-type]
        close(out.sets["masked"].flatten(), rate)
