"""The Ray engine: units are decoded by actors of a Ray cluster, either a running one or one started here."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from dlmsample.ablate.workers import pool
from dlmsample.ablate.workers.units import Failure, Outcomes, Queue, Reply, Scorer, Unit


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


def outcomes(device: str | None, address: str | None, queue: Queue, judge: Scorer) -> Outcomes:
    """Decode every unit of a queue on the cluster, and yield each outcome as soon as it is known.

    Every GPU of the cluster gets an actor where ``device`` is a CUDA device, else every CPU. An actor gets its first
    unit when it has started, so that what a busy cluster cannot place delays nothing.

    Args:
        device: of the checkpoints that name none; None: CPU.
        address: of an existing cluster; None: one is started here, and ended afterwards.
        queue: the units.
        judge: of what the actors reply; it runs in this process.

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
        yield from pool.outcomes(_actors(ray, len(queue), device), queue, judge)
    finally:
        if started:
            ray.shutdown()


def _actors(ray: Any, units: int, device: str | None) -> list[_Actor]:
    gpu = str(device or "cpu").startswith("cuda")
    kind = "GPU" if gpu else "CPU"
    count = min(int(ray.cluster_resources().get(kind, 0)), units)
    if not count and units:
        raise ValueError(f"the Ray cluster has no {kind}: choose another --device")
    from dlmsample.ablate.workers.worker import Worker

    # Ray shows an actor its own GPU only, as device 0
    remote = ray.remote(num_cpus=1, num_gpus=int(gpu))(Worker)
    return [_Actor(ray, lambda: remote.remote("cuda" if gpu else device, None if gpu else 1)) for _ in range(count)]


class _Actor:
    """A worker in the cluster."""

    def __init__(self, ray: Any, make: Callable[[], Any]) -> None:
        self._ray, self._make = ray, make
        self._actor, self._asked = make(), None
        self.alive = True

    def again(self) -> _Actor:
        return _Actor(self._ray, self._make)

    def ready(self) -> None:
        try:
            self._ray.get(self._actor.ping.remote())
        except self._ray.exceptions.RayError as error:
            raise ValueError(f"a Ray actor cannot start: {' '.join(str(error).split())[:300]}") from None

    def start(self, unit: Unit) -> None:
        self._asked = self._actor.work.remote(unit)

    def reply(self) -> Reply:
        try:
            return self._ray.get(self._asked)
        except self._ray.exceptions.RayError as error:
            self.alive = False
            return Failure(f"the Ray actor failed ({type(error).__name__})", str(error))

    def end(self) -> None:
        with suppress(Exception):  # it is gone, or the cluster is
            self._ray.kill(self._actor)
