"""Forwards captured as CUDA graphs: the same rows, reader and update as everywhere, at addresses that never change.

A small forward is bound by the time the host needs to launch its kernels; a graph launches all of them at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from dlmsample.decoding.captured.compiled import compiled_update, with_state
from dlmsample.decoding.captured.cuda import RECORDING, Capture, Flags, cuda_graphs
from dlmsample.decoding.configuration import Plan
from dlmsample.decoding.request import Canvases, Job, Room
from dlmsample.decoding.slots import Launched, Slots, own_mode
from dlmsample.decoding.step import Change, Rows, tree_map
from dlmsample.kernels.support import power_of_two
from dlmsample.models.attention.approximate import APPROXIMATIONS
from dlmsample.models.attention.base import Features, Layout, RowPosition
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.fusion.fuse import is_fused

#: Captures that one batch's slots hold at most. They share a pool of memory, which holds the working memory of the
#: largest, once, beside each one's results (a few numbers per position of a block). Dropping one frees the driver's
#: list of its kernels, and leaves its results' place to later captures; the pool itself goes with the last of them.
KINDS = 32

#: Positions of prompts that a GPU computes faster than a host launches the kernels.
FEW = 1024

_LOG = logging.getLogger("dlmsample")
_Terms = tuple[str | None, tuple[tuple[int, torch.dtype], ...]]
_Done = torch.cuda.Event | None
#: What plays a forward again, and what it gives.
_Graph = tuple[Callable[[], None], Any]


class CapturedSlots(Slots):
    """Slots at fixed addresses, whose forwards are captured once for each number of rows and reach.

    The first forward of a kind runs plainly, which is the warm-up that a capture needs; the second is captured. Where
    that fails, those of the kind run plainly from then on, and a line in the log says why. Of rows there are 1, 2, ...,
    8, 10, ..., 16, 20, ... in a forward, or all; what is too many is free: done, until a row that waits takes it.
    Where the reader leaves it open how far a row reads, short prompts are captured too, by number and length.

    Args:
        plan: what rows are decoded with.
        size: slots, at most.
        room: what a row may take up, at most.
        record: what captures.
    """

    ahead = True

    @own_mode
    def __init__(self, plan: Plan, size: int, room: Room, record: Capture) -> None:
        super().__init__(plan, size, room)
        self._record = record
        fused = is_fused(plan.model.module)
        self._compiled = compiled_update(plan.settings, room.width, plan.form.prompt_block) if fused else None
        self._kinds: dict[tuple[str, int, int], _Graph | None] = {}  # None: it ran once
        self._failed = set[tuple[str, int, int]]()
        self._all: tuple[Rows, Layout] | None = None
        self._new: tuple[Tensor, ...] | None = None  # rows that come: slots, canvas, first, length
        self._flags = [Flags(size, plan.model.device) for _ in range(2)]  # of this forward and the one before

    @own_mode
    def open(self, jobs: Sequence[Job]) -> Canvases:
        opened = self._opened(range(len(jobs)), jobs)
        if self._all is None:
            first, length = self._space(opened.layout.first), self._space(opened.layout.length)
            self._all = tree_map(self._space, opened.rows), opened.layout._replace(first=first, length=length)
        rows, layout = self._padded(opened.rows, opened.layout, range(len(jobs)))
        self._use(len(rows.start))
        self._store(rows._replace(state=self._now[0].state), layout)  # a state is made anew on entering a block
        return opened

    @property
    def patience(self) -> int:  # type: ignore[override]
        """An admission is a forward of its own: it pays for several rows at once."""
        return max(1, self.rows // 4)

    def shrinks(self, live: int) -> bool:
        return 2 * self._rounded(live) <= self.rows

    @own_mode
    def keep(self, slots: Sequence[int]) -> None:
        rows, layout = self._padded(*self._now, slots)
        self._use(len(rows.start))
        self._store(rows, layout)
        self._reader.keep(self._index(slots))

    @own_mode
    def tick(self, places: Sequence[RowPosition]) -> Launched:
        reach = self._reach(places)
        fixed = [RowPosition(reach - self.room.width, 0, reach)]
        outcome, change = self._played(("blocks", self.rows, reach), lambda: self._advance(fixed))
        self._flags.reverse()
        return Launched(self._flags[0].hold(outcome), change)

    def _update(self, rows: Rows, layout: Layout, features: Features) -> tuple[Tensor, Change]:
        if self._compiled is None:
            return super()._update(rows, layout, features)
        settings = self.plan.settings
        if rows.state is None:
            self._store(with_state(rows, layout, settings), layout)
        return self._compiled(self._now[0], layout, features, settings)

    def _prefill(self, slots: Tensor, opened: Canvases) -> None:
        prefill = min(_coarse(max(opened.first), 64), self.room.capacity)
        if not (self._reader.ragged and max(opened.first)) or len(slots) * prefill > FEW:
            super()._prefill(slots, opened)
            return
        if self._new is None:
            self._new = tree_map(self._space, (slots, opened.rows.canvas, *opened.layout[:2]))
        fixed = tree_map(lambda t: t[: len(slots)], self._new)
        tree_map(lambda a, b: a.copy_(b), fixed, (slots, opened.rows.canvas, *opened.layout[:2]))
        index, canvas, first, length = fixed
        # what lies behind a row's prompt is computed in vain, and written over before it is read
        layout = opened.layout._replace(first=first, length=length)
        work = partial(self._reader.admit, index, canvas, layout, prefill)
        self._played(("prompts", len(slots), prefill), work)

    def _played(self, kind: tuple[str, int, int], work: Callable[[], Any]) -> Any:
        """Do the work of a forward of some kind: plainly, or as it was captured."""
        if kind in self._failed:
            return work()
        known, graph = kind in self._kinds, self._kinds.pop(kind, None)
        if len(self._kinds) == KINDS:
            del self._kinds[next(iter(self._kinds))]  # least recently used
        if known and graph is None:
            graph = self._captured(kind, work)
        self._kinds[kind] = graph
        if graph is None:
            return work()
        replay, result = graph
        replay()
        return result

    def _captured(self, kind: tuple[str, int, int], work: Callable[[], Any]) -> _Graph | None:
        try:
            with RECORDING:
                return self._record(work)
        except RuntimeError as e:
            if not self._failed:  # others are likely to fail as well
                said = " ".join(str(e).split())[:200]
                _LOG.warning("forwards of %s cannot be captured, they run one by one: %s", self.plan.model.name, said)
            self._failed.add(kind)
            return None

    def _reach(self, places: Sequence[RowPosition]) -> int:
        """How far a forward reads, in coarse steps, so that few kinds of forwards are captured."""
        plan, room = self.plan, self.room
        if plan.model.attention == "bidirectional":
            return min(_coarse(max(place.length for place in places), 128), room.length)
        if self._reader.ragged or (plan.settings.gaps and not plan.settings.cached):
            return room.capacity  # no matter; or a row may pass over blocks
        # the host knows of the forward before the last one: a row may have moved on since
        need = max(place.start for place in places) + 2 * room.width
        return min(_coarse(need, 128), room.capacity)

    def _rounded(self, rows: int) -> int:
        """Of a forward with so many rows, the rows that it has."""
        return min(_bucket(rows), self.size)

    def _padded(self, rows: Rows, layout: Layout, slots: Sequence[int]) -> tuple[Rows, Layout]:
        """These rows, and as many copies of one, which are done, as round their number."""
        spare = self._rounded(len(slots)) - len(slots)
        index = self._index([*slots, *[slots[-1]] * spare])
        kept: Rows = tree_map(lambda t: t[index], rows)
        kept.finished[len(slots) :] = True
        return kept, layout.keep(index)

    def _use(self, rows: int) -> None:
        """Work on the first so many slots."""
        assert self._all is not None
        everything, layout = self._all
        few = layout._replace(first=layout.first[:rows], length=layout.length[:rows])
        self._held = tree_map(lambda t: t[:rows], everything), few

    def _store(self, rows: Rows, layout: Layout) -> None:
        assert self._all is not None
        now, where = self._now
        if now.state is None and rows.state is not None:  # the first forward of all has made one
            everything, all_layout = self._all
            self._all = everything._replace(state=tree_map(self._space, rows.state)), all_layout
            self._use(len(now.start))
            now, where = self._now
        for old, new in ((now, rows), (where[:2], layout[:2])):
            tree_map(lambda a, b: a if a is b else a.copy_(b), old, new)

    def _space(self, like: Tensor) -> Tensor:
        """Room for all slots."""
        return like.new_zeros(self.size, *like.shape[1:])


def _bucket(rows: int) -> int:
    """The next of 1, 2, ..., 8, 10, ..., 16, 20, ..., 32, 40, ..."""
    step = max(1, power_of_two(rows) // 8)
    return -(-rows // step) * step


def _coarse(count: int, least: int) -> int:
    """The next of ..., 64, 96, 128, 192, 256, 384, ..."""
    count = max(count, least)
    power = power_of_two(count)
    return power if count > power * 3 // 4 else power * 3 // 4


class Pool:
    """Lends slots, and keeps those of the latest batch of prompts and of texts: a capture is worth more than one call.

    They hold their memory: that of the cache, and of the captured forwards. A copy begins with none.

    Args:
        graphs: whether to capture where that can be.
        size: slots, at most.
    """

    def __init__(self, graphs: bool, size: int) -> None:
        self._graphs, self._size = graphs, size
        self._kept: dict[bool, tuple[CapturedSlots, _Terms, _Done]] = {}  # by whether texts are filled
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Pool], tuple[bool, int]]:
        return Pool, (self._graphs, self._size)

    def release(self) -> None:
        """Keep none of these slots; those that are lent are not kept either."""
        with self._lock:
            self._kept = {}

    @contextmanager
    def slots(self, plan: Plan, size: int, room: Room) -> Iterator[Slots]:
        """Slots for a batch; those of an earlier one where they fit."""
        filling = plan.settings.special is not None
        with self._lock:  # a second call at the same time finds none
            shelf = self._kept
            kept = shelf.pop(filling, None)
        if not (self._graphs and _capturable(plan)):
            del kept  # and its memory, where the model is no longer
            yield Slots(plan, size, room)
            return
        terms = _terms(plan.model)
        if kept is not None and kept[1] == terms and _serves(kept[0], size, room):
            slots = kept[0]
            if kept[2] is not None:  # a forward that was started ahead may still run, on another stream
                kept[2].wait()
        else:
            del kept  # before there are others
            length = min(_coarse(room.length, 128), plan.model.context)
            slots = CapturedSlots(plan, min(_bucket(size), self._size), room._replace(length=length), cuda_graphs())
        try:
            yield slots
        except GeneratorExit:  # a stream that nobody reads on
            shelf[filling] = slots, terms, _done(plan.model.device)
            raise
        shelf[filling] = slots, terms, _done(plan.model.device)


def _serves(slots: CapturedSlots, size: int, room: Room) -> bool:
    """Whether slots do for a batch in the same form; blocks a little too wide cost less than to capture anew."""
    width, length = slots.room
    return slots.size >= size and length >= room.length and room.width <= width <= room.width * 5 // 4


def _capturable(plan: Plan) -> bool:
    """Whether a forward's shapes depend on what the captured slots keep apart, and all of it is on the current GPU.

    Under autocast a graph would read casts of the weights that end with it.
    """
    device = plan.model.device
    if plan.cache in APPROXIMATIONS or device.type != "cuda" or torch.is_autocast_enabled("cuda"):
        return False
    here = device.index in (None, torch.cuda.current_device())
    return here and plan.model.on_one_device


def _done(device: torch.device) -> _Done:
    """What has happened when all that was started is done."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


def _terms(model: Denoiser) -> _Terms:
    """What graphs were captured with: how attention is done, and where the weights are, for they read them there."""
    parts = [model.module] if model.head is None else [model.module, model.head]
    held = [t for part in parts if isinstance(part, torch.nn.Module) for t in (*part.parameters(), *part.buffers())]
    attention = getattr(getattr(model.module, "config", None), "_attn_implementation", None)
    return attention, tuple((t.data_ptr(), t.dtype) for t in held)
