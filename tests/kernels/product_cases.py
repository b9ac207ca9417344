"""The product's kernel against plain torch; test_product.py runs this where Triton can run."""

from __future__ import annotations

import pytest
import torch

from dlmsample.kernels.product import launch, part_count

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("rows", [1, 3, 16, 33])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_rows_of_any_number(rows: int, parts: int) -> None:
    g = torch.Generator().manual_seed(rows)
    x, weight = (torch.randn(n, 512, generator=g).half().to(DEVICE) for n in (rows, 128))
    got = launch(x, weight, parts)
    pairs = zip(x.float().chunk(parts, 1), weight.float().chunk(parts, 1), strict=True)
    want = torch.stack([a @ b.T for a, b in pairs])
    assert got.shape == (parts, rows, 128)
    torch.testing.assert_close(got.float(), want, rtol=2e-3 if parts == 1 else 1e-5, atol=1e-3)


def test_nothing_past_the_rows_is_written_or_read() -> None:
    x = torch.full((20, 256), float("nan"), device=DEVICE, dtype=torch.float16)
    x[:17] = 1.0
    got = launch(x[:17], torch.ones(64, 256, device=DEVICE, dtype=torch.float16), 2)
    assert torch.equal(got, torch.full((2, 17, 64), 128.0, device=DEVICE))


# Triton's interpreter multiplies bfloat16 as if it were integers.
@pytest.mark.parametrize("dtype", [torch.float16, *([torch.bfloat16] if DEVICE == "cuda" else [])])
def test_of_every_dtype(dtype: torch.dtype) -> None:
    parts = part_count(64, 1024)
    x, weight = (torch.ones(n, 1024, device=DEVICE, dtype=dtype) for n in (5, 64))
    assert launch(x, weight, parts).sum(0).eq(1024).all()
