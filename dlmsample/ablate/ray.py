"""The Ray engine: the same units on the actors of a Ray cluster, an existing one or one on this machine."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from dlmsample.ablate.units import Outcome, Outcomes, Queue, Unit


def require() -> Any:
    """Ray, or what to do without it.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError:
        raise ValueError("--engine ray needs ray: pip install 'dlmsample[ray]', or leave --engine out") from None


def outcomes(queue: Queue, device: str | None, address: str | None) -> Outcomes:
    """Run the queue on the cluster and give each outcome as it comes.

    Every GPU of the cluster gets an actor where ``device`` is a CUDA device, else every CPU. An actor gets its first
    unit when it has started, so that what a busy cluster cannot place delays nothing.

    Args:
        queue: the units.
        device: of the checkpoints that name none; None: CPU.
        address: of an existing cluster; None: one is started here, and ended afterwards.

    Raises:
        ValueError: no ray, no such cluster, or one without the devices.
    """
    ray = require()
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ValueError(f"cannot reach a Ray cluster at {address!r}: {' '.join(str(error).split())}") from None
    try:
        yield from _drive(ray, queue, device)
    finally:
        if started:
            ray.shutdown()


def _drive(ray: Any, queue: Queue, device: str | None) -> Outcomes:
    gpu = str(device or "cpu").startswith("cuda")
    kind = "GPU" if gpu else "CPU"
    count = min(int(ray.cluster_resources().get(kind, 0)), len(queue))
    if not count and len(queue):
        raise ValueError(f"the Ray cluster has no {kind}: choose another --device")
    from dlmsample.ablate.bench import Bench

    # Ray shows an actor its own GPU only, as device 0
    actor = ray.remote(num_cpus=1, num_gpus=int(gpu))(Bench)
    pending: dict[Any, tuple[Any, Unit | None]] = {}  # what an actor is asked -> the actor, and its unit

    def employ() -> None:
        worker = actor.remote("cuda" if gpu else device, None if gpu else 1)
        pending[worker.ping.remote()] = (worker, None)

    def proceed(worker: Any, done: Unit | None) -> None:
        unit = queue.take(None if done is None else done.cell.checkpoint.label)
        if unit is None:
            ray.kill(worker)
        else:
            pending[worker.work.remote(unit)] = (worker, unit)

    for _ in range(count):
        employ()
    while pending and (len(queue) or any(unit is not None for _, unit in pending.values())):
        (ready,), _ = ray.wait(list(pending), num_returns=1)
        worker, unit = pending.pop(ready)
        try:
            answer = ray.get(ready)
        except ray.exceptions.RayError as error:
            if unit is None:
                raise ValueError(f"a Ray actor cannot start: {' '.join(str(error).split())[:300]}") from None
            line = f"the Ray actor failed ({type(error).__name__})"
            yield queue.settle(Outcome(unit, [], line, str(error)))
            if len(queue):
                employ()
            continue
        if answer is not None:
            yield queue.settle(answer)
        proceed(worker, unit)
    for worker, _ in pending.values():
        ray.kill(worker)
