"""The exact block cache read where it lies: a stock decoder's attention reads and writes it in one operation.

The plain :class:`~dlmsample.models.attention.forwards.CachedReader` gives attention a slice of the cache and a mask;
the host must know how long the slice is. Here every row says how far it sees, so one captured forward serves all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from dlmsample.kernels.attention import block_attention
from dlmsample.kernels.support import DTYPES, runs_kernels
from dlmsample.models.attention.forwards import CachedReader, forward
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.interface import BODIES

#: Of the attention function below, among those of transformers.
NAME = "dlmsample"
#: Rotations that depend on the longest row of a batch.
_BY_LENGTH = frozenset({"dynamic", "longrope"})


class Active(NamedTuple):
    """A layer's cache, for a forward over active blocks."""

    keys: Tensor  #: ``[row, key head, position, size]``
    values: Tensor
    start: Tensor  #: int64 ``[row]``, first position of the active block
    length: Tensor  #: int64 ``[row]``, where what the active block sees ends

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        return block_attention(q, k, v, *self, scale)


class Prompts(NamedTuple):
    """A layer's cache, for a forward over what precedes the first blocks of new rows."""

    keys: Tensor  #: ``[row, key head, position, size]``
    values: Tensor
    slots: Tensor  #: int64, the rows' places in the cache

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        _write(self.keys, self.values, self.slots, k, v)
        return sdpa_attention_forward(module, q, k, v, mask, scaling=scale)[0]


@torch.library.custom_op("dlmsample::write_prompts", mutates_args=("keys", "values"))
def _write(keys: Tensor, values: Tensor, slots: Tensor, k: Tensor, v: Tensor) -> None:
    """Keys and values of rows' first positions, into the cache."""
    keys[slots, :, : k.shape[2]] = k
    values[slots, :, : v.shape[2]] = v


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    blocks: Active | Prompts | Sequence[Active | Prompts] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function for transformers: its own SDPA, or, given ``blocks``, over the cache that they name."""
    if blocks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    mine = blocks if isinstance(blocks, (Active, Prompts)) else blocks[module.layer_idx]
    return mine.attend(module, query, key, value, attention_mask, scaling), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def attention_for(config: Any) -> str:
    """Which of transformers' attention functions a stock body of this config is to have.

    Example:
        >>> import dlmsample as ds
        >>> attention_for(ds.load("nano").module.config)
        'dlmsample'
    """
    kinds = getattr(config, "layer_types", None) or ()
    return NAME if config.model_type in BODIES and all(kind == "full_attention" for kind in kinds) else "sdpa"


def in_place(model: Denoiser) -> bool:
    """Whether a checkpoint's attention can read the cache where it lies.

    It has the function for it, all layers on one device that does it, and rotations that depend on positions alone.
    """
    config: Any = model.module.config
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if getattr(config, "_attn_implementation", None) != NAME or rope.get("rope_type") in _BY_LENGTH:
        return False
    device = model.device
    return model.on_one_device and (device.type != "cuda" or (model.dtype in DTYPES and runs_kernels(device)))


class InPlaceReader(CachedReader):
    """A cached reader without slices and masks; the same numbers up to rounding."""

    ragged = True

    def __init__(self, model: Denoiser, rows: int, capacity: int, score: bool) -> None:
        super().__init__(model, rows, capacity, score)
        config: Any = model.module.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        like = torch.zeros((), dtype=model.dtype, device=model.device)
        self._cache.reserve(config.num_hidden_layers, like.expand(1, config.num_key_value_heads, 1, size))
        self._unused = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=model.device)  # else transformers makes a mask

    def _forget(self, slots: Tensor) -> None:
        """What stands behind a row's own positions is not read at all."""

    def _prefill(self, slots: Tensor, ids: Tensor, positions: Tensor, mask: Tensor) -> Any:
        blocks = [Prompts(*pair, slots) for pair in self._cache.pairs()]
        return forward(self._model, ids, positions, mask, None, blocks=blocks)

    def _decode(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        start, rows = positions[:, 0].contiguous(), len(ids)
        blocks = [Active(keys[:rows], values[:rows], start, end) for keys, values in self._cache.pairs()]
        return forward(self._model, ids, positions, self._unused, None, self._score, blocks=blocks)
