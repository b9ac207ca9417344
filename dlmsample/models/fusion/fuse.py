"""The layers of a stock body compiled by ``torch.compile``: what is left to gain where forwards are captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import fx

from dlmsample.kernels.product import is_few
from dlmsample.models.fusion.compiling import compile_apart
from dlmsample.models.fusion.merge import adjoin, merge
from dlmsample.models.interface import BODIES, CACHE_NAMES

#: Of one architecture: layers of several forms, with and without a prompt, batches of one row; each is compiled once.
_FORMS = 64


class Fused:
    """A layer's forward, compiled: of all layers of one form together, for they are told apart by their inputs.

    With a transformers cache, which layers index by their number, with gradients and under autocast it is the layer's
    own forward.
    """

    def __init__(self, layer: Any, number: int, architecture: str, backend: Any) -> None:
        self._layer, self._number, self._shared = layer, number, (architecture, backend)

    def __call__(self, hidden: Any, *args: Any, blocks: Any = None, **given: Any) -> Any:
        if blocks is not None:
            given["blocks"] = blocks[self._number]
        cached = any(given.get(name) is not None for name in CACHE_NAMES)
        if cached or torch.is_grad_enabled() or torch.is_autocast_enabled(hidden.device.type):
            return type(self._layer).forward(self._layer, hidden, *args, **given)
        # a float, such as a norm's epsilon, is not to become an input
        with torch._dynamo.config.patch(recompile_limit=_FORMS, specialize_float=True):
            return _compiled(*self._shared, is_few(hidden))(self._layer, hidden, *args, **given)


def fuse(module: Any, backend: Any = "inductor") -> Any:
    """Let the layers of a stock decoder be compiled when they first run; in place, and returned.

    All layers, of all models of one architecture, share what was compiled, for any number of rows: some seconds for a
    form of forward. Linear layers that read the same value become one product; for that weights of a layer move
    together in memory, until the module is moved or cast. For few rows in half precision on a GPU, products are
    those of :mod:`~dlmsample.kernels.product`, where a weight's sizes suit it. Logits change by rounding. What is no
    stock decoder, or is spread over devices, stays as it is.

    Args:
        module: a torch module.
        backend: of ``torch.compile``.

    Example:
        >>> import dlmsample as ds
        >>> fuse(ds.load("nano").module)._get_name()
        'Qwen3ForCausalLM'
    """
    layers = _layers(module)
    if not layers or is_spread(module):
        return module
    architecture = module.config.to_json_string()
    for number, layer in enumerate(layers):
        adjoin(layer)
        layer.forward = Fused(layer, number, architecture, backend)
    module.get_decoder().norm.compile(dynamic=True, backend=backend)
    return module


def is_fused(module: Any) -> bool:
    """Whether the layers of a module are compiled."""
    return any(isinstance(layer.forward, Fused) for layer in _layers(module))


def is_spread(module: Any) -> bool:
    """Whether accelerate moves what goes through a module from device to device."""
    return any(hasattr(part, "_hf_hook") for part in module.modules())


def _layers(module: Any) -> Sequence[Any]:
    """Of a stock decoder, else none."""
    stock = type(module).__module__.startswith("transformers.")
    if not stock or getattr(module.config, "model_type", None) not in BODIES:
        return ()
    return module.get_decoder().layers


@lru_cache
def _compiled(architecture: str, backend: Any, few: bool) -> Callable[..., Any]:
    """A layer's forward, given the layer, compiled for one architecture, and for few rows or for many."""

    def merging(graph: fx.GraphModule, inputs: list[Any]) -> Any:
        merge(graph, inputs, few)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    def forward(layer: Any, *args: Any, **given: Any) -> Any:
        return type(layer).forward(layer, *args, **given)

    return compile_apart(forward, "layer", dynamic=True, backend=merging)
