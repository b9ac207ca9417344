"""Edit pieces: which visible tokens are replaced or reset to mask, and when a block that is edited is done."""

from __future__ import annotations

import torch
from torch import Tensor

from dlmsample.types import Block, Prediction


def disagrees(block: Block, pred: Prediction, level: float) -> Tensor:
    """Visible positions whose candidate differs from the standing token with ``c > level``; bool ``[row, pos]``.

    ``level = 0.0`` means *whenever the candidate differs*: a probability above 0.
    """
    return block.visible & (pred.prob > level) & (pred.token != block.tokens)


def settled(
    block: Block, tokens: Tensor, edited: Tensor, post: Tensor, max_post_steps: int, enabled: bool
) -> tuple[Tensor, Tensor]:
    """The *done* rule of T2T and T2M (arXiv:2602.08676, 2604.18738).

    A block is done after a step whose forward saw no mask in it and in which no edit fired, so that the last
    fill is examined once. At most ``max_post_steps`` forwards of a block see it free of masks, counted over the
    whole block and checked before the forward. With editing off no such forward is made. A block is never left
    with a mask in it.

    Args:
        block: as the forward saw it.
        tokens: int64 ``[row, pos]``, its next tokens.
        edited: bool ``[row]``, an edit fired in this step.
        post: int64 ``[row]``, forwards before this one that saw the block free of masks.
        max_post_steps: the limit on ``post``.
        enabled: False when the policy's options switch editing off.

    Returns:
        done, bool ``[row]``; the new ``post``.
    """
    saw_full = ~block.masked.any(-1)
    post = post + saw_full.long()
    full = ~(block.editable & (tokens == block.mask_id)).any(-1)
    if not enabled:
        return full, post
    return full & ((saw_full & ~edited) | (post >= max_post_steps)), post


def apply(block: Block, fill: Tensor, token: Tensor, remask: Tensor | None = None) -> Tensor:
    """The block's next tokens: ``token`` where ``fill``, the mask id where ``remask``, else as they stand."""
    tokens = torch.where(fill, token, block.tokens)
    return tokens if remask is None else torch.where(remask, block.mask_id, tokens)
