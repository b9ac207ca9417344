"""What captured forwards need of CUDA: graphs, and flags on their way to the host."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

#: Held while recording: CUDA records for one thread of a process at a time.
RECORDING = Lock()
#: Record a function's work on tensors once: what plays it again, and what it returned.
Capture = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]


def cuda_graphs() -> Capture:
    """What records work as CUDA graphs that share their memory: one plays at a time. Nothing runs while recording.

    Raises (when it records):
        RuntimeError: the work waits for the device, or does something else that cannot be captured.
    """
    pool = torch.cuda.graph_pool_handle()
    own = torch.cuda.Stream()  # the one that torch would share among all captures is on whichever GPU came first

    def record(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # other threads may use the GPU meanwhile
            with torch.cuda.graph(graph, pool=pool, stream=own, capture_error_mode="thread_local"):
                out = work()
        except RuntimeError:
            torch.cuda.set_stream(stream)  # what fails in ending the capture leaves its own stream set
            raise
        return graph.replay, out

    return record


class Flags:
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
