"""The rows of a batch as the host knows them: admitted, advanced together forward by forward, taken out when done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dlmsample.decoding.answers import Cut, Decoded, Stops
from dlmsample.decoding.request import OpenedRows, Request
from dlmsample.decoding.slots import Launched, Slots
from dlmsample.decoding.step import FINISHED, MOVED, STAYS
from dlmsample.decoding.trace import Tick, events
from dlmsample.models.attention.base import RowPosition
from dlmsample.types import Event


@dataclass(eq=False)
class RunningRow:
    """What the host knows of a row that is being decoded."""

    request: Request
    slot: int | None  #: None: it has left the batch
    starts: list[int]  #: where the blocks start that it visits
    answer: int  #: position of its first mask
    prefill: int
    turn: int = 0  #: which of its blocks it is at
    age: int = 0  #: forwards it has had in that block
    unused: int = 0  #: answer positions that its canvas does not have yet, where answers grow
    cut: Cut | None = None
    ticks: list[tuple[Tick, int]] = field(default_factory=list)

    @property
    def place(self) -> RowPosition:
        return RowPosition(self.starts[self.turn], self.age, self.length, self.starts[0], self.slot or 0)

    @property
    def length(self) -> int:
        """Positions of its canvas."""
        return len(self.request.canvas) - self.unused


class RunningBatch:
    """The rows in a batch's slots; rows may join and leave between any two forwards.

    Args:
        slots: without rows yet.
        on_tick: called after each forward with the number of rows it finished, if at all.
        ahead: start a forward before the flags of the one before it are read, where the slots can; a row that is done
            is then forwarded once more in vain.
    """

    def __init__(self, slots: Slots, on_tick: Callable[[int], None] | None = None, ahead: bool = True) -> None:
        self.slots, self._on_tick, self._ahead = slots, on_tick, ahead and slots.ahead
        self._running: list[RunningRow | None] = []
        self._launched: list[tuple[Launched, list[RunningRow | None]]] = []  # forwards whose flags were not read yet

    @property
    def live(self) -> list[RunningRow]:
        """The rows that are being decoded, in the order of their slots."""
        return [running for running in self._running if running is not None]

    @property
    def free(self) -> list[int]:
        """Slots that go through every forward although no row is in them."""
        return [slot for slot, running in enumerate(self._running) if running is None]

    @property
    def room(self) -> int:
        """How many rows can join."""
        return self.slots.size - len(self.live)

    def admit(self, requests: Sequence[Request]) -> None:
        """New rows, ``room`` of them at most: in free slots, then in slots behind those in use."""
        if not self._running:
            self._enter(self.slots.open(requests), range(len(requests)), requests)
            return
        free = self.free[: len(requests)]
        here, more = requests[: len(free)], requests[len(free) :]
        if here:
            self._enter(self.slots.admit(free, here), free, here)
        if more:
            first = len(self._running)
            self._enter(self.slots.add(more), range(first, first + len(more)), more)

    def forwards(self) -> Iterator[list[tuple[int, Decoded]]]:
        """:meth:`forward` after forward, as long as there are rows; more may join in between."""
        while self.live:
            yield self.forward()

    def forward(self) -> list[tuple[int, Decoded]]:
        """One forward of all rows; gives number and result of those that are done, which leave the batch."""
        live = self.live
        launched = self.slots.tick([running.place for running in live])
        if any(running.request.record for running in live):
            self._keep(Tick.of(launched.change))
        self._launched.append((launched, list(self._running)))
        stopping = any(running.request.stops for running in live)  # a stop string ends a row before its next forward
        unread = int(self._ahead and not stopping)
        done: list[tuple[int, Decoded]] = []
        while len(self._launched) > unread:
            done += self._leave(self._look(*self._launched.pop(0)))
        return done

    def drop(self, rows: Sequence[RunningRow]) -> None:
        """Let rows go before they are done."""
        self._take([running for running in rows if running.slot is not None])

    def close_up(self) -> None:
        """Move the rows together where that is worth it, so that no forward computes free slots."""
        left = self.live
        if 0 < len(left) < len(self._running) and self.slots.shrinks(len(left)):
            self.slots.keep([running.slot for running in left if running.slot is not None])
            for slot, running in enumerate(left):
                running.slot = slot
            self._running = [*left, *[None] * (self.slots.rows - len(left))]

    def answered(self, running: RunningRow) -> list[int]:
        """The answer's ids in the blocks that a row has left behind."""
        if running.slot is None or running.turn == 0:
            return []
        return self.slots.canvas(running.slot, running.answer, running.starts[running.turn])

    def latest(self, running: RunningRow) -> list[Event]:
        """What the latest forward changed in a row whose request is recorded."""
        return self._events(running, running.ticks[-1:])

    def _events(self, running: RunningRow, ticks: Sequence[tuple[Tick, int]]) -> list[Event]:
        settings, width = self.slots.config.settings, self.slots.extent.width
        return events(ticks, running.starts[0], width, settings.mask_id, settings.policy.reasons)

    def _look(self, launched: Launched, rows: Sequence[RunningRow | None]) -> list[RunningRow]:
        """Read the flags of a forward; gives the rows that it finished."""
        done = []
        flags = launched.flags()
        places = [None] * len(flags) if launched.places is None else launched.places()
        for running, flag, place in zip(rows, flags, places, strict=True):
            if running is None or running.slot is None:
                continue
            if place is None:
                turn = running.turn + (flag == MOVED)
                end = min(running.starts[running.turn] + self.slots.extent.width, running.length)
            else:
                start, length = place
                running.unused = len(running.request.canvas) - length
                turn = running.starts.index(start) if flag == MOVED else running.turn
                end = start if flag == MOVED else length
            if running.request.stops and flag != STAYS:
                running.cut = self._cut(running, running.request.stops, end)
            if flag == FINISHED or running.cut is not None:
                done.append(running)
            running.turn = turn
            running.age = 0 if flag == MOVED else running.age + 1
        if self._on_tick is not None:
            self._on_tick(len(done))
        return done

    def _cut(self, running: RunningRow, stops: Stops, end: int) -> Cut | None:
        assert running.slot is not None
        return stops.cut(self.slots.canvas(running.slot, running.answer, end))

    def _leave(self, done: list[RunningRow]) -> list[tuple[int, Decoded]]:
        results = []
        for running, (canvas, counts) in zip(done, self._take(done), strict=True):
            happened = self._events(running, running.ticks) if running.request.record else []
            canvas = canvas[: running.length]
            decoded = Decoded(canvas, counts, running.prefill, happened, running.cut, running.unused)
            results.append((running.request.number, decoded))
        return results

    def _take(self, rows: Sequence[RunningRow]) -> list[tuple[list[int], list[int]]]:
        """Canvas and counts of rows, whose slots are free from now on."""
        slots = [running.slot for running in rows if running.slot is not None]
        taken = self.slots.take(slots) if slots else []
        for slot, running in zip(slots, rows, strict=True):
            self._running[slot], running.slot = None, None
        return taken

    def _enter(self, opened: OpenedRows, slots: Sequence[int], requests: Sequence[Request]) -> None:
        settings, grow = self.slots.config.settings, self.slots.config.grow
        self._running += [None] * (self.slots.rows - len(self._running))
        rows = zip(requests, slots, opened.first, opened.masked, strict=True)
        for request, slot, first, masked in rows:
            # with a cache, blocks without masks count: they must be written
            visited = range(masked[-1] + 1) if settings.cached else masked
            starts = [first + block * opened.layout.width for block in visited]
            answer = request.canvas.index(settings.mask_id)
            prefill = int(settings.cached and first > 0)
            unused = 0 if grow is None else grow.unused(request.canvas.count(settings.mask_id))
            self._running[slot] = RunningRow(request, slot, starts, answer, prefill, unused=unused)

    def _keep(self, tick: Tick) -> None:
        for row, running in enumerate(self._running):
            if running is not None and running.request.record:
                running.ticks.append((tick, row))
