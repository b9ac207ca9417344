"""Work that is recorded once as a CUDA graph and played back from then on, by kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from dlmsample.support.text import one_line

#: Captures that one batch's slots hold at most. They share one pool of memory: the working memory of the largest
#: capture, and each one's results (a few numbers per position of a block).
KINDS = 32
#: So many kinds fail, and nothing more is recorded: each failure costs memory that torch does not give back.
FAILURES = 3
#: Held while recording: CUDA records for one thread of a process at a time.
RECORDING = Lock()
#: Records a function's work on tensors: gives what plays it again, and what the function returned.
Capture = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]
#: What kind of work it is: a name, the number of rows, and how far they reach.
WorkKind = tuple[str, int, int]

_LOG = logging.getLogger("dlmsample")


class Captures:
    """Runs work of a kind plainly the first time, records it the second time, and plays it back from then on.

    The plain run is the warm-up that a capture needs. Where recording fails, work of that kind runs plainly for good,
    and one line in the log says why; after :data:`FAILURES` of them nothing is recorded any more. At most :data:`KINDS`
    recordings are held; the one that was not used for longest is dropped first.

    Args:
        record: what records.
        name: of the model, for the log.
    """

    def __init__(self, record: Capture, name: str) -> None:
        self._record, self._name = record, name
        self.graphs: dict[WorkKind, tuple[Callable[[], None], Any] | None] = {}  # None: it ran once
        self._failed = set[WorkKind]()

    def run(self, kind: WorkKind, work: Callable[[], Any]) -> Any:
        """Do the work; its result stands at the same addresses each time it is played back."""
        if kind in self._failed or len(self._failed) >= FAILURES:
            return work()
        known, graph = kind in self.graphs, self.graphs.pop(kind, None)
        if len(self.graphs) == KINDS:
            del self.graphs[next(iter(self.graphs))]
        if known and graph is None:
            graph = self._captured(kind, work)
        self.graphs[kind] = graph
        if graph is None:
            return work()
        replay, result = graph
        replay()
        return result

    def _captured(self, kind: WorkKind, work: Callable[[], Any]) -> tuple[Callable[[], None], Any] | None:
        try:
            with RECORDING:
                return self._record(work)
        except RuntimeError as e:
            if not self._failed:  # once one kind fails, others are likely to fail for the same reason
                said = one_line(e, 200)
                _LOG.warning("forwards of %s cannot be captured, they run one by one: %s", self._name, said)
            self._failed.add(kind)
            return None


def cuda_graphs() -> Capture:
    """What records work as CUDA graphs that share their memory, so that one plays at a time.

    What it gives raises RuntimeError where the work waits for the device, or cannot be captured for another reason.
    Graphs that are recorded after such a failure share other memory than those before it: torch may take the failed
    capture's memory to be in use for good.
    """
    pool = None
    own = torch.cuda.Stream()  # the stream that torch would share among captures is on whichever GPU came first
    held = list[torch.cuda.CUDAGraph]()

    def record(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        nonlocal pool
        if pool is None:
            pool = torch.cuda.graph_pool_handle()
            # a pool whose last graph is gone takes no other one
            held.append(captured(lambda: torch.zeros(1, device="cuda"))[0])
        graph, out = captured(work)
        return graph.replay, out

    def captured(work: Callable[[], Any]) -> tuple[torch.cuda.CUDAGraph, Any]:
        nonlocal pool
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # other threads may use the GPU meanwhile
            with torch.cuda.graph(graph, pool=pool, stream=own, capture_error_mode="thread_local"):
                out = work()
        except RuntimeError:
            torch.cuda.set_stream(stream)  # a capture that fails at its end leaves its own stream set
            held.append(graph)  # torch may still ask this one whether memory belongs to it
            pool = None
            raise
        return graph, out

    return record


class Flags:
    """One forward's flags, on their way to the host."""

    def __init__(self, size: int, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self._here = torch.zeros(size, dtype=torch.int8, pin_memory=on_gpu)
        self._arrived = torch.cuda.Event() if on_gpu else None

    def hold(self, outcome: Tensor) -> Callable[[], list[int]]:
        """Start copying them; the function that is returned waits for the copy and reads it."""
        here = self._here[: len(outcome)]
        here.copy_(outcome, non_blocking=True)
        if self._arrived is not None:
            self._arrived.record()

        def read() -> list[int]:
            if self._arrived is not None:
                self._arrived.synchronize()
            return here.tolist()

        return read
