"""A batch of gold answers laid out for a model, and the model's forwards on what a corruption makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dlmsample.diagnose.examples import Gold
from dlmsample.models.attention import masks
from dlmsample.models.attention.cached import BlockCache, Body
from dlmsample.models.denoiser import Denoiser
from dlmsample.rng import sequence_key


class Canvas:
    """The answer windows of a batch, as an objective gets them, with the model's forwards.

    Rule: a window is the answer with its EOS and ends with it. Bidirectional models see prompt ‖ window. Block-causal
    ones see two streams, window ‖ clean prompt and answer, at equal position ids: each block of the window sees itself
    and the earlier *clean* blocks, which is one step of decoding it after right blocks, all blocks in one forward. The
    clean stream sees no window, so its keys and values are computed once, when the canvas is made.
    "prompt" alignment: the prompt is one block, the window's blocks begin behind it. "absolute": blocks count from
    position 0, so the window begins with the prompt's tail that shares the answer's first block (never editable).

    Args:
        model: its own block length and alignment are used; call it without gradients.
        rows: at least one.
        seed: with a row's number it makes the key of its draws.

    Source: two streams as in arXiv:2503.09573. The last block ends with the EOS (ours; training's windows may go on
    with further EOS).
    """

    clean: Tensor  #: int64 ``[row, pos]``, gold ids of the window, left-aligned
    editable: Tensor  #: bool ``[row, pos]``, False: padding, or the prompt's tail
    blocks: Tensor | None  #: int64 ``[row, pos]`` block index from 1; None: bidirectional
    keys: Tensor  #: int64 ``[row]``

    def __init__(self, model: Denoiser, rows: Sequence[Gold], seed: int) -> None:
        device, width = model.device, model.block_length
        causal = model.attention == "block_causal"
        if causal and (model.facts.logit_shift or model.interface.kind != "decoder"):
            raise ValueError(
                f"{model.name} cannot be diagnosed: block-causal with shifted logits, or not a stock decoder"
            )
        ids = [torch.tensor([*row.prompt, *row.answer]) for row in rows]
        prompt, length = (
            torch.tensor(n, device=device)[:, None]
            for n in ([len(row.prompt) for row in rows], [row.length for row in rows])
        )
        tail = prompt % width if causal and model.block_alignment == "absolute" else torch.zeros_like(prompt)
        start = prompt - tail
        extent = int((length - start).max())
        if causal:
            extent = -(-extent // width) * width  # whole blocks: the head reads them one by one
        offset = torch.arange(extent, device=device)
        self._model, self._causal = model, causal
        self._tokens = pad_sequence(ids, batch_first=True).to(device)
        self._index = torch.arange(self._tokens.shape[1], device=device).expand(len(rows), -1)
        self._real = self._index < length
        self._slot = self._index - start
        self._at = (start + offset).clamp(max=self._tokens.shape[1] - 1)
        self._valid = start + offset < length
        self.keys = torch.tensor([sequence_key(seed, (), row.number) for row in rows], device=device)
        self.clean = self._tokens.gather(1, self._at)
        self.editable = (offset >= tail) & self._valid
        self.blocks = (offset // width + 1).expand(len(rows), -1) if causal else None
        self._cache = BlockCache(len(rows), self._tokens.shape[1] + extent) if causal else None
        self._mask = masks.bidirectional(self._real)
        if self.blocks is not None and self._cache is not None:
            self._mask = self._read_clean(self.blocks, self._cache)

    def logits(self, window: Tensor) -> Tensor:
        """``[row, pos, vocab]`` where the window holds ``window``, int64 ``[row, pos]``; -inf where no token is."""
        hidden = self._forward(window).last_hidden_state
        if not self._causal:
            at = (self._at - int(self._model.facts.logit_shift)).clamp(min=0)  # whose logits predict the position
            hidden = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
        logits = self._model.lm_head(hidden)
        end, holes = self._model.vocabulary
        size = logits.shape[-1]
        tokenless = torch.tensor(
            [*holes, *range(size if end is None else end, size)], dtype=torch.long, device=logits.device
        )
        return logits.index_fill(-1, tokenless, -torch.inf) if len(tokenless) else logits

    def error(self, window: Tensor) -> Tensor:
        """The correction head's error logit, ``[row, pos]``: it sees what it sees in decoding, one block or all."""
        head = self._model.head
        assert head is not None
        hidden = self._forward(window, layers=True).hidden_states[head.layer]
        if not self._causal:
            return head(hidden, self._index, self._real).gather(1, self._at)
        width = self._model.block_length
        blocks = hidden.reshape(-1, width, hidden.shape[-1])
        return head(blocks, self._at.view(-1, width), self._valid.view(-1, width)).view(window.shape)

    def _read_clean(self, blocks: Tensor, cache: BlockCache) -> Tensor:
        """Fill the cache with the clean stream; the window's mask over clean ‖ window."""
        model, extent, length = self._model, blocks.shape[1], self._tokens.shape[1]
        clean = self._slot.div(model.block_length, rounding_mode="floor") + 1
        if model.block_alignment == "prompt":
            clean = clean.clamp(min=0)
        both = masks.two_stream(blocks, self._valid, clean, self._real)
        Body(model)(self._tokens, self._index, both[:, :, extent:, extent:], cache)
        self._places = length + torch.arange(extent, device=blocks.device).expand(len(blocks), -1)
        window = both[:, :, :extent]
        return torch.cat([window[..., extent:], window[..., :extent]], -1)

    def _forward(self, window: Tensor, layers: bool = False) -> Any:
        if self._causal:
            return Body(self._model)(window, self._at, self._mask, self._cache, layers, places=self._places)
        placed = window.gather(1, self._slot.clamp(0, window.shape[1] - 1))
        ids = torch.where((self._slot >= 0) & self._real, placed, self._tokens)
        return Body(self._model)(ids, self._index, self._mask, None, layers)
