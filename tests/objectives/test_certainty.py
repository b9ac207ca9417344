"""Certainty-forcing against loops over positions, and what its loss pulls at."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dlmsample.objectives.base import Batch, Outputs
from dlmsample.objectives.certainty import Certainty
from dlmsample.rng import fold, uniform
from tests.objectives.common import IDS, VARIANTS, VOCAB, outputs, rows

RULES = {name: rule for name, rule in VARIANTS.items() if isinstance(rule, Certainty)}


def u(key: Tensor, *counters: int) -> float:
    return float(uniform(fold(key, *counters)))


def masks(rule: Certainty, key: Tensor, answer: list[int], blocks: list[int] | None) -> tuple[list[int], list[int]]:
    """Eq. 4: the masked positions of the active block, and those of the blocks behind it."""
    low, high = rule.mask_ratio
    if blocks is not None:
        return [i for i in answer if u(key, 2, i) < low + (high - low) * u(key, 1, blocks[i])], []
    size = rule.block_length or max(1, len(answer))
    cut = [answer[at : at + size] for at in range(0, len(answer), size)]
    if not cut:
        return [], []
    n = math.floor(u(key, 3) * len(cut))
    q = low + (high - low) * u(key, 1, 0)
    return [i for i in cut[n] if u(key, 2, i) < q], [i for block in cut[n + 1 :] for i in block]


def chances(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(x / temperature) for x in logits]
    return [x / math.fsum(powers) for x in powers]


@pytest.mark.parametrize("with_blocks", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_equals_the_loops(name: str, with_blocks: bool) -> None:
    rule, (count, width) = RULES[name], (16, 19)
    clean, editable, keys, blocks = rows(count, width)
    out = rule.corrupt(Batch(clean, editable, keys, IDS, blocks if with_blocks else None))
    # gold is likely, so that the masks predicted right are neither all nor none
    logits = torch.as_tensor(outputs(rule, (count, width))).detach() + 2.0 * torch.nn.functional.one_hot(clean, VOCAB)  # type: ignore[arg-type]
    losses, hits = [], 0
    for r in range(count):
        answer = [i for i in range(width) if editable[r, i]]
        active, later = masks(rule, keys[r], answer, blocks[r].tolist() if with_blocks else None)
        want = [IDS.mask if i in active + later else int(clean[r, i]) for i in range(width)]
        assert out.input[r].tolist() == want
        assert out.sets["masked"][r].nonzero()[:, 0].tolist() == active
        consistency, right, spread = 0.0, [], 0.0
        for i in active:
            gold, row = int(clean[r, i]), logits[r, i].tolist()
            consistency -= math.log(chances(row, 1.0)[gold]) / len(active)  # Eq. 5
            if max(range(VOCAB), key=lambda v: row[v]) == gold:  # Eq. 6
                right.append(i)
        for i in right:  # Eq. 7
            spread -= sum(p * math.log(p) for p in chances(logits[r, i].tolist(), rule.temperature)) / len(right)
        hits += 0 < len(right) < len(active)
        losses.append(consistency + rule.certainty_weight * spread)  # Eq. 8
    assert hits > 2
    loss, metrics = rule.loss(logits, out)
    assert float(loss) == pytest.approx(sum(losses) / count, rel=1e-5)
    assert float(rule.loss(Outputs(logits, logits[..., 0]), out)[0]) == float(loss)
    assert set(metrics) >= {"share/right", "acc/masked", "ce/masked", "entropy/masked", "entropy/right"}


def test_every_block_is_active_as_often() -> None:
    """10,000 answers of 10 tokens in blocks of 4: three blocks, the last one shorter; behind it all is masked."""
    count = 10_000
    clean, keys = torch.full((count, 12), 5), torch.arange(count) * 7919
    editable = torch.ones_like(clean, dtype=torch.bool)
    editable[:, :2] = False
    out = Certainty(block_length=4, mask_ratio=1).corrupt(Batch(clean, editable, keys, IDS))
    share = out.sets["masked"].float().mean(0).tolist()
    assert share == pytest.approx([0, 0, *[1 / 3] * 10], abs=0.02)
    hidden = (out.input == IDS.mask).float().mean(0).tolist()
    assert hidden == pytest.approx([0, 0, *[1 / 3] * 4, *[2 / 3] * 4, *[1] * 2], abs=0.02)


def test_the_entropy_pulls_at_right_predictions_alone() -> None:
    """Eq. 6: where the argmax is wrong, no weight of the certainty changes the gradient."""
    clean, every = torch.tensor([[5, 6]]), torch.ones(1, 2, dtype=torch.bool)
    grads = []
    for weight in (0.0, 2.0):
        rule = Certainty(mask_ratio=1, certainty_weight=weight)
        logits = torch.zeros(1, 2, VOCAB)
        logits[0, 0, 5] = logits[0, 1, 7] = 2.0  # right, wrong
        logits.requires_grad_()
        rule.loss(logits, rule.corrupt(Batch(clean, every, torch.tensor([1]), IDS)))[0].backward()
        assert logits.grad is not None
        grads.append(logits.grad)
    assert torch.equal(grads[0][0, 1], grads[1][0, 1])
    assert grads[1][0, 0, 5] < grads[0][0, 0, 5] < 0, "a right token's logit rises, and faster with the entropy"
