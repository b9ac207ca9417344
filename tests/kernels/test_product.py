"""Products of few rows: the kernel (in a process of its own, interpreted where there is no GPU) and its plain form."""

from __future__ import annotations

import pytest
import torch

from dlmsample.kernels.product import is_few, part_count, product_in_parts, takes
from dlmsample.models.fusion.merge import few_linear
from tests.kernels.process import needs_triton, run_cases


@needs_triton
def test_the_kernel_equals_plain_torch() -> None:
    run_cases("product_cases.py")


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_parts_sum_to_the_product(parts: int) -> None:
    g = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 3, 64, generator=g), torch.randn(5, 64, generator=g)
    got = product_in_parts(x, weight, None, parts)
    assert got.shape == (parts, 2, 3, 5)
    torch.testing.assert_close(got.sum(0), x @ weight.T)


def test_parts_are_summed_in_float32_and_one_part_is_not_widened() -> None:
    x, weight = torch.ones(1, 64, dtype=torch.bfloat16), torch.ones(2, 64, dtype=torch.bfloat16)
    assert product_in_parts(x, weight, None, 2).dtype == torch.float32
    assert product_in_parts(x, weight, None, 1).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("features", "width", "parts"),
    [
        (4096, 12288, 4),
        (12288, 4096, 1),
        (6144, 2560, 2),
        (2560, 9728, 4),
        (64, 384, 1),
        (4000, 4096, 0),
        (4096, 100, 0),
    ],
)
def test_inputs_are_split_where_outputs_are_few(features: int, width: int, parts: int) -> None:
    assert part_count(features, width) == parts


def test_the_operation_is_what_it_says_to_the_compiler() -> None:
    for parts in (1, 2):
        given = (torch.randn(2, 3, 64).bfloat16(), [torch.randn(n, 64).bfloat16() for n in (4, 8)], [], parts)
        torch.library.opcheck(few_linear, given)


def test_what_the_kernel_takes() -> None:
    weight = torch.zeros(128, 256, dtype=torch.bfloat16)
    assert takes(weight)
    assert takes(torch.nn.Parameter(weight))
    assert not takes(weight.float())
    assert not takes(weight[:, :200])
    assert not takes(weight.T.contiguous().T)
    assert not is_few(torch.zeros(1, 32, 64, dtype=torch.bfloat16))  # on the CPU no kernel runs
