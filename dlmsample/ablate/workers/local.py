"""The local engine: one worker process for each device, or this process where there is a single device."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection

from dlmsample.ablate.workers import pool
from dlmsample.ablate.workers.units import Engine, Failure, Outcomes, Queue, Reply, Scorer, Unit


def devices(given: str | None) -> list[str | None]:
    """The devices of a run: ``cuda`` is every GPU there is, ``cuda:0,cuda:2`` are two of them.

    Example:
        >>> devices(None), devices("cpu"), devices("cuda:0,cuda:2")
        ([None], ['cpu'], ['cuda:0', 'cuda:2'])
    """
    if given == "cuda":
        import torch

        count = torch.cuda.device_count()
        return [given] if count < 2 else [f"cuda:{index}" for index in range(count)]
    return [None] if given is None else [part.strip() for part in given.split(",")]


def describe(where: Sequence[str | None]) -> str:
    """The devices in words: what they are and how many workers they have.

    Example:
        >>> describe(["cpu"]).split(" CPU")[0] == platform.machine()
        True
    """
    import torch

    names = {f"cuda:{index}": torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    names["cuda"] = names.get("cuda:0", "cuda")
    threads = _threads(where) or torch.get_num_threads()
    names["cpu"] = f"{platform.machine()} CPU, {threads} thread{'' if threads == 1 else 's'}"
    counts = Counter(names.get(device or "cpu", device) for device in where)  # a wrong one is told when it is used
    counted = [f"{name}{'' if count == 1 else f' ({count} workers)'}" for name, count in counts.items()]
    return "; ".join(counted)


def separate(where: Sequence[str | None], isolate: bool) -> bool:
    """Whether processes of their own do the work: several devices have one each."""
    return isolate or len(where) > 1


@contextmanager
def engine(where: Sequence[str | None], isolate: bool = False) -> Iterator[Engine]:
    """The function that decodes a queue of units on the devices.

    The worker processes start at once, so they import what they need while this process prepares the work.

    Args:
        where: from :func:`devices`.
        isolate: a single device gets a process of its own too, so that a crash there fails a cell and no more.
    """
    if not separate(where, isolate):
        yield partial(_here, where[0])
        return
    threads = _threads(where)
    workers = [_Process(device, threads) for device in where]
    try:
        yield partial(pool.outcomes, workers)
    finally:
        for worker in workers:
            worker.end()


def _here(device: str | None, queue: Queue, judge: Scorer) -> Outcomes:
    from dlmsample.ablate.workers.worker import Worker

    worker, holding = Worker(device), None
    while (unit := queue.take(holding)) is not None:
        holding = unit.cell.checkpoint.label
        yield queue.settle(judge(unit, worker.work(unit)))


class _Process:
    """A worker in a process of its own. Units and replies pass through a pipe; it opens no file of the run."""

    def __init__(self, device: str | None, threads: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, device, threads), daemon=True)
        self._process.start()
        far.close()
        self._made, self.alive = (device, threads), True

    def again(self) -> _Process:
        return _Process(*self._made)

    def ready(self) -> None:
        self._receive()

    def start(self, unit: Unit) -> None:
        with suppress(OSError):  # it died: the reply says so
            self._pipe.send(unit)

    def reply(self) -> Reply:
        reply = self._receive()
        return self._death() if reply is None else reply

    def _receive(self) -> Reply | None:
        """What the worker sent; None if it died."""
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            return None

    def _death(self) -> Failure:
        self.alive = False
        self._process.join()
        code = self._process.exitcode or 0
        why = " (out of memory?)" if code == -signal.SIGKILL else ""
        how = f"was killed by signal {-code}{why}" if code < 0 else f"ended with exit code {code}"
        return Failure(f"the worker process {how}", f"device {self._made[0] or 'cpu'}")

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


def _threads(where: Sequence[str | None]) -> int | None:
    """Of torch in each worker: several on the CPU share the threads of this process; None: as torch has it."""
    cpu = sum(str(device or "cpu").startswith("cpu") for device in where)
    if cpu < 2:
        return None
    import torch

    return max(1, torch.get_num_threads() // cpu)  # what --threads, or the quota of the control group, left


def _serve(pipe: Connection, device: str | None, threads: int | None) -> None:
    """Serve units until the pipe closes or the process that started this one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    from dlmsample.ablate.workers.worker import Worker

    if device is not None and device.startswith("cuda:"):
        _use(device)
    worker = Worker(device, threads)
    with suppress(EOFError, OSError):
        pipe.send(worker.ping())
        while True:
            pipe.send(worker.work(pipe.recv()))


def _use(device: str) -> None:
    """Make a GPU this process's current one, where forwards are captured; a wrong one is told when it is used."""
    import torch

    with suppress(RuntimeError, AssertionError, ValueError):
        torch.cuda.set_device(device)


def _outlive_nobody() -> None:
    """End this process with its parent, even in the middle of a forward."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
