"""The jobs of one group: those that wait, and those in its batch."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack

from dlmsample.decoding.answers import Decoded, answer_of, until_eos
from dlmsample.decoding.batch import RunningBatch
from dlmsample.decoding.live import LiveBatches
from dlmsample.serve.engine.jobs import BlocksDone, Completed, Drafted, Failed, Job
from dlmsample.serve.engine.observer import Observer
from dlmsample.serve.engine.text import TextPieces
from dlmsample.types import Answer


class Lane:
    """Decodes the jobs of one group in one batch, which they join and leave between forwards.

    Args:
        first: a job of the group.
        longest: positions of a canvas, at most.
        observer: told what happens.
    """

    def __init__(self, first: Job, longest: int, observer: Observer) -> None:
        self.waiting: deque[Job] = deque()
        self._batches = LiveBatches(first.sampler, longest, first.new_tokens, alternatives=first.drafts)
        self._observer = observer
        self._running: dict[int, tuple[Job, TextPieces]] = {}
        self._batch: RunningBatch | None = None
        self._open = ExitStack()

    @property
    def open(self) -> bool:
        """Whether it has a batch."""
        return self._batch is not None

    @property
    def empty(self) -> bool:
        """Whether it has nothing to do."""
        return not (self.waiting or self._running)

    @property
    def running(self) -> int:
        """Jobs in the batch."""
        return len(self._running)

    def turn(self, before: float) -> None:
        """Let jobs leave that were cancelled, let waiting ones join, make one forward, tell what came of it.

        Args:
            before: jobs with this number and later ones do not join yet.
        """
        self.tidy()
        self._join(before)
        if self._batch is not None and self._running:
            self._forward(self._batch)
        if not self._running:
            self.close()

    def tidy(self) -> None:
        """Let jobs leave that were cancelled."""
        rows = [] if self._batch is None else self._batch.live
        gone = [row for row in rows if self._running[row.request.number][0].cancelled]
        if self._batch is not None and gone:
            self._batch.drop(gone)
        for row in gone:
            del self._running[row.request.number]
        kept = [job for job in self.waiting if not job.cancelled]
        left = len(self.waiting) - len(kept) + len(gone)
        if left:
            self.waiting = deque(kept)
            self._observer.cancelled(left)

    def fail(self, why: str) -> None:
        """Give up all jobs and the batch."""
        for job in (*self.waiting, *(job for job, _ in self._running.values())):
            job.tell(Failed(why))
        self.waiting.clear()
        self._running.clear()
        self.close()

    def close(self) -> None:
        """Give the batch and its memory back."""
        self._batch = None
        self._open.close()

    def _join(self, before: float) -> None:
        jobs: list[Job] = []
        room = self._batches.sampler.batch_size if self._batch is None else self._batch.room
        while self.waiting and len(jobs) < room and self.waiting[0].number < before:
            jobs.append(self.waiting.popleft())
        if not jobs:
            return
        self._running |= {job.number: (job, TextPieces(job.stops.strings)) for job in jobs}
        if self._batch is None:
            self._batch = self._open.enter_context(self._batches.open())
        self._batch.admit([job.request() for job in jobs])
        now = time.monotonic()
        for job in jobs:
            self._observer.joined(now - job.since)

    def _forward(self, batch: RunningBatch) -> None:
        rows = batch.live
        done = dict(batch.forward())
        self._observer.forward(len(rows))
        for row in rows:
            job, pieces = self._running[row.request.number]
            if job.drafts and (drafted := batch.latest(row)):
                job.tell(Drafted(drafted))
            if row.request.number in done:
                del self._running[row.request.number]
                self._complete(job, pieces, done[row.request.number])
            elif job.blocks and row.turn and row.age == 0:
                self._blocks(job, pieces, batch.answered(row))
        batch.close_up()

    def _blocks(self, job: Job, pieces: TextPieces, ids: list[int]) -> None:
        model = job.sampler.model
        if piece := pieces.more(model.decode(until_eos(ids, model.eos_ids))):
            job.tell(BlocksDone(piece))

    def _complete(self, job: Job, pieces: TextPieces, decoded: Decoded) -> None:
        sampler = job.sampler
        tokens, text = answer_of(sampler.model, decoded, len(job.prompt.before), job.new_tokens)
        trace = list(decoded.events) if job.record else None
        answer = Answer(job.number, tokens, text, decoded.stats(len(tokens)), trace, sampler.cache)
        self._observer.completed(answer, time.monotonic() - job.since)
        job.tell(Completed(pieces.last(text or ""), answer))
