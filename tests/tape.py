"""A CUDA graph on the CPU: tensor operations are noted once and played again at the same addresses.

As with a real graph, Python runs only while recording, and reading a value on the host is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[Any, Any, Any, list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if "_local_scalar_dense" in str(func):
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **kwargs)
        given = {_memory(t) for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)}
        made = [t if isinstance(t, Tensor) and _memory(t) not in given else None for t in tree_flatten(out)[0]]
        self.notes.append((func, args, kwargs, made))
        return out

    def play(self) -> None:
        for func, args, kwargs, made in self.notes:
            for old, new in zip(made, tree_flatten(func(*args, **kwargs))[0], strict=True):
                if old is not None:
                    old.copy_(new)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def tapes(log: list[_Tape] | None = None) -> Callable[[], Any]:
    """In place of :func:`dlmsample.decoding.captured.capture.cuda_graphs`; ``log`` gets every tape."""

    def record(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        with _Tape() as tape:
            out = work()
        if log is not None:
            log.append(tape)
        fresh = [True]  # a graph runs nothing while recording; here the first play has happened already

        def replay() -> None:
            if fresh:
                fresh.clear()
            else:
                tape.play()

        return replay, out

    return lambda: record
