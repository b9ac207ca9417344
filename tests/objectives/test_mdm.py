"""MDM against a loop over positions, its statistics, and what it must leave alone."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from dlmsample.objectives.base import Batch, Ids, Objective, objective
from dlmsample.objectives.mdm import MDM
from dlmsample.rng import fold, uniform

IDS = Ids(mask=2, special=(0, 1, 2), end=40)


def rows(count: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random clean ids, ragged editable regions (prompt before, padding behind), keys, blocks of 3."""
    g = torch.Generator().manual_seed(seed)
    clean = torch.randint(3, 40, (count, width), generator=g)
    first = torch.randint(0, width // 2, (count, 1), generator=g)
    last = torch.randint(width // 2, width + 1, (count, 1), generator=g)
    at = torch.arange(width)[None]
    editable = (at >= first) & (at < last)
    keys = torch.randint(-(2**62), 2**62, (count,), generator=g)
    return clean, editable, keys, ((at - first).div(3, rounding_mode="floor") + 1).clamp(min=0)


def oracle(
    clean: Tensor, editable: Tensor, keys: Tensor, blocks: Tensor | None, eps: float, logits: Tensor
) -> tuple[list[list[int]], list[list[float]], float]:
    """Eq. 3.1 of arXiv:2606.01026, one position at a time."""
    inputs, weights, losses = [], [], []
    for r in range(len(clean)):
        ids, row, loss = [], [], 0.0
        length = sum(bool(e) for e in editable[r])
        for i in range(clean.shape[1]):
            t = float(uniform(fold(keys[r], 1, 0 if blocks is None else int(blocks[r, i]))))
            p = (1 - eps) * t + eps
            masked = bool(editable[r, i]) and float(uniform(fold(keys[r], 2, i))) < p
            ids.append(IDS.mask if masked else int(clean[r, i]))
            row.append(1 / (p * length) if masked else 0.0)
            if masked:
                lse = math.log(sum(math.exp(float(x)) for x in logits[r, i]))
                loss += (lse - float(logits[r, i, clean[r, i]])) / p / length
        inputs.append(ids)
        weights.append(row)
        losses.append(loss)
    return inputs, weights, sum(losses) / len(losses)


@pytest.mark.parametrize("with_blocks", [False, True])
@pytest.mark.parametrize("eps", [1e-3, 0.3])
def test_equals_the_oracle(with_blocks: bool, eps: float) -> None:
    clean, editable, keys, blocks = rows(12, 17)
    given = blocks if with_blocks else None
    out = MDM(eps=eps).corrupt(Batch(clean, editable, keys, IDS, given))
    logits = torch.randn(12, 17, 40, generator=torch.Generator().manual_seed(1))
    inputs, weights, loss = oracle(clean, editable, keys, given, eps, logits)
    assert out.input.tolist() == inputs
    torch.testing.assert_close(out.weights, torch.tensor(weights), rtol=1e-5, atol=0)
    assert float(MDM(eps=eps).loss(logits, out)[0]) == pytest.approx(loss, rel=1e-5)


def test_the_loss_equals_cross_entropy_over_p() -> None:
    clean, editable, keys, _ = rows(5, 20)
    out = MDM().corrupt(Batch(clean, editable, keys, IDS))
    logits = torch.randn(5, 20, 40)
    ce = F.cross_entropy(logits.transpose(1, 2), clean, reduction="none")
    assert torch.allclose(MDM().loss(logits, out)[0], (ce * out.weights).sum(1).mean())


def test_statistics_of_the_draws() -> None:
    """10^5 rows: P(masked) = E[p]; only the positions of one block share t; E[1/p; masked] = 1."""
    count, eps = 100_000, 0.2
    clean = torch.full((count, 4), 5)
    keys = fold(torch.tensor(9), torch.arange(count))
    blocks = torch.tensor([[1, 1, 2, 2]]).expand(count, -1)
    out = MDM(eps=eps).corrupt(Batch(clean, torch.ones_like(clean, dtype=torch.bool), keys, IDS, blocks))
    masked = out.sets["masked"].double()
    mean, both = (1 + eps) / 2, (1 + eps + eps**2) / 3  # E[p], E[p^2] for p ~ U(eps, 1)
    sigma = math.sqrt(mean * (1 - mean) / count)
    assert (masked.mean(0) - mean).abs().max() < 4 * sigma
    for pair, expected in (((0, 1), both), ((2, 3), both), ((1, 2), mean**2), ((0, 3), mean**2)):
        joint = (masked[:, pair[0]] * masked[:, pair[1]]).mean()
        assert abs(joint - expected) < 4 * math.sqrt(expected * (1 - expected) / count)
    total = out.weights.double().sum(1) * 4  # per position E[1/p; masked] = 1
    assert abs(total.mean() - 4) < 4 * total.std() / math.sqrt(count)


def test_without_blocks_one_rate_per_sequence() -> None:
    clean = torch.full((2000, 64), 5)
    keys = fold(torch.tensor(1), torch.arange(2000))
    out = MDM().corrupt(Batch(clean, torch.ones_like(clean, dtype=torch.bool), keys, IDS))
    per_row = [set(w[w > 0].tolist()) for w in out.weights]
    assert max(len(values) for values in per_row) == 1
    share = out.sets["masked"].float().mean(1)
    assert share.std() > 0.25  # uniform rates have 0.29; one common rate would give 0.06


def test_prompt_and_padding_are_left_alone() -> None:
    clean, editable, keys, blocks = rows(200, 24)
    out = MDM(eps=0.9).corrupt(Batch(clean, editable, keys, IDS, blocks))
    assert torch.equal(out.input[~editable], clean[~editable])
    assert not out.weights[~editable].any()
    assert not out.sets["masked"][~editable].any()
    assert torch.equal(out.targets, clean)


def test_rows_are_independent_of_their_batch_and_pure() -> None:
    clean, editable, keys, blocks = rows(9, 16)
    before = clean.clone()
    whole = MDM().corrupt(Batch(clean, editable, keys, IDS, blocks))
    order = torch.tensor([4, 2, 7])
    part = MDM().corrupt(Batch(clean[order], editable[order], keys[order], IDS, blocks[order]))
    assert torch.equal(whole.input[order], part.input)
    assert torch.equal(whole.weights[order], part.weights)
    assert torch.equal(clean, before)


def test_gradient_reaches_masked_positions_only() -> None:
    clean, editable, keys, _ = rows(6, 18)
    out = MDM().corrupt(Batch(clean, editable, keys, IDS))
    logits = torch.randn(6, 18, 40, requires_grad=True)
    loss, metrics = MDM().loss(logits, out)
    loss.backward()
    assert logits.grad is not None
    touched = logits.grad.abs().sum(-1) > 0
    assert torch.equal(touched, out.sets["masked"])
    assert set(metrics) == {"share/masked", "ce/masked", "acc/masked"}
    assert not any(value.requires_grad for value in metrics.values())


def test_loss_is_float32_and_survives_a_row_without_editable_positions() -> None:
    clean, editable, keys, _ = rows(3, 12)
    editable[1] = False
    out = MDM().corrupt(Batch(clean, editable, keys, IDS))
    loss, _ = MDM().loss(torch.randn(3, 12, 40, dtype=torch.bfloat16), out)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_by_name_and_bad_options() -> None:
    made = objective("mdm", eps=0.5)
    assert isinstance(made, Objective)
    assert objective(made.name, **made.model_dump()) == made
    with pytest.raises(ValueError, match="did you mean 'mdm'"):
        objective("mdn")
    with pytest.raises(ValidationError, match="epz"):
        objective("mdm", epz=0.5)
    with pytest.raises(ValidationError):
        MDM(eps=0.0)


@pytest.mark.parametrize("with_blocks", [False, True])
def test_visible_tokens_and_a_range_of_rates_equal_a_loop(with_blocks: bool) -> None:
    clean, editable, keys, blocks = rows(12, 17)
    out = MDM(visible_weight=0.4, mask_ratio=(0.5, 0.9)).corrupt(
        Batch(clean, editable, keys, IDS, blocks if with_blocks else None)
    )
    for r in range(len(clean)):
        length = int(editable[r].sum())
        for i in range(clean.shape[1]):
            t = 0.5 + 0.4 * float(uniform(fold(keys[r], 1, int(blocks[r, i]) if with_blocks else 0)))
            p = 0.999 * t + 0.001
            masked = bool(editable[r, i]) and float(uniform(fold(keys[r], 2, i))) < p
            assert int(out.input[r, i]) == (IDS.mask if masked else int(clean[r, i]))
            weight = 1 / (p * length) if masked else 0.4 / length if editable[r, i] else 0.0
            assert float(out.weights[r, i]) == pytest.approx(weight, rel=1e-5)
    assert torch.equal(out.sets["right"], editable & (out.input != IDS.mask))
