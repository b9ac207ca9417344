"""Linear layers whose weights are in eight bits, in place of those of a stock body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from dlmsample.kernels.narrow import narrow
from dlmsample.kernels.product import narrow_product
from dlmsample.kernels.scaled import scaled_product


@torch.library.custom_op("dlmsample::narrow_linear", mutates_args=())
def narrow_linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """:func:`~dlmsample.kernels.product.narrow_product` as one operation, which the compiler leaves whole."""
    return narrow_product(x, weight, scale, bias)


@narrow_linear.register_fake
def _shape(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


class Fp8Linear(nn.Module):
    """A linear layer that holds its weight in e4m3 with a float32 scale per output channel.

    It computes in the dtype of what it is given, with the weight that :func:`~dlmsample.kernels.narrow.widen` gives.
    Casting the module casts the bias and nothing else. It cannot be trained.

    Args:
        linear: what it stands in place of; left as it is.
        device: where the weight is put before it is rounded; None: it stays where it is.
        dynamic: also round what it is given, each position on a scale found then
            (:func:`~dlmsample.kernels.scaled.scaled_product`).
    """

    def __init__(self, linear: nn.Linear, device: torch.device | None = None, dynamic: bool = False) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight, scale = narrow(linear.weight.detach().to(device))
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        bias = linear.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach().to(device), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.dynamic:  # in torch's own operations, so that the compiler rounds once for all layers that read it
            return scaled_product(x, self.weight, self.scale, self.bias)
        return narrow_linear(x, self.weight, self.scale, self.bias)

    def extra_repr(self) -> str:
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}, dynamic={self.dynamic}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the layer without casting what it is made of."""

        def moved(tensor: Tensor) -> Tensor:
            found = fn(tensor)
            return found if tensor is self.bias or found.dtype == tensor.dtype else tensor.data.to(found.device)

        return super()._apply(moved, recurse)


def narrow_layers(module: Any, device: torch.device | None = None, dynamic: bool = False) -> Any:
    """Put the linear layers of a module's body into eight bits, one after the other.

    In place: the module is changed, and every layer's own weight is gone before the next is rounded. What stays as it
    is: embeddings, of which a forward reads a few rows; the LM head, whose error nothing after it would even out, and
    which may share its weight with the embedding; norms, biases and routers, which are small.

    Args:
        module: of transformers.
        device: where the weights are put; None: they stay where they are.
        dynamic: the layers also round what they are given.

    Returns:
        The module.

    Raises:
        ValueError: it has no linear layers, or weights that are not in memory.

    Example:
        >>> import dlmsample as ds
        >>> module = narrow_layers(ds.load("nano").module)
        >>> module.model.layers[0].mlp.up_proj.weight.dtype, module.lm_head.weight.dtype
        (torch.float8_e4m3fn, torch.float32)
    """
    body, head = module.base_model, module.get_output_embeddings()
    places = defaultdict[int, list[tuple[nn.Module, str]]](list)  # a layer may stand in several places
    for parent in body.modules():
        for name, part in parent.named_children():
            if type(part) is nn.Linear and part is not head:
                places[id(part)].append((parent, name))
    if not places:
        raise ValueError(f"quantization 'fp8' finds no linear layers in a {type(module).__name__}: leave it out")
    for spots in places.values():
        parent, name = spots[0]
        linear: Any = getattr(parent, name)
        if linear.weight.is_meta:
            raise ValueError("quantization 'fp8' needs all weights in memory: leave it out, or use more devices")
        small = _hooked(Fp8Linear(linear, device, dynamic), linear)
        del linear  # the only other one is the module's
        for parent, name in spots:
            setattr(parent, name, small)
    return module


def _hooked(layer: nn.Module, before: nn.Module) -> nn.Module:
    """Where accelerate moves the inputs of a layer, have it move those of the one in its place."""
    hook = getattr(before, "_hf_hook", None)
    if hook is None:
        return layer
    from accelerate.hooks import add_hook_to_module

    return add_hook_to_module(layer, hook)
