"""Slots that are lent to calls and kept between them, because a capture is worth more than one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

import torch

from dlmsample.decoding.captured.capture import cuda_graphs
from dlmsample.decoding.captured.executor import Captured
from dlmsample.decoding.captured.memory import bucket, coarse
from dlmsample.decoding.captured.parts import CapturedParts
from dlmsample.decoding.request import DecodingConfig, Extent
from dlmsample.decoding.slots import Eager, Slots
from dlmsample.models.attention.approximate import APPROXIMATIONS
from dlmsample.models.denoiser import Denoiser

_Terms = tuple[str | None, tuple[tuple[int, torch.dtype], ...]]
_Done = torch.cuda.Event | None


class Pool:
    """Lends slots, and keeps those of the latest batch of prompts and of the latest batch of texts.

    What is kept holds its memory: the cache's and the captured forwards'. A copy of a pool begins with none.

    Args:
        graphs: whether to capture where that is possible.
        size: number of slots, at most.
    """

    def __init__(self, graphs: bool, size: int) -> None:
        self._graphs, self._size = graphs, size
        self._kept: dict[bool, tuple[Slots, _Terms, _Done]] = {}  # by whether texts are filled
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Pool], tuple[bool, int]]:
        return Pool, (self._graphs, self._size)

    def release(self) -> None:
        """Keep none of these slots; those that are lent at the moment are not kept either."""
        with self._lock:
            self._kept = {}

    def slots(self, config: DecodingConfig, size: int, extent: Extent) -> AbstractContextManager[Slots]:
        """Slots for a batch; where forwards are captured those of an earlier one, if they fit."""
        if self._graphs and not config.settings.alternatives and _capturable(config):
            return self._lent(config, size, extent)
        with self._lock:  # what is kept goes, and its memory, where the model is no longer
            self._kept.pop(config.settings.special is not None, None)
        return nullcontext(Slots(config, size, extent, Eager(config)))

    @contextmanager
    def _lent(self, config: DecodingConfig, size: int, extent: Extent) -> Iterator[Slots]:
        filling = config.settings.special is not None
        with self._lock:  # a second call at the same time finds none
            shelf = self._kept
            kept = shelf.pop(filling, None)
        terms = _terms(config.model)
        if kept is not None and kept[1] == terms and _serves(kept[0], size, extent):
            slots = kept[0]
            if kept[2] is not None:  # a forward that was started ahead may still run, on another stream
                kept[2].wait()
        else:
            del kept  # before there are others
            slots = self._made(config, size, extent)
        try:
            yield slots
        except GeneratorExit:  # a stream that nobody reads on
            shelf[filling] = slots, terms, _done(config.device)
            raise
        shelf[filling] = slots, terms, _done(config.device)

    def _made(self, config: DecodingConfig, size: int, extent: Extent) -> Slots:
        extent = extent._replace(length=min(coarse(extent.length, 128), config.model.context))
        size = min(bucket(size), self._size)
        kind = CapturedParts if config.cache in APPROXIMATIONS else Captured
        return Slots(config, size, extent, kind(config, size, extent, cuda_graphs()))


def _serves(slots: Slots, size: int, extent: Extent) -> bool:
    """Whether slots do for a batch of the same kind; blocks a little too wide cost less than to capture anew."""
    have = slots.extent
    wide = extent.width <= have.width <= extent.width * 5 // 4
    return slots.size >= size and have.length >= extent.length and wide


def _capturable(config: DecodingConfig) -> bool:
    """Whether a forward's shapes depend only on what captures are kept apart by, and all is on the current GPU.

    Under autocast a graph would read casts of the weights that are gone when autocast ends.
    """
    device = config.device
    if (
        config.next_block is not None
        or config.grow is not None
        or device.type != "cuda"
        or torch.is_autocast_enabled("cuda")
    ):
        return False
    if config.segmentation.equal_lengths:  # captured forwards have few lengths, to which rows are padded
        return False
    here = device.index in (None, torch.cuda.current_device())
    return here and config.model.on_one_device


def _done(device: torch.device) -> _Done:
    """An event that happens when all that was started is done."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


def _terms(model: Denoiser) -> _Terms:
    """What graphs were captured with: how attention is done, and where the weights are that they read."""
    modules = [model.module] if model.head is None else [model.module, model.head]
    held = [t for m in modules if isinstance(m, torch.nn.Module) for t in (*m.parameters(), *m.buffers())]
    attention = getattr(getattr(model.module, "config", None), "_attn_implementation", None)
    return attention, tuple((t.data_ptr(), t.dtype) for t in held)
