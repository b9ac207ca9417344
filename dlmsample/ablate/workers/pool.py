"""The workers of a run, a thread of this process for each: while one decodes, its answers before are judged."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from dlmsample.ablate.workers.units import Failure, Outcome, Outcomes, Queue, Reply, Scorer, Unit


class WorkerHandle(Protocol):
    """Something that decodes, elsewhere."""

    alive: bool

    def ready(self) -> None:
        """Wait until it can begin."""

    def start(self, unit: Unit) -> None:
        """Give it a unit; returns at once."""

    def reply(self) -> Reply:
        """Wait for what it made of the unit; where it died, that, and it is not ``alive`` any more."""
        ...

    def end(self) -> None:
        """End it, whatever it does; from any thread, and as often as one likes."""

    def again(self) -> WorkerHandle:
        """Another one in its place."""
        ...


def outcomes(workers: Sequence[WorkerHandle], queue: Queue, judge: Scorer) -> Outcomes:
    """Work the queue off and give each outcome as it comes.

    A worker gets its next unit as soon as it has replied, and only then is the reply judged: a scorer, even one
    that runs programs for seconds, stands between no two units, and the answers of no more than two units of a worker
    are unjudged.

    Args:
        workers: that are started already; all of them are ended.
        queue: the units.
        judge: called in several threads at once.
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
    """A worker, and after its death the next."""

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
