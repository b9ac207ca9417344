"""From a batch of rows to the model's input: two streams if block-causal, one if bidirectional."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlmsample.models.attention.masks import bidirectional
from dlmsample.train.config import TrainConfig
from dlmsample.train.config.sections import Geometry
from dlmsample.train.data.source import Drawn

_ROUND = 32


class MicroBatch(NamedTuple):
    """One micro-batch as NumPy arrays: they cross from a worker through its pipe, without shared memory."""

    tokens: np.ndarray
    """int32 ``[row, pos]``: prompt, answer window, padding; pos is a multiple of 32."""
    prompt: np.ndarray
    """int32 ``[row]`` prompt length."""
    answer: np.ndarray
    """int32 ``[row]`` answer length, its EOS included."""
    window: np.ndarray
    """int32 ``[row]`` window length."""
    block: np.ndarray
    """int32 ``[row]`` block length."""
    keys: np.ndarray
    """int64 ``[row]`` one key per sequence."""
    noisy: int
    """The longest window, rounded up to a multiple of 32."""


class StreamLayout(NamedTuple):
    """Everything about a micro-batch that does not depend on the corruption; ``n`` is the window axis.

    ``clean``, ``editable``, ``blocks`` are what an objective gets: the answer window alone, left-aligned.
    """

    clean: Tensor
    """int64 ``[row, n]`` the window's ids."""
    editable: Tensor
    """bool ``[row, n]``; False is padding, a prompt's tail in the first block, or an EOS behind ``eos_tail``."""
    valid: Tensor
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
    real: Tensor
    """bool ``[row, input]``; False is padding."""
    mask: Tensor
    """bool ``[row, 1, input, input]``."""
    take: Tensor | None
    """int64 ``[row, n]`` where the window stands in the input; None: in its first n positions."""
    size: int
    """Positions of the input that are no padding, of all rows together."""


def cut(
    drawn: Drawn, window: np.ndarray, block: np.ndarray, parts: int, geometry: Geometry, pad: int
) -> list[MicroBatch]:
    """The rows of a batch as micro-batches of equal size, sorted by length first, so that padding is small.

    Args:
        drawn: the rows.
        window: int64 ``[row]``.
        block: int64 ``[row]``.
        parts: how many micro-batches.
        geometry: of the model.
        pad: fills the rest of a row.
    """
    order = np.argsort(input_lengths(drawn.prompt, window, block, geometry.attention), kind="stable")
    return [collate(drawn, rows, window, block, geometry.eos_ids[0], pad) for rows in np.split(order, parts)]


def collate(drawn: Drawn, rows: np.ndarray, window: np.ndarray, block: np.ndarray, eos: int, pad: int) -> MicroBatch:
    """The micro-batch of these rows (int indices): prompt, answer, EOS up to the window's end, padding.

    Args:
        drawn: rows of a batch.
        rows: which of them.
        window: int64 ``[row]`` of the whole batch.
        block: int64 ``[row]`` of the whole batch.
        eos: fills the rest of a window.
        pad: fills the rest of a row.
    """
    prompt = drawn.prompt[rows]
    written, end = prompt + drawn.answer[rows], prompt + window[rows]
    at = np.arange(round_up(int(end.max())))
    inside = drawn.start[rows][:, None] + np.minimum(at, written[:, None] - 1)
    filler = np.where(at < end[:, None], eos, pad)
    tokens = np.where(at < written[:, None], drawn.flat[inside], filler).astype(np.int32)
    return MicroBatch(
        tokens=tokens,
        prompt=prompt.astype(np.int32),
        answer=drawn.answer[rows].astype(np.int32),
        window=window[rows].astype(np.int32),
        block=block[rows].astype(np.int32),
        keys=drawn.keys.numpy()[rows],
        noisy=round_up(int(window[rows].max())),
    )


def round_up(length: int) -> int:
    """The next multiple of 32: few distinct shapes, and none that attention kernels dislike."""
    return -(-length // _ROUND) * _ROUND


def input_lengths(prompt: np.ndarray, window: np.ndarray, block: np.ndarray, attention: str) -> np.ndarray:
    """int ``[row]``: positions of the model's input (see :func:`dlmsample.train.data.layout.layout`)."""
    if attention == "bidirectional":
        return prompt + window
    return window + prompt + (window - 1) // block * block


def packed_mask(blocks: Tensor, noisy: Tensor, valid: Tensor) -> Tensor:
    """:func:`dlmsample.models.attention.masks.two_stream` for rows that hold their two streams packed, at offsets of
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


def extents(rows: MicroBatch, attention: str, alignment: str) -> tuple[np.ndarray, np.ndarray]:
    """Where each row's noisy window starts and how long it is, int ``[row]``.

    It is the answer window; for block-causal models of "absolute" alignment the prompt's tail that shares the
    answer's first block comes before it, except where the whole window is one block ("all" decodes in the
    "prompt" form for every model).
    """
    if (attention, alignment) != ("block_causal", "absolute"):
        return rows.prompt, rows.window
    tail = np.where(rows.block == rows.window, 0, rows.prompt % rows.block)
    return rows.prompt - tail, rows.window + tail


def layout(
    rows: MicroBatch,
    attention: str,
    device: torch.device | str = "cpu",
    *,
    alignment: str = "prompt",
    eos_tail: int | None = None,
) -> StreamLayout:
    """Lay a micro-batch out for ``attention`` ("block_causal" or "bidirectional").

    Rule: block-causal input is ``noisy ‖ clean``, packed row by row: the window, then prompt + window up to
    its last block (which nobody reads); a window position has the same position id in both. "prompt"
    ``alignment``: the prompt is block 0, the window's blocks are 1, 2, ... of the row's block length.
    "absolute": blocks count from the row's first token, so the window begins with the tail of the prompt that
    shares the answer's first block: visible, never corrupted nor supervised. Bidirectional input is prompt +
    noisy window. Behind the first ``eos_tail`` EOS of an answer nothing is corrupted or supervised.

    Source: two streams as in block diffusion, arXiv:2503.09573; the noisy stream leaves the prompt's own
    blocks out, since no prompt is ever corrupted or supervised. ``eos_tail``: arXiv:2601.06428, App. A.1.
    """
    start_, window_ = extents(rows, attention, alignment)
    ended = rows.window if eos_tail is None else np.minimum(rows.window, rows.answer + eos_tail - 1)
    one_ = (rows.block == rows.window) | (alignment == "prompt")  # the whole prompt is one block
    facts = np.stack([rows.keys, start_, window_, rows.prompt, rows.block, rows.prompt - start_ + ended, one_])
    tokens, (keys, *facts) = _send(rows.tokens, device).long(), _send(facts, device)
    start, window, prompt, block, end, one = (fact[:, None] for fact in facts)
    noisy_width = round_up(int(window_.max()))
    offset, last = torch.arange(noisy_width, device=device)[None], tokens.shape[1] - 1
    valid, inside = offset < window, (start + offset).clamp(max=last)
    editable = (offset >= prompt - start) & (offset < end)
    clean = tokens.gather(1, inside)
    total = input_lengths(start_, window_, rows.block, attention)
    width, size = round_up(int(total.max())), int(total.sum())
    index = torch.arange(width, device=device)[None].expand(len(tokens), -1)
    if attention == "bidirectional":
        slot = index - prompt
        noisy, real = (slot >= 0) & (slot < window), index < prompt + window
        base, slot = tokens[:, :width], slot.clamp(0, noisy_width - 1)
        mask = bidirectional(real)
        return StreamLayout(clean, editable, valid, None, keys, base, noisy, slot, index, real, mask, inside, size)
    noisy = index < window
    positions = torch.where(noisy, start + index, index - window)
    blocks = (positions - start).div(block, rounding_mode="floor") + 1
    blocks = torch.where(one.bool(), blocks.clamp(min=0), blocks)
    real = index < window + start + (window - 1) // block * block
    mask = packed_mask(blocks.int(), noisy, real)
    base, slot = tokens.gather(1, positions.clamp(max=last)), index.clamp(max=noisy_width - 1)
    own = offset // block + 1
    return StreamLayout(clean, editable, valid, own, keys, base, noisy, slot, positions, real, mask, None, size)


def _send(array: np.ndarray, device: torch.device | str) -> Tensor:
    """To the device without waiting for what it is doing, which only pinned memory allows."""
    tensor = torch.from_numpy(array)
    return (tensor.pin_memory() if torch.device(device).type == "cuda" else tensor).to(device, non_blocking=True)


def lengths(config: TrainConfig, rows: MicroBatch) -> np.ndarray:
    """int ``[row]``: positions of the model's input that are no padding."""
    geometry = config.geometry
    start, window = extents(rows, geometry.attention, geometry.block_alignment)
    return input_lengths(start, window, rows.block, geometry.attention)


def lay_out(config: TrainConfig, rows: MicroBatch, device: torch.device | str = "cpu") -> StreamLayout:
    """:func:`layout` as a run's configuration says."""
    geometry, tail = config.model.geometry, config.windows.eos_tail
    assert geometry is not None  # reading the recipe has filled it in
    return layout(rows, geometry.attention, device, alignment=geometry.block_alignment, eos_tail=tail)
