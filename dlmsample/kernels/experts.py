"""The experts of a mixture for few positions: as fast as their weights are read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dlmsample.kernels.support import HALF, power_of_two, runs_kernels

FEATURES, WIDTH = 64, 64
"""Of a tile of a weight; an expert's two sizes are multiples of both."""
LEAST, TALL = 16, 128
"""Rows of a tile: an expert's slots are cut into tiles of so many."""
CHUNK = 1024
"""Slots that are looked through at a time."""
MOST = 1 << 24
"""Entries of the list of every expert's slots, beyond which positions are no longer few."""
WARPS, STAGES = 4, 3


def fits(hidden: Tensor, chosen: Tensor, gate_up: Tensor, down: Tensor) -> bool:
    """Whether the kernels take these: on a GPU, in half precision, of suitable sizes, and not too many positions.

    Args:
        hidden: ``[position, width]``.
        chosen: ``[position, k]``.
        gate_up: ``[expert, 2 * features, width]``.
        down: ``[expert, width, features]``.
    """
    same = hidden.dtype in HALF and hidden.dtype == gate_up.dtype == down.dtype
    even = not any(size % tile for size in (hidden.shape[-1], down.shape[-1]) for tile in (FEATURES, WIDTH))
    few = chosen.numel() * len(gate_up) <= MOST
    whole = gate_up.is_contiguous() and down.is_contiguous()
    return hidden.is_cuda and same and even and few and whole and runs_kernels(hidden.device)


def experts(hidden: Tensor, chosen: Tensor, share: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """What the chosen experts make of each position, ``Σ_j share_j down_e(silu(gate_e x) * up_e x)`` with e = chosen_j.

    By the kernels where they take it (:func:`fits`), else by plain torch, an expert after the other, which waits for
    the device.

    Args:
        hidden: ``[position, width]``.
        chosen: experts of each position, ``[position, k]``, int64, each at most once; that each is one of
            the experts is not checked.
        share: their shares, ``[position, k]``, of any float dtype.
        gate_up: ``[expert, 2 * features, width]``, the gates' rows first.
        down: ``[expert, width, features]``.

    Returns:
        ``[position, width]`` in the dtype of ``hidden``.

    Example:
        >>> one = torch.ones(1, 2, 1)
        >>> experts(torch.tensor([[2.0]]), torch.tensor([[0]]), torch.tensor([[0.5]]), one, one[:, :1])
        tensor([[1.7616]])
    """
    if fits(hidden, chosen, gate_up, down):
        return launch(hidden, chosen, share, gate_up, down)
    out = hidden.new_zeros(hidden.shape, dtype=torch.promote_types(hidden.dtype, torch.float32))
    for expert in chosen.unique().tolist():
        position, place = (chosen == expert).nonzero(as_tuple=True)
        gate, up = F.linear(hidden[position], gate_up[expert]).chunk(2, -1)
        made = F.linear(F.silu(gate) * up, down[expert])
        out[position] += made.to(out.dtype) * share[position, place, None].to(out.dtype)
    return out.to(hidden.dtype)


def launch(
    hidden: Tensor,
    chosen: Tensor,
    share: Tensor,
    gate_up: Tensor,
    down: Tensor,
    tile: tuple[int, int] = (FEATURES, WIDTH),
    warps: int = WARPS,
    stages: int = STAGES,
) -> Tensor:
    """The same by the Triton kernels; the further arguments are for tuning."""
    from dlmsample.kernels import route as kernels

    (positions, width), (count, _, features) = hidden.shape, down.shape
    each, slots = chosen.shape[1], chosen.numel()
    hidden, chosen = hidden.contiguous(), chosen.contiguous()
    members = torch.empty(count, slots, dtype=torch.int32, device=hidden.device)
    counts = torch.empty(count, dtype=torch.int32, device=hidden.device)
    between = torch.empty(slots, features, dtype=hidden.dtype, device=hidden.device)
    out = torch.empty(slots, width, dtype=hidden.dtype, device=hidden.device)
    # half as many again as an expert has in the mean: few experts then need a second tile
    rows = min(TALL, max(LEAST, power_of_two(-(-3 * slots // (2 * count)))))
    sizes: dict[str, Any] = {"ROWS": rows, "FEATURES": tile[0], "WIDTH": tile[1]}
    sizes |= {"num_warps": warps, "num_stages": stages}
    # Any: Triton adds the launch's own arguments to a kernel's.
    assign: Any = kernels.assign[(count,)]
    into: Any = kernels.gate_and_up[(features // tile[0], count)]
    back: Any = kernels.down[(width // tile[0], count)]
    with torch.cuda.device_of(hidden):
        if slots:
            assign(chosen, members, counts, slots, CHUNK=CHUNK, num_warps=4)
            into(hidden, gate_up, members, counts, between, slots, each, features, width, **sizes)
            given = (between, down, share.float().contiguous(), members, counts, out, slots, width, features)
            back(*given, **sizes)
    return out.view(positions, each, width).sum(1)
