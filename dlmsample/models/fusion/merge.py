"""Linear layers that read the same value become one matrix product: one large product is faster than three small ones.

It takes two steps. :func:`adjoin` lays the weights side by side in memory. :func:`merge` rewrites a traced graph so
that layers whose weights are neighbours are one product; where rows are few, every product becomes one of
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
    """``x [..., in]`` times every weight ``[out, in]``, the results side by side.

    It is one product where the weights lie side by side in memory.
    """
    return _joined(F.linear, x, weights)


@wide_linear.register_fake
def _shape(x: Tensor, weights: list[Tensor]) -> Tensor:
    return x.new_empty(*x.shape[:-1], sum(weight.shape[0] for weight in weights))


@torch.library.custom_op("dlmsample::few_linear", mutates_args=())
def few_linear(x: Tensor, weights: list[Tensor], parts: int) -> Tensor:
    """As :func:`wide_linear`, for few rows. The result is the sum over the first axis: ``[part, ..., out]``."""
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
    """Lay the weights of sibling linear layers side by side in memory: those without a bias and with equal input sizes.

    In place. The layers stay what they are, but their weights share one storage, all of which ``torch.save`` writes for
    any of them. A sibling that reads another value, such as an output projection, is moved along and otherwise not
    affected.
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
    """Replace linear layers that read the same value by one product, where their weights are neighbours in memory.

    The graph is changed in place.

    Args:
        graph: as ``torch.compile`` gives it to a backend: linear layers are calls, their weights are inputs.
        inputs: of the graph.
        few: the rows are few, so that a layer on its own is replaced, too.
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
    """Replace the linear layers ``run``, which read one value, by one product; it is a sum of ``parts`` unless 0."""
    value, weights = (
        run[0].args[0],
        [node.args[1] for node in run],
    )  # read now: it may have been replaced
    with nodes.inserting_before(run[0]):
        if parts:
            summands = nodes.call_function(torch.ops.dlmsample.few_linear, (value, weights, parts))
            # the sum of a single part would be a kernel of its own
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
