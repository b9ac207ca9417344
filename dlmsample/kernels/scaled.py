"""Products in which the values are rounded to eight bits as well as the weight: what tensor cores multiply fastest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dlmsample.kernels.narrow import narrow
from dlmsample.kernels.product import MOST_ROWS, launch, part_count
from dlmsample.kernels.support import reads_narrow

STEP = 16
"""Sizes of a weight that the tensor cores' eight-bit products take are multiples of this."""


def scaled_product(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x [..., in]``, each position rounded to e4m3, times a weight in e4m3 ``[out, in]``, plus ``bias [out]``.

    Every position of ``x`` has a scale of its own, found by the rule of a weight's channels
    (:func:`~dlmsample.kernels.narrow.narrow`), so that no position depends on another. In bfloat16 on GPUs that read
    e4m3 the product is torch's scaled one, or for few rows that of :mod:`~dlmsample.kernels.multiply`; else it is
    computed in float32, of the same rounded numbers, or in float64 where ``x`` is.

    Args:
        x: of any float dtype.
        weight: e4m3.
        scale: float32 ``[out]``.
        bias: in the dtype of ``x``.

    Returns:
        ``[..., out]`` in the dtype of ``x``.

    Example:
        >>> weight, scale = narrow(torch.eye(2))
        >>> scaled_product(torch.tensor([[448.0, 1.05]]), weight, scale)
        tensor([[448.,   1.]])
    """
    small, own = narrow(x.reshape(-1, x.shape[-1]))
    by_tensor_cores = x.dtype == torch.bfloat16 and reads_narrow(x.device)
    if by_tensor_cores and len(small) <= MOST_ROWS and part_count(*weight.shape) and weight.is_contiguous():
        out = few_scaled(small, own, weight, scale)
    elif by_tensor_cores and not any(size % STEP for size in weight.shape):
        multiply: Any = torch._scaled_mm  # type: ignore[attr-defined]  # F.scaled_mm is not in every supported torch
        out = multiply(small, weight.t(), scale_a=own[:, None], scale_b=scale[None], out_dtype=x.dtype)
    else:
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        out = (F.linear(small.to(wide), weight.to(wide)) * own[:, None] * scale).to(x.dtype)
    out = out.view(*x.shape[:-1], len(weight))
    return out if bias is None else out + bias


@torch.library.custom_op("dlmsample::few_scaled", mutates_args=())
def few_scaled(x: Tensor, own: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """A product of few rows in e4m3 by the kernel, as one operation, which the compiler leaves whole.

    Args:
        x: e4m3 ``[row, in]``.
        own: float32 ``[row]``, its scales.
        weight: e4m3 ``[out, in]``.
        scale: float32 ``[out]``.

    Returns:
        bfloat16 ``[row, out]``.
    """
    return launch(x.contiguous(), weight, part_count(*weight.shape), scale, own.contiguous()).sum(0).bfloat16()


@few_scaled.register_fake
def _shape(x: Tensor, own: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], dtype=torch.bfloat16)
