"""Linear layers that read the same value, as one matrix product: a large one streams its weights faster than three.

Two halves that need each other: :func:`adjoin` lays weights side by side in memory; :func:`merge` rewrites a traced
graph so that neighbours are one product, and, where rows are few, any product one of
:mod:`~dlmsample.kernels.product`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from dlmsample.kernels.product import part_count, product_in_parts, takes


@torch.library.custom_op("dlmsample::wide_linear", mutates_args=())
def wide_linear(x: Tensor, weights: list[Tensor]) -> Tensor:
    """``x [..., in]`` times every weight ``[out, in]``, the results side by side; one product where weights are."""
    return _joined(F.linear, x, weights)


@wide_linear.register_fake
def _shape(x: Tensor, weights: list[Tensor]) -> Tensor:
    return x.new_empty(*x.shape[:-1], sum(weight.shape[0] for weight in weights))


@torch.library.custom_op("dlmsample::few_linear", mutates_args=())
def few_linear(x: Tensor, weights: list[Tensor], parts: int) -> Tensor:
    """As :func:`wide_linear` for few rows, as ``parts`` whose sum it is: ``[part, ..., out]``."""
    return _joined(partial(product_in_parts, parts=parts), x, weights)


@few_linear.register_fake
def _shape_of_parts(x: Tensor, weights: list[Tensor], parts: int) -> Tensor:
    shape = (parts, *x.shape[:-1], sum(weight.shape[0] for weight in weights))
    return x.new_empty(*shape, dtype=x.dtype if parts == 1 else torch.float32)


def _joined(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, weights: list[Tensor]) -> Tensor:
    if len(weights) == 1:
        return product(x, weights[0])
    if not all(_adjacent(*pair) for pair in pairwise(weights)):  # the module was moved since
        return torch.cat([product(x, weight) for weight in weights], -1)
    features, width = sum(map(len, weights)), weights[0].shape[1]
    return product(x, weights[0].as_strided((features, width), (width, 1)))


def adjoin(module: nn.Module) -> None:
    """Lay the weights of sibling linear layers side by side, where they have no bias and read vectors of one size.

    In place; the layers stay what they are, their weights are parts of one storage, which ``torch.save`` writes whole
    for any of them. What :func:`merge` finds to read other values, such as an output projection, only moves with them.
    """
    for parent in module.modules():
        parts = [part for part in parent.children() if type(part) is nn.Linear and part.bias is None]
        alike = defaultdict[Any, list[nn.Linear]](list)
        for part in parts:
            alike[part.in_features, part.weight.dtype, part.weight.device].append(part)
        for siblings in alike.values():
            if len({part.weight.data_ptr() for part in siblings}) == len(siblings) > 1:
                whole = torch.cat([part.weight.data for part in siblings])
                sizes = [part.out_features for part in siblings]
                for part, weight in zip(siblings, whole.split(sizes), strict=True):
                    part.weight.data = weight


def merge(graph: fx.GraphModule, inputs: Sequence[Any], few: bool = False) -> None:
    """Make one product of linear layers that read the same value, where their weights are neighbours in memory.

    In place.

    Args:
        graph: as ``torch.compile`` gives it to a backend: linear layers are calls, their weights are inputs.
        inputs: of the graph.
        few: the rows are few, so that also a layer alone has a better product.
    """
    nodes = graph.graph
    given = dict(zip(nodes.find_nodes(op="placeholder"), inputs, strict=True))
    readers = defaultdict[fx.Node, list[fx.Node]](list)
    for node in nodes.find_nodes(op="call_function", target=F.linear):
        plain = not node.kwargs and node.args[2:] in ((), (None,))
        if plain and isinstance(given.get(node.args[1]), Tensor):
            readers[node.args[0]].append(node)
    for linears in readers.values():
        for run in _runs(linears, [given[node.args[1]] for node in linears]):
            weights = [given[node.args[1]] for node in run]
            parts = _parts_of(weights) if few else 0
            if parts or len(run) > 1:
                _replace(nodes, run, [len(weight) for weight in weights], parts)
    graph.recompile()


def _replace(nodes: fx.Graph, run: list[fx.Node], sizes: list[int], parts: int) -> None:
    """One product for some linear layers of one value, summed from ``parts`` unless that is 0."""
    value, weights = run[0].args[0], [node.args[1] for node in run]  # the value may have been replaced itself
    with nodes.inserting_before(run[0]):
        if parts:
            summands = nodes.call_function(torch.ops.dlmsample.few_linear, (value, weights, parts))
            # a sum of one part would be a kernel of its own
            total = nodes.call_method("sum" if parts > 1 else "squeeze", (summands, 0))
            whole = nodes.call_method("type_as", (total, value))
        else:
            whole = nodes.call_function(torch.ops.dlmsample.wide_linear, (value, weights))
        pieces = nodes.call_method("split", (whole, sizes, -1))
        items = [nodes.call_function(getitem, (pieces, number)) for number in range(len(run))]
    for node, item in zip(run, items, strict=True):
        node.replace_all_uses_with(item)
        nodes.erase_node(node)


def _parts_of(weights: Sequence[Tensor]) -> int:
    """In how many parts the kernel for few rows leaves a product with these weights; 0: it takes not all of them."""
    features, width = sum(map(len, weights)), weights[0].shape[1]
    return part_count(features, width) if all(map(takes, weights)) else 0


def _runs(nodes: list[fx.Node], weights: list[Tensor]) -> list[list[fx.Node]]:
    """Stretches whose weights are neighbours."""
    starts = [0, *(n for n, pair in enumerate(pairwise(weights), 1) if not _adjacent(*pair)), len(nodes)]
    return [nodes[a:b] for a, b in pairwise(starts)]


def _adjacent(left: Tensor, right: Tensor) -> bool:
    """Whether one weight begins in memory where the other ends."""
    same = left.untyped_storage().data_ptr() == right.untyped_storage().data_ptr() and left.dtype == right.dtype
    follows = left.storage_offset() + left.numel() == right.storage_offset()
    return same and follows and left.is_contiguous() and right.is_contiguous() and left.shape[1:] == right.shape[1:]
