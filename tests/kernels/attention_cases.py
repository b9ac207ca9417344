"""Block attention's kernels against plain torch; test_attention.py runs this where Triton can run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dlmsample.kernels.attention import launch, plain

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAN = float("nan")


class Case:
    """Random queries, keys and values of some rows, and caches that hold NaN where nothing may be read."""

    def __init__(self, rows: int, heads: int, kv: int, width: int, size: int, capacity: int, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g).to(DEVICE)

        self.q = random(rows, width, heads, size).transpose(1, 2)  # as a layer's view of [row, pos, head, size]
        self.k, self.v = (random(rows, width, kv, size).transpose(1, 2) for _ in "kv")
        self.start = torch.randint(0, capacity - width + 1, (rows,), generator=g).to(DEVICE)
        self.start[0] = 0
        self.length = (self.start + torch.randint(1, width + 5, (rows,), generator=g).to(DEVICE)).clamp(max=capacity)
        self.keys, self.values = random(rows + 1, kv, capacity, size), random(rows + 1, kv, capacity, size)
        for row, start in enumerate(self.start.tolist()):
            self.keys[row, :, start:] = NAN
            self.values[row, :, start:] = NAN
        self.real = torch.arange(width, device=DEVICE) < (self.length - self.start)[:, None]

    def see_all(self, lengths: list[int]) -> Case:
        """Let queries see what the cache holds behind the blocks, and NaN stand where nothing may be read."""
        self.length = torch.tensor(lengths, device=DEVICE)
        g = torch.Generator().manual_seed(9)
        for row, length in enumerate(lengths):
            start, end = int(self.start[row]), min(int(self.start[row]) + self.q.shape[2], length)
            for kept in (self.keys, self.values):
                behind = torch.randn(kept[row, :, end:length].shape, generator=g).to(kept)
                kept[row, :, :start] = kept[row, :, :start].nan_to_num(0.5)
                kept[row, :, start:end], kept[row, :, end:length], kept[row, :, length:] = NAN, behind, NAN
        self.real = torch.arange(self.q.shape[2], device=DEVICE) < (self.length - self.start)[:, None]
        return self

    def check(self, tolerance: float = 2e-6, **options: Any) -> None:
        caches = [(self.keys.clone(), self.values.clone()) for _ in range(2)]
        given = (self.start, self.length, self.q.shape[-1] ** -0.5)
        want = plain(self.q, self.k, self.v, *caches[0], *given, whole=bool(options.get("whole")))
        got = launch(self.q, self.k, self.v, *caches[1], *given, **options)
        assert got.shape == want.shape
        torch.testing.assert_close(got[self.real], want[self.real], rtol=0, atol=tolerance)
        for one, other in zip(*caches, strict=True):  # the same was written, and nothing else
            assert torch.equal(one.nan_to_num(7.0), other.nan_to_num(7.0))


@pytest.mark.parametrize("splits", [1, 2, 4])
def test_rows_at_their_own_places(splits: int) -> None:
    Case(rows=3, heads=2, kv=2, width=8, size=16, capacity=150).check(splits=splits)


@pytest.mark.parametrize("splits", [1, 4])
def test_heads_that_share_keys(splits: int) -> None:
    Case(rows=2, heads=4, kv=2, width=8, size=16, capacity=90, seed=1).check(splits=splits)


def test_more_queries_than_a_tile_holds_and_more_keys_than_one_step() -> None:
    Case(rows=1, heads=2, kv=1, width=37, size=16, capacity=80, seed=2).check(tile=16, splits=2, keys_at_once=16)


@pytest.mark.parametrize("splits", [1, 4])
def test_what_lies_behind_a_block_is_seen_too(splits: int) -> None:
    case = Case(rows=3, heads=4, kv=2, width=8, size=16, capacity=150, seed=7)
    case.start = torch.tensor([0, 40, 139], device=DEVICE)
    case.see_all([100, 48, 145]).check(splits=splits, whole=True)


def test_a_wide_block_may_reach_beyond_the_cache() -> None:
    case = Case(rows=3, heads=2, kv=1, width=37, size=16, capacity=60, seed=8)
    case.start = torch.tensor([50, 3, 30], device=DEVICE)
    case.see_all([60, 60, 41]).check(tile=16, splits=2, keys_at_once=16, whole=True)


def test_sizes_that_are_no_powers_of_two() -> None:
    Case(rows=2, heads=2, kv=1, width=5, size=24, capacity=61, seed=3).check()


def test_before_any_history_a_block_sees_itself() -> None:
    case = Case(rows=2, heads=2, kv=2, width=8, size=16, capacity=40)
    case.start.zero_()
    case.length.fill_(8)
    case.real.fill_(True)
    case.keys.fill_(NAN)
    case.values.fill_(NAN)
    case.check(splits=4)


def test_more_splits_than_there_are_keys() -> None:
    case = Case(rows=2, heads=2, kv=2, width=8, size=16, capacity=40)
    case.start.fill_(3)
    case.length.fill_(11)
    case.real.fill_(True)
    case.keys[:, :, :3], case.values[:, :, :3] = 0.5, 0.25
    case.check(splits=8)


@pytest.mark.parametrize("size", [9, 17])
def test_vectors_at_odd_addresses(size: int) -> None:
    Case(rows=2, heads=2, kv=1, width=5, size=size, capacity=61, seed=4).check(splits=2)


@pytest.mark.skipif(DEVICE == "cpu", reason="the interpreter multiplies bfloat16 as if it were integers")
@pytest.mark.parametrize(("kv", "size"), [(4, 128), (1, 128), (1, 256), (1, 80), (2, 17)])
def test_bfloat16_at_the_sizes_of_checkpoints(kv: int, size: int) -> None:
    case = Case(rows=3, heads=4, kv=kv, width=32, size=size, capacity=300, seed=5)
    for name in ("q", "k", "v", "keys", "values"):
        setattr(case, name, getattr(case, name).bfloat16())
    case.check(tolerance=2e-2)


@pytest.mark.skipif(DEVICE == "cpu", reason="slow where it is interpreted")
@pytest.mark.parametrize("size", [64, 128, 256])
def test_float32_at_the_sizes_of_checkpoints(size: int) -> None:
    Case(rows=3, heads=4, kv=1, width=32, size=size, capacity=300, seed=6).check(tolerance=1e-5)
