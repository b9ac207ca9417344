"""The product's kernel against plain torch; test_product.py runs this where Triton can run."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlmsample.kernels import product
from dlmsample.kernels.multiply import multiply
from dlmsample.kernels.narrow import narrow, widen
from dlmsample.kernels.product import is_few, launch, narrow_product, part_count, product_in_parts
from dlmsample.kernels.support import reads_narrow
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
    run: Any = multiply[(1, 1, 1)]
    run(x, weight, weight, x, out, 5, 64, 256, 256, ROWS=16, FEATURES=64, WIDTH=128, SCALED=False, NARROW=False)
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
    got = product_in_parts(x, weight, None, 2)
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
    got = few_linear(x, weights, [], 2).sum(0)
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


# ---- weights in eight bits

narrow_here = pytest.mark.skipif(
    DEVICE == "cuda" and not reads_narrow(torch.device(DEVICE)), reason="needs a GPU that reads e4m3"
)


@narrow_here
@pytest.mark.parametrize("dtype", [torch.float16, *([torch.bfloat16] if DEVICE == "cuda" else [])])  # see attention's
def test_every_number_of_eight_bits_is_read_as_it_is(dtype: torch.dtype) -> None:
    numbers = torch.arange(256, dtype=torch.uint8)
    numbers[numbers % 128 == 127] = 0  # not a number
    weight = numbers.expand(64, 256).contiguous().view(torch.float8_e4m3fn)
    x = torch.eye(256, dtype=dtype)[32 * torch.arange(8)[:, None] + torch.arange(32)]
    got = torch.stack([launch(rows.to(DEVICE), weight.to(DEVICE), 1, torch.ones(64, device=DEVICE)) for rows in x])
    assert torch.equal(got.flatten(0, 2).cpu().double(), weight.double().T)


@narrow_here
@pytest.mark.parametrize("rows", [1, 17, 128, 300])
@pytest.mark.parametrize("parts", [1, 4])
def test_a_weight_in_eight_bits(rows: int, parts: int) -> None:
    """Channels of very different scales, weights of very different sizes, and more rows than a tile has."""
    g = torch.Generator().manual_seed(rows)
    full = torch.randn(128, 512, generator=g) * 10 ** (-6 * torch.rand(128, 512, generator=g))
    full *= torch.logspace(-3, 1, 128)[:, None]
    x, (weight, scale) = torch.randn(rows, 512, generator=g).half(), narrow(full)
    assert weight.float().abs().lt(2**-6).any()  # numbers below the normal ones
    got = launch(x.to(DEVICE), weight.to(DEVICE), parts, scale.to(DEVICE)).sum(0).cpu()
    wide = weight.double() * scale.double()[:, None]
    want, size = x.double() @ wide.T, x.double().abs() @ wide.abs().T
    fine = 2**-24 if parts == 1 else 0  # float16's own steps below its normal numbers
    assert ((got.double() - want).abs() <= (2**-10 if parts == 1 else 2**-20) * size + fine).all()


@narrow_here
@pytest.mark.parametrize("rows", [1, 17, 32])
@pytest.mark.parametrize("parts", [1, 4])
def test_rows_in_eight_bits_too(rows: int, parts: int) -> None:
    g = torch.Generator().manual_seed(rows)
    weight, scale = narrow(torch.randn(128, 1024, generator=g) * torch.logspace(-3, 1, 128)[:, None])
    x, own = narrow(torch.randn(rows, 1024, generator=g) * torch.logspace(-2, 2, rows)[:, None])
    got = launch(*(t.to(DEVICE) for t in (x, weight)), parts, scale.to(DEVICE), own.to(DEVICE)).sum(0).cpu()
    assert got.dtype == torch.float32
    wide = weight.double() * scale.double()[:, None]
    given = x.double() * own.double()[:, None]
    fine = 2**-9 if DEVICE == "cuda" else 2**-20  # tensor cores add eight-bit numbers with 14 bits
    assert ((got.double() - given @ wide.T).abs() <= fine * (given.abs() @ wide.abs().T)).all()


@narrow_here
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (1, 200), (5, 0)])
def test_a_layer_in_eight_bits(shape: tuple[int, int], bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is launched, and what is made of its parts."""
    if DEVICE == "cpu":
        monkeypatch.setattr(product, "_narrow_parts", lambda x, weight: 2)
    g = torch.Generator().manual_seed(0)
    weight, scale = (part.to(DEVICE) for part in narrow(torch.randn(64, 512, generator=g)))
    x = torch.randn(512, *shape, generator=g).half().to(DEVICE).permute(1, 2, 0)  # not contiguous
    shift = torch.randn(64, generator=g).half().to(DEVICE) if bias else None
    got = narrow_product(x, weight, scale, shift)
    want = x.float() @ widen(weight, scale, torch.float32).T + (0 if shift is None else shift.float())
    assert (got.dtype, got.shape) == (torch.float16, (*shape, 64))
    torch.testing.assert_close(got.float(), want, rtol=2e-3, atol=2e-2)


@narrow_here
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("apart", [False, True])
def test_weights_in_eight_bits_side_by_side_or_apart(apart: bool) -> None:
    g = torch.Generator().manual_seed(0)
    whole, scale = (part.to(DEVICE) for part in narrow(torch.randn(192, 256, generator=g)))
    pieces = [[p.clone() if apart else p for p in part.split([64, 128])] for part in (whole, scale)]
    x = torch.randn(1, 4, 256, generator=g).half().to(DEVICE)
    got = few_linear(x, *pieces, 2).sum(0)
    torch.testing.assert_close(got, x.float() @ widen(whole, scale, torch.float32).T, rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(DEVICE == "cpu" or not reads_narrow(torch.device(DEVICE)), reason="needs a GPU that reads e4m3")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rows", [32, 256, 2048])
def test_on_a_gpu_the_kernel_and_the_widened_weight_agree(rows: int, dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    weight, scale = (part.to(DEVICE) for part in narrow(torch.randn(256, 1024, generator=g)))
    x = torch.randn(rows, 1024, generator=g).to(DEVICE, dtype)
    want = x.float() @ widen(weight, scale, torch.float32).T
    torch.testing.assert_close(narrow_product(x, weight, scale).float(), want, rtol=2e-2, atol=1)
