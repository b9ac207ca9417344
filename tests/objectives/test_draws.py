"""The pieces of every corruption against plain counting: ranks, sizes, shares and random tokens."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dlmsample.objectives.base import Ids
from dlmsample.objectives.draws import Draws, random_token, share_of
from dlmsample.rng import fold
from tests.objectives.common import IDS


@pytest.mark.parametrize("scores", ["ties", "distinct", "integers"])
def test_rank_and_size_count_within_the_canvas(scores: str) -> None:
    g = torch.Generator().manual_seed(0)
    count, width = 30, 23
    members = torch.rand(count, width, generator=g) < 0.6
    blocks = torch.randint(-2, 4, (count, width), generator=g, dtype=torch.int32)  # unsorted, negative: any label
    score = torch.rand(count, width, generator=g)
    if scores == "ties":
        score = (3 * score).floor()
        score[score == 2] = torch.inf
    if scores == "integers":
        score = fold(torch.arange(count)[:, None], torch.arange(width))
    for given in (None, blocks):
        draws = Draws(torch.arange(count), score, given)
        rank, size = draws.rank(score, members), draws.size(members)
        for r in range(count):
            canvas = [0] * width if given is None else blocks[r].tolist()
            for i in range(width):
                here = [j for j in range(width) if members[r, j] and canvas[j] == canvas[i]]
                assert int(size[r, i]) == len(here)
                if members[r, i]:
                    order = sorted(here, key=lambda j: (score[r, j].item(), j))
                    assert int(rank[r, i]) == order.index(i)


def test_share_of_is_the_exact_floor() -> None:
    counts = torch.arange(0, 3000)
    for rho in ("0", "0.001", "0.29", "0.3", "0.5", "0.57", "0.7", "0.999", "1"):
        got = share_of((float(rho), float(rho)), torch.tensor(0.4), counts)
        assert got.tolist() == [math.floor(Fraction(rho) * n) for n in counts.tolist()]


@pytest.mark.parametrize("special", [(0, 1, 2, 17), (2,), (39, 38, 0), (2, 5, 6, 7, 400, -1)])
def test_random_tokens_are_uniform_over_the_allowed(special: tuple[int, ...]) -> None:
    count = 100_000
    bits = fold(torch.tensor([[5]]), torch.arange(count))
    for gold in (0, 3, 16, 18, 39):
        tokens = random_token(torch.full((1, count), gold), bits, Ids(2, special, 40))
        allowed = sorted(set(range(40)) - {2, gold, *special})
        seen = torch.bincount(tokens[0], minlength=40)
        assert seen.nonzero()[:, 0].tolist() == allowed
        share = 1 / len(allowed)
        sigma = math.sqrt(count * share * (1 - share))
        assert (seen[allowed] - count * share).abs().max() < 4 * sigma


def test_random_tokens_enumerate_every_index() -> None:
    """Successive indices give successive allowed ids, whatever gold is."""
    for gold in range(40):
        allowed = [v for v in range(40) if v not in IDS.special and v != gold]
        index = torch.arange(len(allowed))[None]
        assert random_token(torch.full_like(index, gold), index, IDS)[0].tolist() == allowed
        wrapped = random_token(torch.full_like(index, gold), index - 2**63, IDS)[0].tolist()
        assert wrapped == allowed  # the sign bit is not used


def test_median_of_three_is_beta_2_2() -> None:
    count = 100_000
    keys = fold(torch.tensor(11), torch.arange(count))
    draw = Draws(keys, torch.zeros(count, 1), None).beta22(4)[:, 0].double()
    assert abs(draw.mean() - 0.5) < 4 * math.sqrt(0.05 / count)
    for x in (0.02, 0.05, 0.1, 0.25, 0.5, 0.7, 0.9, 0.95, 0.99):
        p = 3 * x**2 - 2 * x**3
        assert abs((draw < x).double().mean() - p) < 4 * math.sqrt(p * (1 - p) / count)


def test_canvas_draws_are_equal_within_and_independent_between() -> None:
    count = 100_000
    keys = fold(torch.tensor(2), torch.arange(count))
    draws = Draws(keys, torch.zeros(count, 3), torch.tensor([[1, 1, 2]]).expand(count, -1))
    for u in (draws.per_canvas(1), draws.per_canvas(4, 1), draws.beta22(4)):
        assert torch.equal(u[:, 0], u[:, 1])
        assert abs(torch.corrcoef(u[:, [0, 2]].T)[0, 1]) < 4 / math.sqrt(count)
    kinds = torch.stack([draws.per_position(kind)[:, 0] for kind in range(1, 16)])
    off = torch.corrcoef(kinds) - torch.eye(15)
    assert off.abs().max() < 4.5 / math.sqrt(count)  # 105 pairs
    assert draws.per_row(3).shape == (count, 1)
