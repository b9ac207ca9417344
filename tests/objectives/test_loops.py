"""Each objective equals its rule written as loops over positions: corruption, weights, sets and loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dlmsample.objectives.base import Batch, Outputs
from tests.objectives.common import IDS, VARIANTS, Toy, outputs, rows
from tests.objectives.loops import LOOPS, Row

WITH_LOOPS = [name for name in VARIANTS if name.split("-")[0] in LOOPS]


@pytest.mark.parametrize("with_blocks", [False, True])
@pytest.mark.parametrize("name", WITH_LOOPS)
def test_equals_the_loops(name: str, with_blocks: bool, full: bool) -> None:
    rule, loop = VARIANTS[name], LOOPS[name.split("-")[0]]
    count, width = (200 if full else 16), 19
    clean, editable, keys, blocks = rows(count, width)
    toy = Toy()
    out = rule.corrupt(Batch(clean, editable, keys, IDS, blocks if with_blocks else None), toy)
    output = outputs(rule, (count, width))
    losses = []
    for r in range(count):
        row = Row(
            clean[r].tolist(),
            editable[r].tolist(),
            blocks[r].tolist() if with_blocks else [0] * width,
            keys[r],
        )
        with torch.no_grad():
            want = loop(rule, row, lambda ids: toy(torch.tensor([ids]))[0].tolist())  # type: ignore[arg-type]
        assert out.input[r].tolist() == want.tokens
        assert {key: members[r].nonzero()[:, 0].tolist() for key, members in out.sets.items()} == want.sets
        torch.testing.assert_close(out.weights[r], torch.tensor(want.weights), rtol=1e-5, atol=0)
        first = output.of_input if isinstance(output, Outputs) and output.of_input is not None else output
        losses.append(loop_loss(first, r, want.tokens, want.weights, clean[r].tolist(), upweighted(rule)))
        assert (out.apart is None) == (want.apart is None)
        if out.apart is not None and want.apart is not None:
            tokens, weights = want.apart
            assert out.apart.input[r].tolist() == tokens
            torch.testing.assert_close(out.apart.weights[r], torch.tensor(weights), rtol=1e-5, atol=0)
            assert isinstance(output, Outputs)
            losses[-1] += loop_loss(output.logits, r, tokens, weights, clean[r].tolist())
    assert torch.equal(out.targets, clean)
    assert rule.loss(output, out)[0].item() == pytest.approx(sum(losses) / count, rel=1e-5)


def upweighted(rule: object) -> bool:
    """Whether a right token counts by its probability, not by its logarithm."""
    return getattr(rule, "errors_upweighted", False)


def loop_loss(
    output: Tensor | Outputs,
    r: int,
    tokens: list[int],
    weights: list[float],
    clean: list[int],
    upweighted: bool = False,
) -> float:
    """Sum of weight times term: binary where there is an error logit and the token is visible."""
    both = isinstance(output, Outputs)
    error = output.error if both else output if output.ndim == 2 else None
    logits = output.logits if both else output
    total = 0.0
    for i, weight in enumerate(weights):
        if weight == 0:
            continue
        if error is not None and tokens[i] != IDS.mask:
            p = 1 / (1 + math.exp(-error[r, i].item()))
            term = -math.log(p if tokens[i] != clean[i] else 1 - p)
        else:
            scores = logits[r, i].tolist()
            term = math.log(math.fsum(math.exp(x) for x in scores)) - scores[clean[i]]
            if upweighted and tokens[i] == clean[i]:
                term = -math.exp(-term)
        total += weight * term
    return total


def test_the_variants_reach_every_set() -> None:
    """Otherwise the comparisons above would prove little."""
    clean, editable, keys, blocks = rows(16, 19)
    for name in WITH_LOOPS:
        for given in (None, blocks):
            out = VARIANTS[name].corrupt(Batch(clean, editable, keys, IDS, given), Toy())
            some = {"scope-mdm": {"wrong_commit", "right_commit"}, "random_t2t-masks": {"wrong"}}
            allowed_empty = some.get(name, {"right_commit"})
            assert {key for key, members in out.sets.items() if not members.any()} <= allowed_empty, name
