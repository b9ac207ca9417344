"""The layers of a stock decoder, compiled by ``torch.compile`` so that each needs fewer kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import fx

from dlmsample.kernels.product import is_few
from dlmsample.models.fusion.compiling import compile_apart
from dlmsample.models.fusion.experts import ease
from dlmsample.models.fusion.merge import adjoin, merge
from dlmsample.models.interface import BODIES, CACHE_NAMES

#: How many variants of a layer may be compiled for one architecture: by layer type, with and without a prompt, and for
#: batches of one row.
_FORMS = 64


class Fused:
    """The compiled forward of one layer. Layers of the same type share the compiled code.

    With a cache of transformers, with gradients and under autocast the layer's own forward runs instead.
    """

    def __init__(self, layer: Any, number: int, architecture: str, backend: Any) -> None:
        self._layer, self._number, self._shared = layer, number, (architecture, backend)

    def __call__(self, hidden: Any, *args: Any, blocks: Any = None, **given: Any) -> Any:
        if blocks is not None:
            given["blocks"] = blocks[self._number]
        cached = any(given.get(name) is not None for name in CACHE_NAMES)
        if cached or torch.is_grad_enabled() or torch.is_autocast_enabled(hidden.device.type):
            return type(self._layer).forward(self._layer, hidden, *args, **given)
        # floats, such as a norm's epsilon, stay constants of the compiled code
        with torch._dynamo.config.patch(recompile_limit=_FORMS, specialize_float=True):
            return _compiled(*self._shared, is_few(hidden))(self._layer, hidden, *args, **given)


def fuse(module: Any, backend: Any = "inductor") -> Any:
    """Have the layers of a stock decoder compiled when they first run.

    The module is changed in place. Compiling takes some seconds and is done once for all layers, and all models, of one
    architecture, for any number of rows. Linear layers that read the same value become one matrix product; their
    weights are moved next to each other in memory for that, until the module is moved or cast. For few rows in half
    precision on a GPU, products are those of :mod:`~dlmsample.kernels.product` where the sizes of a weight suit it, and
    the experts of a mixture those of :mod:`~dlmsample.kernels.experts`.
    Logits change by rounding alone. A module that is no stock decoder or is spread over devices is left as it is.

    Args:
        module: a torch module.
        backend: of ``torch.compile``.

    Returns:
        The module.

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
        ease(layer)
        layer.forward = Fused(layer, number, architecture, backend)
    module.get_decoder().norm.compile(dynamic=True, backend=backend)
    return module


def is_fused(module: Any) -> bool:
    """Whether the layers of a module are compiled."""
    return any(isinstance(layer.forward, Fused) for layer in _layers(module))


def is_spread(module: Any) -> bool:
    """Whether the parts of a module are on several devices, between which accelerate moves their inputs."""
    return any(hasattr(part, "_hf_hook") for part in module.modules())


def _layers(module: Any) -> Sequence[Any]:
    """The layers of a stock decoder; none of any other module."""
    stock = type(module).__module__.startswith("transformers.")
    if not stock or getattr(module.config, "model_type", None) not in BODIES:
        return ()
    return module.get_decoder().layers


@lru_cache
def _compiled(architecture: str, backend: Any, few: bool) -> Callable[..., Any]:
    """A function that runs the forward of a given layer; compiled for one architecture, and for few rows or many."""

    def merging(graph: fx.GraphModule, inputs: list[Any]) -> Any:
        merge(graph, inputs, few)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    def forward(layer: Any, *args: Any, **given: Any) -> Any:
        return type(layer).forward(layer, *args, **given)

    return compile_apart(forward, "layer", dynamic=True, backend=merging)
