"""Shadow blocks: what the model says of each position of a block when it does not see the token there.

A shadow is a mask token beside the canvas, with the position of a token that it does not see; nothing sees a shadow, so
the canvas is computed as without. One forward of two blocks then gives a second distribution for every position (WINO,
arXiv:2507.18578). A shadow stands in for a forward in which its position is masked; other tokens, which do see the
hidden token, still know of it from the second layer on. Models that take no boolean ``[row, 1, query, key]`` masks, or
whose logits are shifted, cannot have shadows: they get one copy of the canvas for every position, with that position
masked, which is exact and costs as many forwards.
"""

from __future__ import annotations

import torch
from einops import repeat
from torch import Tensor

from dlmsample.models.attention.base import select
from dlmsample.models.attention.cached import Body
from dlmsample.models.denoiser import Denoiser


def takes_shadows(model: Denoiser) -> bool:
    """Whether shadows can stand beside the model's canvas; else it needs copies of the canvas.

    Example:
        >>> import dlmsample as ds
        >>> takes_shadows(ds.load("nano"))
        True
    """
    return model.interface.kind == "decoder" and not model.facts.logit_shift


def mask_beside(mask: Tensor, active: Tensor) -> Tensor:
    """The mask of a canvas with shadows behind it: each sees what its position sees, but itself instead of its token.

    Args:
        mask: bool ``[row, 1, query, key]`` of the canvas.
        active: int64 ``[row, pos]``, the positions that have a shadow.

    Returns:
        bool ``[row, 1, query + pos, key + pos]``.
    """
    count, keys = active.shape[1], mask.shape[-1]
    index = repeat(active, "row pos -> row 1 pos key", key=keys)
    seen = mask.expand(len(active), -1, -1, -1).gather(2, index)
    hidden = active[:, :, None] == torch.arange(keys, device=mask.device)
    itself = torch.eye(count, dtype=torch.bool, device=mask.device).expand(len(active), 1, -1, -1)
    shadows = torch.cat([seen & ~hidden[:, None], itself], -1)
    canvas = torch.nn.functional.pad(mask.expand(len(active), -1, -1, -1), (0, count))
    return torch.cat([canvas, shadows], 2)


def from_copies(
    body: Body, canvas: Tensor, positions: Tensor, mask: Tensor, active: Tensor, mask_id: int, shift: bool
) -> Tensor:
    """Logits ``[row, pos, vocab]`` at the active positions, each from a copy of the canvas in which it is masked.

    Args:
        body: of the model.
        canvas: int64 ``[row, key]``.
        positions: int64 ``[row, key]``.
        mask: bool ``[row, 1, query, key]`` of the canvas.
        active: int64 ``[row, pos]``.
        mask_id: of the model.
        shift: a position is predicted from the one before it.
    """
    rows, count = active.shape
    at = active.reshape(-1, 1)
    ids = canvas.repeat_interleave(count, 0).scatter(1, at, mask_id)
    out = body(ids, positions.repeat_interleave(count, 0), mask.repeat_interleave(count, 0), None)
    hidden = select(out.last_hidden_state, (at - 1).clamp(min=0) if shift else at)
    return body.logits(hidden.reshape(rows, count, -1), canvas)
