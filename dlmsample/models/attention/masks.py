"""Boolean attention masks, ``[row, 1, query, key]``, True = visible. Never additive floats: SDPA would add a 0/1 mask.

All are made from a *block index* per position: 0 for the prompt block, 1, 2, ... for what follows. Padding keys are
invisible; padding queries see themselves, so that no softmax is over nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _with_self(mask: Tensor) -> Tensor:
    """Let every query of a square mask see itself."""
    return mask | torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)


def block_causal(blocks: Tensor, valid: Tensor) -> Tensor:
    """Whole-sequence mask: a query sees the keys of its own and of earlier blocks.

    Args:
        blocks: int ``[row, pos]`` block index of each position.
        valid: bool ``[row, pos]``, False for padding.
    """
    return _with_self((blocks[:, :, None] >= blocks[:, None, :]) & valid[:, None, :])[:, None]


def bidirectional(valid: Tensor) -> Tensor:
    """Whole-sequence mask: every query sees every valid key. ``valid``: bool ``[row, pos]``."""
    return _with_self(valid[:, None, :].expand(-1, valid.shape[1], -1))[:, None]


def two_stream(noisy_blocks: Tensor, noisy_valid: Tensor, clean_blocks: Tensor, clean_valid: Tensor) -> Tensor:
    """Training mask over ``noisy ‖ clean``: one pass gives the loss of every block of a block-causal model.

    A noisy query sees the noisy keys of its own block and the clean keys of earlier blocks; a clean query sees
    the clean keys of its own and of earlier blocks, and no noisy key.

    Args:
        noisy_blocks: int ``[row, n]`` block index of the noisy positions (usually the answer only).
        noisy_valid: bool ``[row, n]``.
        clean_blocks: int ``[row, m]`` block index of the clean positions (prompt and answer).
        clean_valid: bool ``[row, m]``.

    Returns:
        bool ``[row, 1, n + m, n + m]``.
    """
    nq, cq = noisy_blocks[:, :, None], clean_blocks[:, :, None]
    nk, ck = noisy_blocks[:, None, :], clean_blocks[:, None, :]
    nv, cv = noisy_valid[:, None, :], clean_valid[:, None, :]
    noisy = torch.cat([(nq == nk) & nv, (nq > ck) & cv], -1)
    clean = torch.cat([torch.zeros_like(cq & nk, dtype=torch.bool), (cq >= ck) & cv], -1)
    return _with_self(torch.cat([noisy, clean], 1))[:, None]
