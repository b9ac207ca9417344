"""Attention over our block cache as libraries do it: SDPA with a bias, and flex_attention with a block mask."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

import dlmsample as ds
from dlmsample.models.attention.in_place import InPlaceReader

NAME = "dlmsample_alternatives"  #: of the attention function below, among those of transformers
TILE = 128  #: keys of one tile of flex_attention's block mask


class Sliced(NamedTuple):
    """A layer's cache, read by SDPA as far as any row reaches."""

    keys: Tensor  #: ``[row, key head, position, size]``
    values: Tensor
    at: Tensor  #: int64 ``[row, 1, pos, 1]``, where the active block is written
    bias: Tensor  #: ``[row, 1, pos, position]``, minus infinity where a query does not see a key

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        _write(self.keys, self.values, self.at, k, v)
        groups = q.shape[1] // k.shape[1]
        keys, values = self.keys, self.values
        if groups > 1:
            keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
        return F.scaled_dot_product_attention(q, keys, values, self.bias, scale=scale).transpose(1, 2)


class Flexed(NamedTuple):
    """A layer's cache, read by flex_attention, which passes over tiles that a row does not see."""

    keys: Tensor  #: ``[row, key head, position, size]``
    values: Tensor
    at: Tensor  #: int64 ``[row, 1, pos, 1]``, where the active block is written
    mask: BlockMask

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        _write(self.keys, self.values, self.at, k, v)
        grouped = q.shape[1] > k.shape[1]
        out: Any = flex_attention(
            q,
            self.keys,
            self.values,
            block_mask=self.mask,
            scale=scale,
            enable_gqa=grouped,
            kernel_options={"FORCE_USE_FLEX_ATTENTION": True},  # the kernel for short queries gives wrong tokens
        )
        return out.transpose(1, 2)


def _write(keys: Tensor, values: Tensor, at: Tensor, k: Tensor, v: Tensor) -> None:
    keys.scatter_(2, at.expand_as(k), k)
    values.scatter_(2, at.expand_as(v), v)


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    blocks: Any = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function for transformers, over the cache that ``blocks`` names."""
    if blocks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    mine = blocks[module.layer_idx] if isinstance(blocks, list) else blocks
    return mine.attend(module, query, key, value, attention_mask, scaling), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


class LibraryReader(InPlaceReader):
    """The same cache, read by a library's attention."""

    def __init__(self, model: ds.Denoiser, rows: int, width: int, capacity: int, flex: bool) -> None:
        super().__init__(model, rows, capacity, False)
        self._flex = _block_mask(rows, width, capacity, model.device) if flex else None
        self._capacity, self._dtype = capacity, model.dtype

    @property
    def written(self) -> list[Tensor]:
        """What a forward writes beside the cache."""
        return [] if self._flex is None else [self._flex[0].kv_num_blocks, self._flex[1]]

    def _decode(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        at = positions[:, None, :, None]
        if self._flex is None:
            seen = torch.arange(self._capacity, device=ids.device) < end[:, None]
            bias = torch.zeros(seen.shape, dtype=self._dtype, device=ids.device).masked_fill(~seen, -torch.inf)
            wide = bias[:, None, None].expand(-1, -1, ids.shape[1], -1)
            blocks: list[Any] = [Sliced(keys, values, at, wide) for keys, values in self._cache.pairs()]
        else:
            mask, ends = self._flex
            ends.copy_(end)
            mask.kv_num_blocks.copy_(((end + TILE - 1) // TILE)[:, None, None])
            blocks = [Flexed(keys, values, at, mask) for keys, values in self._cache.pairs()]
        return self._body(ids, positions, self._unused, None, blocks=blocks)


def _block_mask(rows: int, width: int, capacity: int, device: torch.device) -> tuple[BlockMask, Tensor]:
    """A mask made once, and where each row's end is written before a forward; so is how many tiles it sees."""
    ends = torch.zeros(rows, dtype=torch.long, device=device)
    tiles = -(-capacity // TILE)
    count = torch.full((rows, 1, 1), tiles, dtype=torch.int32, device=device)
    index = torch.arange(tiles, dtype=torch.int32, device=device).expand(rows, 1, 1, -1).contiguous()

    def sees(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return kv < ends[b]

    mask = BlockMask.from_kv_blocks(count, index, BLOCK_SIZE=(TILE, TILE), mask_mod=sees, seq_lengths=(width, capacity))
    return mask, ends
