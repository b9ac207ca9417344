"""A pool of workers: one thread of this process drives each worker and scores its replies.

A worker gets its next unit before its last reply is scored, so decoding and scoring overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from dlmsample.ablate.workers.units import Failure, Outcome, Outcomes, Queue, Reply, Scorer, Unit


class WorkerHandle(Protocol):
    """A worker that decodes elsewhere, in a process of its own or in a cluster, as the pool sees it."""

    alive: bool

    def ready(self) -> None:
        """Wait until the worker can take a unit."""

    def start(self, unit: Unit) -> None:
        """Send the worker a unit; returns at once."""

    def reply(self) -> Reply:
        """Wait for the reply to the unit. If the worker died, it is a failure, and ``alive`` becomes False."""
        ...

    def end(self) -> None:
        """Stop the worker, even in the middle of a unit. Any thread may call this, and more than once."""

    def again(self) -> WorkerHandle:
        """Start a new worker of the same kind, to take the place of this one."""
        ...


def outcomes(workers: Sequence[WorkerHandle], queue: Queue, judge: Scorer) -> Outcomes:
    """Decode every unit of a queue, and yield each outcome as soon as it is known.

    When a worker has replied, it first gets its next unit, and only then is its reply scored. So a slow scorer (one
    that runs programs for seconds, say) never keeps a worker waiting, and at most two units of a worker wait for
    their scores.

    Args:
        workers: already started; all of them are ended when this generator ends.
        queue: the units.
        judge: scores a reply; it is called from several threads at once.
    """
    found: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    places = [_Place(worker, queue, judge, found) for worker in workers]
    try:
        for place in places:
            place.start()
        while queue.unfinished:
            item = found.get()
            if isinstance(item, BaseException):
                raise item
            yield queue.settle(item)
    finally:
        queue.drop()
        for place in places:
            place.worker.end()


class _Place(Thread):
    """The thread that drives one worker, and a new worker after that one has died."""

    def __init__(
        self, worker: WorkerHandle, queue: Queue, judge: Scorer, found: SimpleQueue[Outcome | BaseException]
    ) -> None:
        super().__init__(daemon=True)
        self.worker = worker
        self._queue, self._judge, self._found = queue, judge, found

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # for the thread that waits for outcomes
            self._found.put(error)
        finally:
            self.worker.end()

    def _work(self) -> None:
        self.worker.ready()
        before: tuple[Unit, Reply] | None = None
        holding = None
        while True:
            unit = self._queue.take(holding)
            if unit is not None:
                if not self.worker.alive:
                    self.worker = self.worker.again()
                    self.worker.ready()
                self.worker.start(unit)
            if before is not None:
                self._settle(*before)
                before = None
            if unit is None:
                return
            holding = unit.cell.checkpoint.label
            reply = self.worker.reply()
            if isinstance(reply, Failure):
                self._settle(unit, reply)
            else:
                before = unit, reply

    def _settle(self, unit: Unit, reply: Reply) -> None:
        outcome = self._judge(unit, reply)
        if outcome.error is not None:
            self._queue.drop(unit.cell.key)  # before this thread takes the next
        self._found.put(outcome)
