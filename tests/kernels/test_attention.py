"""Block attention: its kernels (in a process of their own, interpreted where there is no GPU) and its plain form."""

from __future__ import annotations

import pytest
import torch

from dlmsample.kernels.attention import alignment, block_attention, most_queries, split_count
from tests.kernels.process import needs_triton, run_cases


@needs_triton
def test_the_kernels_equal_plain_torch() -> None:
    run_cases("attention_cases.py")


def test_plain_torch_equals_softmax_by_hand() -> None:
    g = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(1, 2, 3, 4, generator=g), *torch.randn(2, 1, 1, 3, 4, generator=g)
    keys, values = torch.randn(2, 1, 1, 10, 4, generator=g)
    start, length = torch.tensor([5]), torch.tensor([7])  # the block's third position is padding
    seen = torch.cat([keys[0, 0, :5], k[0, 0, :2]]), torch.cat([values[0, 0, :5], v[0, 0, :2]])
    want = torch.stack([((q[0, h] @ seen[0].T) * 0.5).softmax(-1) @ seen[1] for h in range(2)], 1)
    got = block_attention(q, k, v, keys, values, start, length, 0.5)
    torch.testing.assert_close(got[0], want)
    assert torch.equal(keys[0, 0, 5:8], k[0, 0])
    assert torch.equal(values[0, 0, 5:8], v[0, 0])


def test_with_what_lies_behind_the_block_by_hand() -> None:
    g = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(1, 2, 3, 4, generator=g), *torch.randn(2, 1, 1, 3, 4, generator=g)
    keys, values = torch.randn(2, 1, 1, 10, 4, generator=g)
    seen = [torch.cat([kept[0, 0, :5], own[0, 0], kept[0, 0, 8:9]]) for kept, own in ((keys, k), (values, v))]
    want = torch.stack([((q[0, h] @ seen[0].T) * 0.5).softmax(-1) @ seen[1] for h in range(2)], 1)
    before = keys[0, 0].clone()
    got = block_attention(q, k, v, keys, values, torch.tensor([5]), torch.tensor([9]), 0.5, True)
    torch.testing.assert_close(got[0], want)
    assert torch.equal(keys[0, 0], torch.cat([before[:5], k[0, 0], before[8:]]))


def test_the_operation_is_what_it_says_to_the_compiler() -> None:
    q, k, v = torch.randn(2, 4, 8, 16), *torch.randn(2, 2, 2, 8, 16)
    keys, values = torch.randn(2, 3, 2, 40, 16)
    given = (q, k, v, keys, values, torch.tensor([0, 16]), torch.tensor([8, 20]), 0.25)
    for whole in (False, True):
        torch.library.opcheck(block_attention, (*given, whole))


@pytest.mark.parametrize(
    ("programs", "capacity", "splits"), [(32, 384, 4), (16, 4096, 8), (32, 200, 2), (128, 4096, 1), (1, 64, 1)]
)
def test_few_programs_split_the_keys(programs: int, capacity: int, splits: int) -> None:
    assert split_count(programs, capacity) == splits


def test_alignment_is_that_of_the_worst_address() -> None:
    whole = torch.zeros(2, 3, 8, 16, dtype=torch.bfloat16)
    assert alignment(whole) == 16
    assert alignment(whole, whole[..., 1:]) == 2
    assert alignment(whole[..., 4:]) == 8
    assert alignment(torch.zeros(1, 2, 3, 9)) == 4


def test_large_queries_come_in_smaller_tiles() -> None:
    sizes = [(torch.float32, 128), (torch.bfloat16, 256), (torch.bfloat16, 128)]
    assert [most_queries(*size) for size in sizes] == [16, 32, 64]
