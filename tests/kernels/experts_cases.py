"""The experts' kernels against a loop over slots; test_experts.py runs this where Triton can run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dlmsample.kernels.experts import FEATURES, launch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EXPERTS = 6


def weights(seed: int, width: int = 128, features: int = 64) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    gate_up = torch.randn(EXPERTS, 2 * features, width, generator=g) / width**0.5
    return gate_up.half(), (torch.randn(EXPERTS, width, features, generator=g) / features**0.5).half()


def slot_by_slot(hidden: Tensor, chosen: Tensor, share: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """In float64, a position and an expert at a time."""
    out = torch.zeros(hidden.shape, dtype=torch.float64)
    for position, (experts, shares) in enumerate(zip(chosen.tolist(), share.double().tolist(), strict=True)):
        for expert, part in zip(experts, shares, strict=True):
            gate, up = (gate_up[expert].double() @ hidden[position].double()).chunk(2)
            out[position] += part * (down[expert].double() @ (gate * gate.sigmoid() * up))
    return out


def check(hidden: Tensor, chosen: Tensor, share: Tensor, seed: int = 0, **sizes: int) -> None:
    gate_up, down = weights(seed, hidden.shape[1], **sizes)
    given = (hidden, chosen, share, gate_up, down)
    got = launch(*(t.to(DEVICE) for t in given)).cpu()
    assert got.dtype == hidden.dtype
    torch.testing.assert_close(got.double(), slot_by_slot(*given), rtol=5e-3, atol=5e-3)


def rows(positions: int, each: int, width: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(positions)
    chosen = torch.rand(positions, EXPERTS, generator=g).topk(each).indices
    return torch.randn(positions, width, generator=g).half(), chosen, torch.rand(positions, each, generator=g)


@pytest.mark.parametrize("positions", [1, 7, 33])
@pytest.mark.parametrize("each", [1, 3])
def test_positions_of_any_number(positions: int, each: int) -> None:
    check(*rows(positions, each))


def test_several_tiles_of_features_and_of_inputs() -> None:
    hidden, chosen, share = rows(9, 2, 3 * FEATURES)
    check(hidden, chosen, share, features=2 * FEATURES)


def test_an_expert_with_more_slots_than_a_tile_has_rows_and_experts_without_any() -> None:
    hidden, _, share = rows(70, 1)
    chosen = torch.full((70, 1), 4)
    chosen[13] = 0
    check(hidden, chosen, share)


def test_more_slots_than_are_looked_through_at_a_time() -> None:
    g = torch.Generator().manual_seed(0)
    chosen = torch.rand(1100, EXPERTS, generator=g).topk(1).indices
    hidden = torch.randn(1100, 64, generator=g).half()
    check(hidden, chosen, torch.rand(1100, 1, generator=g))


def test_no_positions() -> None:
    gate_up, down = weights(0)
    empty = torch.zeros(0, 128).half(), torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, 2)
    assert launch(*(t.to(DEVICE) for t in (*empty, gate_up, down))).shape == (0, 128)


def test_values_that_are_not_side_by_side() -> None:
    hidden, chosen, share = rows(5, 2)
    check(hidden.t().contiguous().t(), chosen.t().contiguous().t(), share.t().contiguous().t())


@pytest.mark.skipif(DEVICE == "cpu", reason="the interpreter multiplies bfloat16 as if it were integers")
def test_in_bfloat16_and_captured() -> None:
    hidden, chosen, share = rows(40, 2)
    given = [t.to(DEVICE) for t in (hidden, chosen, share, *weights(0))]
    given = [t.bfloat16() if t.dtype == torch.float16 else t for t in given]
    want = slot_by_slot(*(t.cpu() for t in given))
    torch.testing.assert_close(launch(*given).double().cpu(), want, rtol=4e-2, atol=4e-2)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = launch(*given)
    given[1].copy_(given[1].flip(0))
    graph.replay()
    torch.testing.assert_close(out, launch(*given))
