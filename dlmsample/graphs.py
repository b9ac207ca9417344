"""Forwards captured as CUDA graphs: the same rows, reader and update as everywhere, at addresses that never change.

A small forward is bound by the time the host needs to launch its kernels; a graph launches all of them at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmsample.batch import Change, Rows, tree_map
from dlmsample.canvas import Canvases, Job, Room
from dlmsample.models.approximate import APPROXIMATIONS
from dlmsample.models.base import Denoiser
from dlmsample.models.reader import Layout, Place
from dlmsample.plan import Plan
from dlmsample.slots import Launched, Slots

_LOG = logging.getLogger("dlmsample")
_Terms = tuple[bool, tuple[tuple[int, torch.dtype], ...]]
#: Record a function's work on tensors once: what plays it again, and what it returned.
Capture = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]


def cuda_graphs() -> Capture:
    """What records work as CUDA graphs that share their memory: one plays at a time. Nothing runs while recording.

    Raises (when it records):
        RuntimeError: the work waits for the device, or does something else that cannot be captured.
    """
    pool = torch.cuda.graph_pool_handle()

    def record(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # other threads may use the GPU meanwhile
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                out = work()
        except RuntimeError:
            torch.cuda.set_stream(stream)  # what fails in ending the capture leaves its own stream set
            raise
        return graph.replay, out

    return record


class _Graph(NamedTuple):
    replay: Callable[[], None]
    outcome: Tensor
    change: Change


class CapturedSlots(Slots):
    """Slots at fixed addresses, whose forwards are captured once for each number of rows and reach.

    The first forward of a kind runs plainly, which is the warm-up that a capture needs; the second is captured. Where
    that fails, all forwards run plainly from then on, and a line in the log says why.

    Args:
        plan: what rows are decoded with.
        size: slots, at most.
        room: what a row may take up, at most.
        record: what captures.
    """

    ahead = True

    def __init__(self, plan: Plan, size: int, room: Room, record: Capture) -> None:
        super().__init__(plan, size, room)
        self._record = record
        self._kinds: dict[tuple[int, int], _Graph | None] = {}  # None: it ran once
        self._fails = False
        self._all: tuple[Rows, Layout] | None = None
        self._flags = [_Flags(size, plan.model.device) for _ in range(2)]  # of this forward and the one before

    @torch.no_grad()
    def open(self, jobs: Sequence[Job]) -> Canvases:
        if self._all is None:
            opened = super().open(jobs)
            rows, layout = self._now
            first, length = self._space(layout.first), self._space(layout.length)
            self._all = tree_map(self._space, rows), layout._replace(first=first, length=length)
            self._use(len(jobs))
            self._store(rows, layout)
            return opened
        self._use(len(jobs))
        return self.admit(range(len(jobs)), jobs)

    @property
    def patience(self) -> int:  # type: ignore[override]
        """An admission is a forward of its own: it pays for several rows at once."""
        return max(1, len(self._now[0].start) // 4)

    def shrinks(self, live: int) -> bool:
        return 2 * live <= len(self._now[0].start)

    @torch.no_grad()
    def keep(self, slots: Sequence[int]) -> None:
        rows, layout = self._now
        index = self._index(slots)
        kept = tree_map(lambda t: t[index], rows), layout.keep(index)
        self._use(len(slots))
        self._store(*kept)
        self._reader.keep(index)

    @torch.no_grad()
    def tick(self, places: Sequence[Place]) -> Launched:
        reach = self._reach(places)
        fixed = [Place(reach - self.room.width, 0, reach)]
        kind = len(self._now[0].start), reach
        if kind not in self._kinds or self._fails:
            outcome, change = self._advance(fixed)
            if not self._fails:
                self._kinds[kind] = None
        else:
            graph = self._kinds[kind] or self._captured(kind, fixed)
            if graph is None:
                return self.tick(places)
            graph.replay()
            _, outcome, change = graph
        self._flags.reverse()
        return Launched(self._flags[0].hold(outcome), change)

    def _captured(self, kind: tuple[int, int], fixed: list[Place]) -> _Graph | None:
        try:
            replay, (outcome, change) = self._record(lambda: self._advance(fixed))
        except RuntimeError as e:
            said = " ".join(str(e).split())[:200]
            _LOG.warning("forwards of %s cannot be captured, they run one by one: %s", self.plan.model.name, said)
            self._fails = True
            self._kinds.clear()
            return None
        graph = _Graph(replay, outcome, change)
        self._kinds[kind] = graph
        return graph

    def _reach(self, places: Sequence[Place]) -> int:
        """How far a forward reads, in coarse steps, so that few kinds of forwards are captured."""
        plan, room = self.plan, self.room
        if plan.model.attention == "bidirectional":
            return min(_coarse(max(place.length for place in places)), room.length)
        if plan.settings.gaps and not plan.settings.cached:
            return room.capacity  # a row may pass over blocks
        # the host knows of the forward before the last one: a row may have moved on since
        need = max(place.start for place in places) + 2 * room.width
        return min(_coarse(need), room.capacity)

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


class _Flags:
    """One forward's flags, on their way to the host."""

    def __init__(self, size: int, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self._here = torch.zeros(size, dtype=torch.int8, pin_memory=on_gpu)
        self._arrived = torch.cuda.Event() if on_gpu else None

    def hold(self, outcome: Tensor) -> Callable[[], list[int]]:
        """Start copying; the function waits for the copy and reads it."""
        here = self._here[: len(outcome)]
        here.copy_(outcome, non_blocking=True)
        if self._arrived is not None:
            self._arrived.record()

        def read() -> list[int]:
            if self._arrived is not None:
                self._arrived.synchronize()
            return here.tolist()

        return read


def _coarse(positions: int) -> int:
    """The next of 128, 192, 256, 384, 512, 768, ... positions."""
    size = 128
    while size < positions:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


class Pool:
    """Lends slots, and keeps those of the latest batch: a capture is worth more than one call.

    They hold their memory: that of the cache, and of the captured forwards.

    Args:
        graphs: whether to capture where that can be.
    """

    def __init__(self, graphs: bool) -> None:
        self._graphs = graphs
        self._kept: tuple[CapturedSlots, _Terms] | None = None
        self._lock = Lock()

    @contextmanager
    def slots(self, plan: Plan, size: int, room: Room) -> Iterator[Slots]:
        """Slots for a batch; those of an earlier one where they fit."""
        with self._lock:  # a second call at the same time finds none
            kept, self._kept = self._kept, None
        if not (self._graphs and _capturable(plan)):
            del kept  # and its memory, where the model is no longer
            yield Slots(plan, size, room)
            return
        terms = _terms(plan.model)
        if kept is None or kept[1] != terms or not _serves(kept[0], plan, size, room):
            length = min(_coarse(room.length), plan.model.context)
            kept = CapturedSlots(plan, size, room._replace(length=length), cuda_graphs()), terms
        try:
            yield kept[0]
        except Exception:
            kept = None
            raise
        finally:
            self._kept = kept


def _serves(slots: CapturedSlots, plan: Plan, size: int, room: Room) -> bool:
    """Whether slots do for a batch of the same Sampler, which decodes prompts, or texts, in one form each."""
    same = slots.plan.form == plan.form and (slots.plan.settings.special is None) == (plan.settings.special is None)
    return same and slots.size >= size and slots.room.width == room.width and slots.room.length >= room.length


def _capturable(plan: Plan) -> bool:
    """Whether a forward's shapes depend on what the captured slots keep apart, and all of it is on the current GPU.

    Under autocast a graph would read casts of the weights that end with it.
    """
    device = plan.model.device
    if plan.cache in APPROXIMATIONS or device.type != "cuda" or torch.is_autocast_enabled("cuda"):
        return False
    here = device.index in (None, torch.cuda.current_device())
    return here and len({parameter.device for parameter in plan.model.module.parameters()}) == 1


def _terms(model: Denoiser) -> _Terms:
    """What must not have changed for a graph to be played: where the weights are, for it reads them there, and whether
    tensors are made in inference mode, for those take no writes outside it."""
    parts = [model.module] if model.head is None else [model.module, model.head]
    held = [t for part in parts if isinstance(part, torch.nn.Module) for t in (*part.parameters(), *part.buffers())]
    return torch.is_inference_mode_enabled(), tuple((t.data_ptr(), t.dtype) for t in held)
