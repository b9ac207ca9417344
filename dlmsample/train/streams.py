"""From a batch of rows to the model's input: two streams if block-causal, one if bidirectional."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlmsample.models.masks import bidirectional
from dlmsample.train.data import Rows, input_lengths, round_up


class Layout(NamedTuple):
    """Everything about a micro-batch that does not depend on the corruption; ``n`` is the window axis.

    ``clean``, ``editable``, ``blocks`` are what an objective gets: the answer window alone, left-aligned.
    """

    clean: Tensor
    """int64 ``[row, n]`` the window's ids."""
    editable: Tensor
    """bool ``[row, n]``; False is padding."""
    blocks: Tensor | None
    """int64 ``[row, n]`` block index from 1; None for a bidirectional model."""
    keys: Tensor
    """int64 ``[row]``."""
    base: Tensor
    """int64 ``[row, input]`` the model's input wherever it is not the noisy window."""
    noisy: Tensor
    """bool ``[row, input]``: here the input is the noisy window's token number ``slot``."""
    slot: Tensor
    """int64 ``[row, input]``."""
    positions: Tensor
    """int64 ``[row, input]`` position ids."""
    mask: Tensor
    """bool ``[row, 1, input, input]``."""
    take: Tensor | None
    """int64 ``[row, n]`` where the window stands in the input; None: in its first n positions."""


def packed_mask(blocks: Tensor, noisy: Tensor, valid: Tensor) -> Tensor:
    """:func:`dlmsample.models.masks.two_stream` for rows that hold their two streams packed, at offsets of
    their own.

    Args:
        blocks: int ``[row, pos]`` block index of each position, of either stream.
        noisy: bool ``[row, pos]``: the position belongs to the noisy stream.
        valid: bool ``[row, pos]``, False for padding.

    Returns:
        bool ``[row, 1, pos, pos]``.
    """
    query, key = blocks[:, :, None], blocks[:, None, :]
    own = noisy[:, :, None] & (query == key)
    earlier = (query - noisy[:, :, None].to(blocks.dtype)) >= key
    mask = torch.where(noisy[:, None, :], own, earlier) & valid[:, None, :]
    return (mask | torch.eye(blocks.shape[1], dtype=torch.bool, device=blocks.device))[:, None]


def layout(rows: Rows, attention: str, device: torch.device | str = "cpu") -> Layout:
    """Lay a micro-batch out for ``attention`` ("block_causal" or "bidirectional").

    Rule: block-causal input is ``noisy ‖ clean``, packed row by row: the window, then prompt + window up to
    its last block (which nobody reads); a window position has the same position id in both. The prompt is
    block 0, the window's blocks are 1, 2, ... of the row's block length ("prompt" alignment). Bidirectional
    input is prompt + noisy window.

    Source: two streams as in block diffusion, arXiv:2503.09573; the noisy stream leaves the prompt out,
    since no prompt is ever corrupted or supervised.
    """
    tokens = torch.from_numpy(rows.tokens).to(device, torch.int64)
    prompt, window, block = (
        torch.from_numpy(a).to(device, torch.int64)[:, None] for a in (rows.prompt, rows.window, rows.block)
    )
    keys = torch.from_numpy(rows.keys).to(device)
    offset, last = torch.arange(rows.noisy, device=device)[None], tokens.shape[1] - 1
    editable, inside = offset < window, (prompt + offset).clamp(max=last)
    clean = tokens.gather(1, inside)
    width = round_up(int(input_lengths(rows.prompt, rows.window, rows.block, attention).max()))
    index = torch.arange(width, device=device)[None].expand(len(tokens), -1)
    if attention == "bidirectional":
        slot = index - prompt
        noisy = (slot >= 0) & (slot < window)
        base, slot = tokens[:, :width], slot.clamp(0, rows.noisy - 1)
        mask = bidirectional(index < prompt + window)
        return Layout(clean, editable, None, keys, base, noisy, slot, index, mask, inside)
    noisy = index < window
    positions = torch.where(noisy, prompt + index, index - window)
    blocks = torch.where(positions < prompt, 0, (positions - prompt) // block + 1)
    valid = index < window + prompt + (window - 1) // block * block
    mask = packed_mask(blocks.int(), noisy, valid)
    base, slot = tokens.gather(1, positions.clamp(max=last)), index.clamp(max=rows.noisy - 1)
    return Layout(clean, editable, offset // block + 1, keys, base, noisy, slot, positions, mask, None)


def model_input(batch: Layout, window: Tensor) -> Tensor:
    """The ids the model sees, int64 ``[row, input]``, for a (corrupted) window ``[row, n]``."""
    return torch.where(batch.noisy, window.gather(1, batch.slot), batch.base)


class StreamModel(nn.Module):
    """A stock causal-LM module called on streams; wrappers (DDP, FSDP, autocast) go around this one forward.

    The vocabulary head runs on the window's positions only. ``module`` stays a plain transformers model (or
    one with LoRA layers inside), so its weight names are what a checkpoint holds.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Layout, window: Tensor) -> Tensor:
        """Logits ``[row, n, vocab]`` of the window when its tokens are ``window`` ``[row, n]``."""
        hidden = self.module.get_decoder()(
            input_ids=model_input(batch, window),
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
        ).last_hidden_state
        if batch.take is None:
            hidden = hidden[:, : window.shape[1]]
        else:
            hidden = hidden.gather(1, batch.take[..., None].expand(-1, -1, hidden.shape[-1]))
        return self.module.get_output_embeddings()(hidden)
