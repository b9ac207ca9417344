"""Linear layers that read the same value become one matrix product: one large product is faster than three small ones.

It takes two steps. :func:`adjoin` lays the weights side by side in memory. :func:`merge` rewrites a traced graph so
that layers whose weights are neighbours are one product; where rows are few, every product becomes one of
:mod:`~dlmsample.kernels.product`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise, zip_longest
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from dlmsample.kernels.product import narrow_product, part_count, product_in_parts, takes
from dlmsample.models.fusion.fp8 import Fp8Linear

#: What linear layers are in a traced graph, and how many tensors follow the value: the weight, and its scale.
_LINEAR = {F.linear: 1, torch.ops.dlmsample.narrow_linear.default: 2}


@torch.library.custom_op("dlmsample::wide_linear", mutates_args=())
def wide_linear(x: Tensor, weights: list[Tensor], scales: list[Tensor]) -> Tensor:
    """``x [..., in]`` times every weight ``[out, in]``, the results side by side.

    It is one product where the weights lie side by side in memory. Weights in e4m3 have scales, others none.
    """
    return _joined(_product, x, weights, scales)


@wide_linear.register_fake
def _shape(x: Tensor, weights: list[Tensor], scales: list[Tensor]) -> Tensor:
    return x.new_empty(*x.shape[:-1], sum(weight.shape[0] for weight in weights))


@torch.library.custom_op("dlmsample::few_linear", mutates_args=())
def few_linear(x: Tensor, weights: list[Tensor], scales: list[Tensor], parts: int) -> Tensor:
    """As :func:`wide_linear`, for few rows. The result is the sum over the first axis: ``[part, ..., out]``."""
    return _joined(partial(product_in_parts, parts=parts), x, weights, scales)


@few_linear.register_fake
def _shape_of_parts(x: Tensor, weights: list[Tensor], scales: list[Tensor], parts: int) -> Tensor:
    shape = (parts, *x.shape[:-1], sum(weight.shape[0] for weight in weights))
    return x.new_empty(*shape, dtype=x.dtype if parts == 1 else torch.float32)


def _product(x: Tensor, weight: Tensor, scale: Tensor | None) -> Tensor:
    return F.linear(x, weight) if scale is None else narrow_product(x, weight, scale)


def _joined(
    product: Callable[[Tensor, Tensor, Tensor | None], Tensor], x: Tensor, weights: list[Tensor], scales: list[Tensor]
) -> Tensor:
    pairs = list(zip_longest(weights, scales))
    if len(pairs) == 1:
        return product(x, *pairs[0])
    if not all(_adjacent(*pair) for each in (weights, scales) for pair in pairwise(each)):  # it was moved since
        return torch.cat([product(x, weight, scale) for weight, scale in pairs], -1)
    features, width = sum(map(len, weights)), weights[0].shape[1]
    scale = scales[0].as_strided((features,), (1,)) if scales else None
    return product(x, weights[0].as_strided((features, width), (width, 1)), scale)


def adjoin(module: nn.Module) -> None:
    """Lay the weights of sibling linear layers side by side in memory: those without a bias and with equal input sizes.

    In place. The layers stay what they are, but their weights share one storage, all of which ``torch.save`` writes for
    any of them; so do the scales of weights in eight bits. A sibling that reads another value, such as an output
    projection, is moved along and otherwise not affected.
    """
    for parent in module.modules():
        parts = [part for part in parent.children() if type(part) in (nn.Linear, Fp8Linear) and part.bias is None]
        alike = defaultdict[Any, list[Any]](list)
        for part in parts:
            alike[part.in_features, part.weight.dtype, part.weight.device].append(part)
        for siblings in alike.values():
            if len({part.weight.data_ptr() for part in siblings}) == len(siblings) > 1:
                for held in zip(*(part.parameters(recurse=False) for part in siblings), strict=True):
                    whole = torch.cat([parameter.data for parameter in held])
                    for parameter, piece in zip(held, whole.split([len(p) for p in held]), strict=True):
                        parameter.data = piece


def merge(graph: fx.GraphModule, inputs: Sequence[Any], few: bool = False) -> None:
    """Replace linear layers that read the same value by one product, where their weights are neighbours in memory.

    The graph is changed in place.

    Args:
        graph: as ``torch.compile`` gives it to a backend: linear layers are calls, their weights are inputs.
        inputs: of the graph.
        few: the rows are few, so that a layer on its own is replaced, too.
    """
    nodes = graph.graph
    given = dict(zip(nodes.find_nodes(op="placeholder"), inputs, strict=True))
    readers = defaultdict[Any, list[fx.Node]](list)
    for target, held in _LINEAR.items():
        for node in nodes.find_nodes(op="call_function", target=target):
            plain = not node.kwargs and node.args[1 + held :] in ((), (None,))
            if plain and all(isinstance(given.get(arg), Tensor) for arg in node.args[1 : 1 + held]):
                readers[target, node.args[0]].append(node)
    for (target, _), linears in readers.items():
        for run in _runs(linears, [given[node.args[1]] for node in linears]):
            weights = [given[node.args[1]] for node in run]
            parts = _parts_of(weights) if few else 0
            if parts or len(run) > 1:
                _replace(nodes, run, _LINEAR[target], [len(weight) for weight in weights], parts)
    graph.recompile()


def _replace(nodes: fx.Graph, run: list[fx.Node], held: int, sizes: list[int], parts: int) -> None:
    """Replace the linear layers ``run``, which read one value, by one product; it is a sum of ``parts`` unless 0."""
    # read now: the value may have been replaced
    value, weights = run[0].args[0], [node.args[1] for node in run]
    scales = [node.args[2] for node in run] if held > 1 else []
    with nodes.inserting_before(run[0]):
        if parts:
            summands = nodes.call_function(torch.ops.dlmsample.few_linear, (value, weights, scales, parts))
            # the sum of a single part would be a kernel of its own
            total = nodes.call_method("sum" if parts > 1 else "squeeze", (summands, 0))
            whole = nodes.call_method("type_as", (total, value))
        else:
            whole = nodes.call_function(torch.ops.dlmsample.wide_linear, (value, weights, scales))
        pieces = nodes.call_method("split", (whole, sizes, -1))
        items = [nodes.call_function(getitem, (pieces, number)) for number in range(len(run))]
    for node, item in zip(run, items, strict=True):
        node.replace_all_uses_with(item)
        nodes.erase_node(node)


def _parts_of(weights: Sequence[Tensor]) -> int:
    """How many summands the kernel for few rows returns for these weights; 0 where it does not take all of them."""
    features, width = sum(map(len, weights)), weights[0].shape[1]
    return part_count(features, width) if all(map(takes, weights)) else 0


def _runs(nodes: list[fx.Node], weights: list[Tensor]) -> list[list[fx.Node]]:
    """The nodes in groups whose weights are neighbours in memory."""
    starts = [0, *(n for n, pair in enumerate(pairwise(weights), 1) if not _adjacent(*pair)), len(nodes)]
    return [nodes[a:b] for a, b in pairwise(starts)]


def _adjacent(left: Tensor, right: Tensor) -> bool:
    """Whether one weight begins in memory where the other ends."""
    same = left.untyped_storage().data_ptr() == right.untyped_storage().data_ptr() and left.dtype == right.dtype
    follows = left.storage_offset() + left.numel() == right.storage_offset()
    return same and follows and left.is_contiguous() and right.is_contiguous() and left.shape[1:] == right.shape[1:]
