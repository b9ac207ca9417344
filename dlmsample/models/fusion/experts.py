"""The experts of a stock mixture by one operation for few positions, in place of transformers' own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dlmsample.kernels.experts import experts, fits


@torch.library.custom_op("dlmsample::few_experts", mutates_args=())
def few_experts(hidden: Tensor, chosen: Tensor, share: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """:func:`~dlmsample.kernels.experts.experts` as one operation, which the compiler leaves whole."""
    return experts(hidden, chosen, share, gate_up, down)


@few_experts.register_fake
def _shape(hidden: Tensor, chosen: Tensor, share: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    return torch.empty_like(hidden, memory_format=torch.contiguous_format)


class FewExperts(nn.Module):
    """A layer's experts whose forward is :func:`few_experts` where it takes them, else their own.

    Their own, that is, with gradients, on a CPU, in float32, and with many positions. It is a class, not an attribute
    of each layer's part, because the compiler shares what it compiled among layers whose parts are of the same classes.
    """

    gate_up_proj: Tensor
    down_proj: Tensor
    stock: ClassVar[Any]  #: transformers' own class

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        weights = self.gate_up_proj, self.down_proj
        if not torch.is_grad_enabled() and fits(hidden_states, top_k_index, *weights):
            return few_experts(hidden_states, top_k_index, top_k_weights, *weights)
        return super().forward(hidden_states, top_k_index, top_k_weights)

    def __reduce_ex__(self, protocol: Any) -> Any:  # such a class has no place in a module from which to load it
        return _empty, (self.stock,), self.__getstate__()


def ease(layer: Any) -> None:
    """Make the experts of a stock decoder's layer, if it has plain ones, :class:`FewExperts`."""
    for part in layer.modules():
        if _are_experts(part) and not isinstance(part, FewExperts):
            part.__class__ = _eased(type(part))


@lru_cache
def _eased(kind: Any) -> Any:
    """The class of the same name that is both."""
    return type(kind.__name__, (FewExperts, kind), {"stock": kind})


def _empty(kind: Any) -> Any:
    eased = _eased(kind)
    return eased.__new__(eased)


def _are_experts(part: Any) -> bool:
    """Whether these are experts gated by SiLU, with nothing else: no biases, norms, other layouts, other machines.

    An implementation of transformers' that somebody asked for, other than the two that it takes by itself, stays.
    """
    weights = [getattr(part, name, None) for name in ("gate_up_proj", "down_proj")]
    if not all(isinstance(weight, Tensor) and weight.dim() == 3 for weight in weights):
        return False
    other = ("has_bias", "has_post_expert_norm", "is_transposed", "_is_expert_parallel")
    plain = getattr(part, "is_concatenated", True) and not any(getattr(part, name, False) for name in other)
    config = getattr(part, "config", None)
    usual = getattr(config, "_experts_implementation", None) in (None, "eager", "grouped_mm")
    return plain and usual and getattr(config, "hidden_act", None) == "silu"
