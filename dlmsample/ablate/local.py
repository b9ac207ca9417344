"""The local engine: a process for each device; a single device may be worked on in this one."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from dlmsample.ablate.units import Outcome, Outcomes, Queue, Unit


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


def outcomes(queue: Queue, where: Sequence[str | None], isolate: bool = False) -> Outcomes:
    """Run the queue on the devices and give each outcome as it comes.

    ``isolate``: a single device gets a process of its own too, so that a crash there fails a cell and no more.
    """
    if len(where) == 1 and not isolate:
        yield from _here(queue, where[0])
    else:
        yield from _processes(queue, where)


def _here(queue: Queue, device: str | None) -> Outcomes:
    from dlmsample.ablate.bench import Bench

    bench, holding = Bench(device), None
    while (unit := queue.take(holding)) is not None:
        holding = unit.cell.checkpoint.label
        yield queue.settle(bench.work(unit))


class _Worker:
    """A process with a bench; it gets units and gives outcomes through a pipe, and opens no file of the run."""

    def __init__(self, device: str | None, threads: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_serve, args=(far, device, threads), daemon=True)
        self.process.start()
        far.close()
        self.device, self.threads = device, threads
        self.unit: Unit | None = None

    @property
    def holding(self) -> str | None:
        """Label of the checkpoint it has loaded."""
        return None if self.unit is None else self.unit.cell.checkpoint.label

    def start(self, unit: Unit) -> None:
        self.unit = unit
        self.pipe.send(unit)

    def outcome(self) -> Outcome | None:
        """What it sent; None: it died."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def stop(self, patience: float = 0.0) -> None:
        """End it; one without work goes by itself, and gets so many seconds for it."""
        self.pipe.close()
        self.process.join(patience)
        self.process.terminate()
        self.process.join()


def _threads(where: Sequence[str | None]) -> int | None:
    """Of torch in each worker: several on the CPU share its cores; None: as torch has it."""
    cpu = sum(str(device or "cpu").startswith("cpu") for device in where)
    return max(1, (os.cpu_count() or 1) // cpu) if cpu > 1 else None


def _processes(queue: Queue, where: Sequence[str | None]) -> Outcomes:
    threads = _threads(where)
    workers: dict[Any, _Worker] = {}

    def employ(device: str | None, holding: str | None = None) -> None:
        unit = queue.take(holding)
        if unit is not None:
            worker = _Worker(device, threads)
            workers[worker.pipe] = worker
            worker.start(unit)

    try:
        for device in where:
            employ(device)
        while workers:
            for pipe in wait(list(workers)):
                worker = workers[pipe]
                outcome = worker.outcome()
                if outcome is None:
                    del workers[pipe]
                    yield queue.settle(_death(worker))
                    employ(worker.device, worker.holding)
                    continue
                settled = queue.settle(outcome)
                unit = queue.take(worker.holding)
                if unit is None:
                    del workers[pipe]
                    worker.stop(patience=10.0)
                else:
                    worker.start(unit)  # it works while the outcome is stored
                yield settled
    finally:
        for worker in workers.values():
            worker.stop()


def _death(worker: _Worker) -> Outcome:
    worker.process.join()
    code = worker.process.exitcode or 0
    why = " (out of memory?)" if code == -signal.SIGKILL else ""
    how = f"was killed by signal {-code}{why}" if code < 0 else f"ended with exit code {code}"
    worker.stop()
    assert worker.unit is not None
    return Outcome(worker.unit, [], f"the worker process {how}", f"device {worker.device or 'cpu'}")


def _serve(pipe: Connection, device: str | None, threads: int | None) -> None:
    """A worker's life: until its pipe closes, or the process that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    from dlmsample.ablate.bench import Bench

    bench = Bench(device, threads)
    try:
        while True:
            pipe.send(bench.work(pipe.recv()))
    except (EOFError, OSError):
        return


def _outlive_nobody() -> None:
    """End this process with its parent, even in the middle of a forward."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
