"""One decoding step, put together from our parts or from a library's in their place.

A step is one forward of the active blocks over a cache that holds what precedes them, the LM head, and the policy's
update of every row. All of it works on tensors whose addresses never change, so that it can be captured.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

import dlmsample as ds
from benchmarks.library_attention import NAME, TILE, LibraryReader
from dlmsample.decoding.captured.capture import cuda_graphs
from dlmsample.decoding.captured.compiled import compiled_update, with_state
from dlmsample.decoding.request import DecodingConfig, open_rows

# Everything that is taken from inside the package.
from dlmsample.decoding.step import Rows, advance, tree_map
from dlmsample.kernels.product import MOST_ROWS
from dlmsample.kernels.support import constant_when_compiled
from dlmsample.models.attention.base import Layout, RowPosition
from dlmsample.models.attention.in_place import InPlaceReader
from dlmsample.models.fusion import fuse as fusing


class Alternative(NamedTuple):
    """How a step is made."""

    name: str
    replaces: str  #: what of ours is not used
    layers: Literal["fused", "fused_cublas", "compiled", "autotuned", "stock"] = "fused"
    attention: Literal["ours", "sdpa", "flex"] = "ours"
    update: Literal["compiled", "plain"] = "compiled"
    launch: Literal["graph", "reduce-overhead"] = "graph"


_GRAPHS = "graphs, cuda, compiled, fuse, merge, product"
_WHOLE: dict[str, Any] = {"layers": "stock", "update": "plain", "launch": "reduce-overhead"}
ALTERNATIVES: dict[str, Alternative] = {
    each.name: each
    for each in (
        Alternative("ours", "nothing"),
        Alternative("reduce_overhead", _GRAPHS, **_WHOLE),
        Alternative("sdpa", "attention", attention="sdpa"),
        Alternative("flex", "attention", attention="flex"),
        Alternative("compiled_layers", "fuse, merge, product", layers="compiled"),
        Alternative("libraries_sdpa", f"{_GRAPHS}, attention", attention="sdpa", **_WHOLE),
        Alternative("fused_cublas", "product", layers="fused_cublas"),
        Alternative("plain_update", "compiled", update="plain"),
        Alternative("stock_layers", "compiled, fuse, merge, product", layers="stock", update="plain"),
        Alternative("compiled_sdpa", "fuse, merge, product, attention", layers="compiled", attention="sdpa"),
        Alternative("compiled_flex", "fuse, merge, product, attention", layers="compiled", attention="flex"),
        Alternative("autotuned_layers", "fuse, merge, product", layers="autotuned"),
        Alternative("libraries_flex", f"{_GRAPHS}, attention", attention="flex", **_WHOLE),
    )
}
"""By name; those that decide most come first."""


class _Layer:
    """A layer's forward, compiled for all layers together: each is given its own part of ``blocks``."""

    def __init__(self, layer: Any, number: int, run: Callable[..., Any]) -> None:
        self._layer, self._number, self._run = layer, number, run

    def __call__(self, hidden: Any, *args: Any, blocks: Any = None, **given: Any) -> Any:
        if isinstance(blocks, list):
            given["blocks"] = blocks[self._number]
        return self._run(self._layer, hidden, *args, **given)


def compiled(work: Callable[..., Any], backend: str, mode: str | None = None) -> Callable[..., Any]:
    """By ``torch.compile`` for fixed shapes, in one graph; modes are inductor's."""
    return torch.compile(
        work, dynamic=False, fullgraph=True, backend=backend, mode=mode if backend == "inductor" else None
    )


def differs(alternative: Alternative, positions: int) -> bool:
    """Whether it is not the same as ours where a forward has so many positions: the product is for few."""
    return alternative.layers != "fused_cublas" or positions <= MOST_ROWS


def prepared(model: ds.Denoiser, alternative: Alternative, backend: str = "inductor") -> ds.Denoiser:
    """The checkpoint with its layers and attention as they are asked for; weights are shared with ``model``."""
    module = copy.deepcopy(model.module, {id(weight): weight for weight in model.module.parameters()})
    if alternative.attention != "ours":
        module.config._attn_implementation = NAME
    if alternative.layers in ("fused", "fused_cublas"):
        module = fusing.fuse(module, backend)
    elif alternative.layers != "stock":
        mode = "max-autotune-no-cudagraphs" if alternative.layers == "autotuned" else None

        def forward(layer: Any, *args: Any, **given: Any) -> Any:
            return type(layer).forward(layer, *args, **given)

        run = compiled(forward, backend, mode)
        for number, layer in enumerate(module.get_decoder().layers):
            layer.forward = _Layer(layer, number, run)
        norm = module.get_decoder().norm
        norm.forward = compiled(norm.forward, backend, mode)
    return ds.Denoiser(model.name, module, None, model.facts, interface=model.interface)


@contextmanager
def compiling(alternative: Alternative) -> Iterator[None]:
    """What has to hold while a step of it is compiled or captured, and while it runs."""
    options = torch._dynamo.config.patch(recompile_limit=64, specialize_float=True)
    # the kernel for few rows is chosen where a layer is called
    cublas = patch.object(fusing, "is_few", lambda hidden: False)
    with options, torch.no_grad():
        if alternative.layers == "fused_cublas":
            with cublas:
                yield
        else:
            yield


class Step:
    """Rows that have just been admitted, all of one length, and what advances them.

    Args:
        model: from :func:`prepared`.
        alternative: how.
        policy: of the update.
        prompts: ids ``[row, pos]``.
        new: tokens of an answer.
        backend: of ``torch.compile``.
    """

    def __init__(
        self,
        model: ds.Denoiser,
        alternative: Alternative,
        policy: ds.Policy,
        prompts: Tensor,
        new: int,
        backend: str = "inductor",
    ) -> None:
        config = DecodingConfig.make(model, policy, model.block_length, (0.0, 1.0, None), "exact", None, False)
        self._settings, device = config.settings, model.device
        canvases = [[*prompt, *[model.mask_id] * new] for prompt in prompts.tolist()]
        opened = open_rows(canvases, range(len(canvases)), config.segmentation, model.mask_id, device)
        rows, length = len(canvases), len(canvases[0])
        capacity = -(-length // TILE) * TILE if alternative.attention == "flex" else length
        self._reader = (
            InPlaceReader(model, rows, capacity, False)
            if alternative.attention == "ours"
            else LibraryReader(model, rows, opened.layout.width, capacity, alternative.attention == "flex")
        )
        with torch.compiler.set_stance("force_eager"):  # a prompt's forward is not what is compared
            self._reader.admit(torch.arange(rows, device=device), opened.rows.canvas, opened.layout, max(opened.first))
        self._layout: Layout = tree_map(torch.clone, opened.layout)
        self._first: Rows = with_state(opened.rows, opened.layout, config.settings)
        self.rows: Rows = tree_map(torch.clone, self._first)
        self._places = [RowPosition(length - opened.layout.width, 0, length)]  # how far a forward may read
        self._update = None
        if alternative.update == "compiled":
            one_block = opened.layout.one_prompt_block
            self._update = compiled_update(config.settings, opened.layout.width, one_block, backend)
        self._play = self._replayed(backend) if alternative.launch == "reduce-overhead" else self._captured(device)

    def reset(self) -> None:
        """Back to the first step."""
        tree_map(lambda now, first: now.copy_(first), self.rows, self._first)

    def __call__(self) -> None:
        """One step of every row."""
        self._play()

    @property
    def filled(self) -> int:
        """Tokens that stand where masks were, in all rows."""
        return int(self.rows.counts.fills.sum())

    def _work(self) -> Any:
        features = self._reader.read(self.rows.canvas, self._layout, self.rows.start, self._places)
        if self._update is not None:
            return self._update(self.rows, self._layout, features, self._settings)[0]
        return _advanced(self.rows, self._layout, features, self._settings)

    def _captured(self, device: torch.device) -> Callable[[], Any]:
        """As one CUDA graph that we record."""
        for _ in range(2):  # whatever is compiled or tuned at first
            self._work()
        return cuda_graphs()(self._work)[0] if device.type == "cuda" else self._work

    def _replayed(self, backend: str) -> Callable[[], Any]:
        """As one function that ``torch.compile`` compiles and records."""
        constant_when_compiled()
        layout, pairs = self._layout, self._reader._cache.pairs()
        held = [layout.first, layout.length, *(t for pair in pairs for t in pair)]
        tree_map(held.append, tuple(self.rows))
        if isinstance(self._reader, LibraryReader):
            held += self._reader.written
        for tensor in held:
            torch._dynamo.mark_static_address(tensor)  # else what is written is copied, or nothing is recorded
        work = partial(_whole, self._reader, self._places, layout.width, layout.one_prompt_block)
        whole = compiled(work, backend, "reduce-overhead")

        def play() -> None:
            torch.compiler.cudagraph_mark_step_begin()
            whole(self.rows, layout.first, layout.length, self._settings)

        for _ in range(3):  # compiled, run once without a graph, recorded
            play()
        return play


def _whole(
    reader: Any,
    places: list[RowPosition],
    width: int,
    one_block: bool,
    rows: Rows,
    first: Tensor,
    length: Tensor,
    settings: Any,
) -> Tensor:
    """All of a step in one function."""
    layout = Layout(first, length, width, one_block)
    return _advanced(rows, layout, reader.read(rows.canvas, layout, rows.start, places), settings)


def _advanced(rows: Rows, layout: Layout, features: Any, settings: Any) -> Tensor:
    """The plain update, written over the rows as they were."""
    new, outcome, _ = advance(rows, layout, features, settings)
    tree_map(lambda old, now: old if old is now else old.copy_(now), rows, new)
    return outcome
