"""The exact block cache read where it lies: the attention of a stock decoder reads and writes it in one operation.

The plain :class:`~dlmsample.models.attention.cached.CachedReader` gives attention a slice of the cache and a mask, and
the host must know how long the slice is. Here every row says on the device how far it sees, so that one captured
forward serves all rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from dlmsample.kernels.attention import block_attention
from dlmsample.kernels.support import DTYPES, runs_kernels
from dlmsample.models.attention.approximate import ApproximateReader
from dlmsample.models.attention.base import Layout
from dlmsample.models.attention.cached import BlockCache, CachedReader, attention, write_rows
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.interface import BODIES

#: The name of :func:`~dlmsample.models.attention.cached.attention` among the attention functions of transformers.
NAME = "dlmsample"
AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
#: Rotary embeddings whose angles depend on the longest row of a batch.
_BY_LENGTH = frozenset({"dynamic", "longrope"})


class Active(NamedTuple):
    """One layer's cache, for a forward over active blocks."""

    keys: Tensor  #: ``[row, key head, position, size]``
    values: Tensor
    start: Tensor  #: int64 ``[row]``, first position of the active block
    length: Tensor  #: int64 ``[row]``, the active block sees the positions before this one
    whole: bool = False  #: what it sees may lie behind it, too

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Write keys and values of the active block, then attend to all up to ``length``."""
        return block_attention(q, k, v, *self[:4], scale, self.whole)


class Prompts(NamedTuple):
    """One layer's cache, for a forward over what precedes the first blocks of new rows."""

    keys: Tensor  #: ``[row, key head, position, size]``
    values: Tensor
    slots: Tensor  #: int64, the rows' places in the cache

    def attend(self, module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Write keys and values of these rows, and attend within them."""
        write_rows(self.keys, self.values, self.slots, k, v)
        return sdpa_attention_forward(module, q, k, v, mask, scaling=scale)[0]


def attention_for(config: Any) -> str:
    """Which attention function of transformers a stock body of this config gets.

    Example:
        >>> import dlmsample as ds
        >>> attention_for(ds.load("nano").module.config)
        'dlmsample'
    """
    kinds = getattr(config, "layer_types", None) or ()
    return NAME if config.model_type in BODIES and all(kind == "full_attention" for kind in kinds) else "sdpa"


def in_place(model: Denoiser) -> bool:
    """Whether a checkpoint's attention can read the cache where it lies.

    It must have the attention function for it, rotary angles that depend on positions alone, and all its layers on one
    device, which must be able to run the kernel.
    """
    config: Any = model.module.config
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if getattr(config, "_attn_implementation", None) != NAME or rope.get("rope_type") in _BY_LENGTH:
        return False
    device = model.device
    return model.on_one_device and (device.type != "cuda" or (model.dtype in DTYPES and runs_kernels(device)))


class InPlaceReader(CachedReader):
    """A cached reader without slices and masks; it gives the same numbers up to rounding.

    Args:
        model: a checkpoint of which :func:`in_place` is true.
        rows: of the batch.
        capacity: positions of a row, one block's width of spare ones included.
        score: also run the correction head, on the active block.
    """

    ragged = True

    def __init__(self, model: Denoiser, rows: int, capacity: int, score: bool) -> None:
        super().__init__(model, rows, capacity, score)
        self._unused = _prepared(self._cache, model)

    def _forget(self, slots: Tensor) -> None:
        """Nothing to do: what lies behind a row's own positions is not read at all."""

    def _prefill(self, slots: Tensor, ids: Tensor, positions: Tensor, mask: Tensor) -> Any:
        blocks = [Prompts(*pair, slots) for pair in self._cache.pairs()]
        return self._body(ids, positions, mask, None, blocks=blocks)

    def _decode(self, ids: Tensor, positions: Tensor, end: Tensor, extent: int) -> Any:
        start, rows = positions[:, 0].contiguous(), len(ids)
        blocks = [Active(keys[:rows], values[:rows], start, end) for keys, values in self._cache.pairs()]
        return self._body(ids, positions, self._unused, None, self._score, blocks=blocks)


class InPlaceApproximateReader(ApproximateReader):
    """An approximate cache without slices and masks between whole forwards; the same numbers up to rounding.

    Args:
        model: a bidirectional checkpoint of which :func:`in_place` is true.
        rows: of the batch.
        capacity: positions of a row, one block's width of spare ones included.
        kind: ``prefix`` or ``dual``.
        refresh: forwards in a block from one whole forward to the next; None: only on entering a block.
        score: also run the correction head.
        suffix: positions behind the active block that exist for a forward; None: all.
    """

    ragged = True

    def _prepare(self, model: Denoiser) -> None:
        self._unused = _prepared(self._cache, model)

    def admit(self, slots: Tensor, canvas: Tensor, layout: Layout, prefill: int) -> None:
        """Nothing to do: a row's first forward is a whole one, which reads nothing of the cache."""

    def _refill(self, slots: Tensor, ids: Tensor, positions: Tensor, mask: Tensor) -> Any:
        blocks = [Prompts(*pair, slots) for pair in self._cache.pairs()]
        return self._body(ids, positions, mask, None, self._score, blocks=blocks)

    def _decode(self, ids: Tensor, positions: Tensor, length: Tensor, reach: int) -> Any:
        begin, rows = positions[:, 0].contiguous(), len(ids)
        blocks = [Active(keys[:rows], values[:rows], begin, length, True) for keys, values in self._cache.pairs()]
        return self._body(ids, positions, self._unused, None, self._score, blocks=blocks)


def _prepared(cache: BlockCache, model: Denoiser) -> Tensor:
    """Allocate a cache; gives a mask that is never read, without which transformers would make one."""
    config: Any = model.module.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    like = torch.zeros((), dtype=model.dtype, device=model.device)
    cache.reserve(config.num_hidden_layers, like.expand(1, config.num_key_value_heads, 1, size))
    return torch.ones(1, 1, 1, 1, dtype=torch.bool, device=model.device)
