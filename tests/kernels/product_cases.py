"""The product's kernel against plain torch; test_product.py runs this where Triton can run."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlmsample.kernels import product
from dlmsample.kernels.multiply import multiply
from dlmsample.kernels.product import is_few, launch, part_count, product_in_parts
from dlmsample.models.fusion.merge import few_linear

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


def test_nothing_past_the_rows_is_written() -> None:
    x, weight = (torch.ones(rows, 256, device=DEVICE, dtype=torch.float16) for rows in (5, 64))
    out = torch.full((16, 64), 7.0, device=DEVICE)
    run: Any = multiply[(1, 1)]
    run(x, weight, out, 5, 64, 256, 256, ROWS=16, FEATURES=64, WIDTH=128)
    assert out[:5].eq(256).all()
    assert out[5:].eq(7).all()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, let the kernel be interpreted where it would run."""
    if DEVICE == "cpu":
        monkeypatch.setattr(product, "is_few", lambda x: x.shape[:-1].numel() <= product.MOST_ROWS)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("shape", [(2, 3), (1, 32), (1, 33), (0, 4)])
def test_rows_of_any_shape(shape: tuple[int, int]) -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(256, *shape, generator=g).half().to(DEVICE).permute(1, 2, 0)  # not contiguous
    weight = torch.randn(128, 256, generator=g).half().to(DEVICE)
    got = product_in_parts(x, weight, 2)
    assert got.shape == (2, *shape, 128)
    assert got.is_contiguous()
    torch.testing.assert_close(got.sum(0), x.float() @ weight.float().T, rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("apart", [False, True])
def test_weights_side_by_side_or_apart(apart: bool) -> None:
    g = torch.Generator().manual_seed(0)
    whole = torch.randn(192, 256, generator=g).half().to(DEVICE)
    weights = [part.clone() if apart else part for part in whole.split([64, 128])]
    x = torch.randn(1, 4, 256, generator=g).half().to(DEVICE)
    got = few_linear(x, weights, 2).sum(0)
    torch.testing.assert_close(got, x.float() @ whole.float().T, rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_what_is_few_on_a_gpu() -> None:
    shapes = ((1, 32), (2, 16), (1, 33))
    assert [is_few(torch.zeros(*shape, 64, dtype=torch.float16, device=DEVICE)) for shape in shapes] == [
        True,
        True,
        False,
    ]
    assert not is_few(torch.zeros(1, 32, 64, device=DEVICE))


# Triton's interpreter multiplies bfloat16 as if it were integers.
@pytest.mark.parametrize("dtype", [torch.float16, *([torch.bfloat16] if DEVICE == "cuda" else [])])
def test_of_every_dtype(dtype: torch.dtype) -> None:
    parts = part_count(64, 1024)
    x, weight = (torch.ones(n, 1024, device=DEVICE, dtype=dtype) for n in (5, 64))
    assert launch(x, weight, parts).sum(0).eq(1024).all()
