"""The engine: one thread that decodes the jobs of all clients, group by group in turns, a forward at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import torch

from dlmsample.serve.engine.jobs import GroupKey, Job
from dlmsample.serve.engine.lane import Lane
from dlmsample.serve.engine.observer import Observer
from dlmsample.serve.limits import ServerLimits

_LOG = logging.getLogger(__name__)
_NEVER = float("inf")


class QueueFull(Exception):
    """So many jobs wait that no more are taken."""


class EngineClosed(Exception):
    """The engine takes no more jobs."""


class Engine:
    """Jobs join the running batch of their group between any two forwards, in the order in which they came.

    Jobs that have checkpoint, policy and options in common share a batch; up to ``limits.batches`` groups are decoded
    in turns, a forward each. No job overtakes one of a group that waits for a turn. Rows are independent: an answer
    is that of :meth:`dlmsample.Sampler.generate`, whatever else is decoded.

    Args:
        limits: how much is taken on.
        observer: told what happens, on the engine's thread.
    """

    def __init__(self, limits: ServerLimits, observer: Observer | None = None) -> None:
        self.limits, self._observer = limits, observer or Observer()
        self._changed = threading.Condition()
        self._new: list[Job] = []
        self._waiting = self._running = self._groups = self._count = 0
        self._closing = self._aborting = False
        self._lanes: dict[GroupKey, Lane] = {}  # the thread's alone
        self._cores = torch.get_num_threads()
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)

    @property
    def waiting(self) -> int:
        """Jobs that have no place in a batch yet."""
        return self._waiting

    @property
    def running(self) -> int:
        """Jobs that are being decoded."""
        return self._running

    @property
    def groups(self) -> int:
        """Batches that are being decoded in turns."""
        return self._groups

    @property
    def alive(self) -> bool:
        """Whether it takes jobs."""
        return self._thread.is_alive() and not self._closing

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take these jobs, all or none.

        Raises:
            QueueFull: too many wait.
            EngineClosed: it ends.
        """
        with self._changed:
            if self._closing:
                raise EngineClosed
            if self._waiting + len(jobs) > self.limits.queue:
                raise QueueFull
            for job in jobs:
                job.number, job.since = self._count, time.monotonic()
                self._count += 1
            self._new += jobs
            self._waiting += len(jobs)
            self._changed.notify()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Nobody wants these any more; their places are free before the next forward. Those that are done stay so."""
        with self._changed:
            for job in jobs:
                job.cancelled = True
            self._changed.notify()

    def close(self, seconds: float) -> bool:
        """Take no more jobs, finish those that there are, and end; what is not done in time is given up.

        Returns:
            whether all was done in time.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        in_time = not self._thread.is_alive()
        self._aborting = True
        with self._changed:
            self._changed.notify()
        self._thread.join(seconds)
        return in_time

    def _work(self) -> None:
        torch.set_num_threads(self._cores)  # a thread starts with torch's default
        while self._receive():
            self._round()
        for lane in self._lanes.values():
            lane.fail("the server ends")

    def _receive(self) -> bool:
        """Wait for something to do, and sort new jobs into their lanes; False: there will be nothing more to do."""
        with self._changed:
            while not (self._new or self._closing) and all(lane.empty for lane in self._lanes.values()):
                self._changed.wait()
            new, self._new = self._new, []
        for job in new:
            if (lane := self._lanes.get(job.group)) is None:
                lane = self._lanes[job.group] = self._lane(job)
            lane.waiting.append(job)
        return not self._aborting and not (self._closing and all(lane.empty for lane in self._lanes.values()))

    def _lane(self, job: Job) -> Lane:
        longest = min(job.sampler.model.context, self.limits.prompt_tokens + self.limits.new_tokens)
        return Lane(job, longest, self._observer)

    def _round(self) -> None:
        """One forward of every group that has a turn."""
        lanes = sorted(self._lanes.items(), key=lambda item: (not item[1].open, _first(item[1])))
        busy = [(key, lane) for key, lane in lanes if not lane.empty]
        turn, later = busy[: self.limits.batches], busy[self.limits.batches :]
        before = min((_first(lane) for _, lane in later), default=_NEVER)
        for key, lane in turn:
            try:
                lane.turn(before)
            except Exception as error:  # what one group does to the device must not end the others
                _LOG.exception("decoding failed: %s", key)
                lane.fail(f"decoding failed: {type(error).__name__}")
                del self._lanes[key]
        for _, lane in later:
            lane.tidy()
        with self._changed:
            self._waiting = len(self._new) + sum(len(lane.waiting) for lane in self._lanes.values())
        self._running = sum(lane.running for lane in self._lanes.values())
        self._groups = sum(lane.open for lane in self._lanes.values())
        idle = [key for key, lane in self._lanes.items() if lane.empty]
        for key in idle[: max(0, len(idle) - self.limits.batches)]:  # a few are kept, with what they captured
            del self._lanes[key]


def _first(lane: Lane) -> float:
    """The number of the job that waits longest."""
    return lane.waiting[0].number if lane.waiting else _NEVER
