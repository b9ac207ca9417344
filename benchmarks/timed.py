"""Time spent inside modules, where they run."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import torch


class Timed:
    """Counts and times the calls of modules while it is open: by events on a GPU, which wait for nothing.

    Calls that are being captured as a graph run nothing and are not counted.
    """

    def __init__(self, device: torch.device, *modules: Any) -> None:
        self._on_gpu, self._modules = device.type == "cuda", modules
        self._marks: list[tuple[Any, Any]] = []
        self._begun: Any = None
        self._hooks: list[Any] = []

    @property
    def calls(self) -> int:
        """Of all the modules together."""
        return len(self._marks)

    def seconds(self) -> float:
        """Inside the modules, all calls together."""
        if not self._on_gpu:
            return sum(end - begun for begun, end in self._marks)
        torch.cuda.synchronize()
        return sum(begun.elapsed_time(end) for begun, end in self._marks) / 1000

    def __enter__(self) -> Timed:
        for module in self._modules:
            self._hooks.append(module.register_forward_pre_hook(self._start))
            self._hooks.append(module.register_forward_hook(self._stop))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _start(self, *_: Any) -> None:
        if not self._captures():
            self._begun = self._now()

    def _stop(self, *_: Any) -> None:
        if not self._captures():
            self._marks.append((self._begun, self._now()))

    def _captures(self) -> bool:
        return self._on_gpu and torch.cuda.is_current_stream_capturing()
