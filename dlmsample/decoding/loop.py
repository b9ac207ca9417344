"""The only decoding loop: rows wait, are admitted to slots, advance forward by forward, and give way to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from dlmsample.decoding.configuration import Plan
from dlmsample.decoding.request import Canvases, Form, Job, Result, Room, room_for
from dlmsample.decoding.slots import Launched, Slots
from dlmsample.decoding.step import FINISHED, MOVED, STAYS
from dlmsample.decoding.stopping import Cut, Stops
from dlmsample.decoding.trace import Tick, events
from dlmsample.models.attention.base import RowPosition
from dlmsample.types import Event

#: Slots for so many rows that need so much room.
OpenSlots = Callable[[Plan, int, Room], AbstractContextManager[Slots]]


@dataclass(eq=False)
class _Seat:
    """What the host knows of a row that is being decoded."""

    job: Job
    slot: int | None  #: None: it has left
    starts: list[int]  #: of the blocks it visits
    answer: int  #: position of its first mask
    prefill: int
    turn: int = 0  #: which of its blocks it is at
    age: int = 0  #: forwards it has had there
    cut: Cut | None = None
    ticks: list[tuple[Tick, int]] = field(default_factory=list)

    @property
    def place(self) -> RowPosition:
        return RowPosition(self.starts[self.turn], self.age, len(self.job.canvas))


class _Waiting:
    """Jobs that are not decoded yet; looks one ahead. A mistake in reading them waits until all others are done."""

    def __init__(self, jobs: Iterable[Job], form: Form, mask_id: int) -> None:
        self._jobs, self._form, self._mask_id = iter(jobs), form, mask_id
        self._next: list[Job] = []
        self.error: Exception | None = None

    def take(self, count: int) -> list[Job]:
        """The next ones, at most so many."""
        self._read(count)
        jobs, self._next = self._next, []
        return jobs

    def fitting(self, count: int, room: Room) -> list[Job]:
        """The next ones, at most so many, up to the first that needs more room."""
        jobs: list[Job] = []
        while len(jobs) < count and self.fits(room):
            jobs += self.take(1)
        return jobs

    def fits(self, room: Room) -> bool:
        """Whether there is a next one, and has room."""
        self._read(1)
        return bool(self._next) and room.holds(room_for([self._next[0].canvas], self._form, self._mask_id))

    def _read(self, count: int) -> None:
        while self.error is None and len(self._next) < count:
            try:
                self._next.append(next(self._jobs))
            except StopIteration:
                return
            except Exception as e:
                self.error = e


def decode(
    jobs: Iterable[Job],
    plan: Plan,
    size: int,
    open_slots: OpenSlots,
    *,
    record: bool,
    stops: Stops | None,
    on_tick: Callable[[int], None],
) -> Iterator[tuple[int, Result]]:
    """Decode every job; its number and result as soon as it is done.

    Jobs are admitted in their order, ``size`` at first and then wherever a row has left. One that needs more room than
    the slots have waits until all of them are free.

    Args:
        jobs: read no further than slots are free; what they raise is raised when all that came before is done.
        plan: what to decode with.
        size: rows in one forward.
        open_slots: where rows are decoded.
        record: keep every event.
        stops: strings that end an answer.
        on_tick: called after each forward with the number of rows it finished.
    """
    waiting = _Waiting(jobs, plan.form, plan.settings.mask_id)
    while chunk := waiting.take(size):
        room = room_for([job.canvas for job in chunk], plan.form, plan.settings.mask_id)
        with open_slots(plan, len(chunk), room) as slots:
            yield from _Batch(slots, record, stops, on_tick).run(chunk, waiting)
    if waiting.error is not None:
        raise waiting.error


class _Batch:
    """The rows in a batch's slots, from the first forward until every slot is free."""

    def __init__(self, slots: Slots, record: bool, stops: Stops | None, on_tick: Callable[[int], None]) -> None:
        self._slots, self._record, self._stops, self._on_tick = slots, record, stops, on_tick
        self._seats: list[_Seat | None] = []

    def run(self, jobs: list[Job], waiting: _Waiting) -> Iterator[tuple[int, Result]]:
        slots = self._slots
        self._place(list(self._seated(slots.open(jobs), range(len(jobs)), jobs)))
        ahead = slots.ahead and not self._stops  # a stop string must end a row before its next forward
        before: tuple[Launched, list[_Seat | None]] | None = None
        while live := [seat for seat in self._seats if seat is not None]:
            launched = slots.tick([seat.place for seat in live])
            if self._record:
                self._keep(Tick.of(launched.change))
            now = launched, list(self._seats)
            behind, before = (before, now) if ahead else (now, None)
            if behind is None:
                continue
            done = self._look(*behind)
            if done:
                yield from self._leave(done)
                self._refill(waiting)

    def _look(self, launched: Launched, seats: Sequence[_Seat | None]) -> list[_Seat]:
        """What a forward came to; the rows it finished."""
        done = []
        for seat, flag in zip(seats, launched.flags(), strict=True):
            if seat is None or seat.slot is None:
                continue
            if self._stops and flag != STAYS:
                seat.cut = self._cut(seat, self._stops)
            if flag == FINISHED or seat.cut is not None:
                done.append(seat)
            seat.turn += flag == MOVED
            seat.age = 0 if flag == MOVED else seat.age + 1
        self._on_tick(len(done))
        return done

    def _cut(self, seat: _Seat, stops: Stops) -> Cut | None:
        assert seat.slot is not None
        end = min(seat.starts[seat.turn] + self._slots.room.width, len(seat.job.canvas))
        return stops.cut(self._slots.canvas(seat.slot, seat.answer, end))

    def _leave(self, done: list[_Seat]) -> Iterator[tuple[int, Result]]:
        slots = self._slots
        taken = slots.take([seat.slot for seat in done if seat.slot is not None])
        for seat, (canvas, counts) in zip(done, taken, strict=True):
            assert seat.slot is not None
            self._seats[seat.slot], seat.slot = None, None
            happened: Sequence[Event] = ()
            if self._record:
                happened = events(seat.ticks, seat.starts[0], slots.room.width, slots.plan.settings.mask_id)
            yield seat.job.number, Result(canvas[: len(seat.job.canvas)], counts, seat.prefill, happened, seat.cut)

    def _refill(self, waiting: _Waiting) -> None:
        """Free slots go to rows that wait; where none does, the batch closes up."""
        slots = self._slots
        free = [slot for slot, seat in enumerate(self._seats) if seat is None]
        if waiting.fits(slots.room):
            if len(free) < slots.patience:
                return
            jobs = waiting.fitting(len(free), slots.room)
            for seat in self._seated(slots.admit(free[: len(jobs)], jobs), free, jobs):
                self._seats[seat.slot or 0] = seat
        left = [seat for seat in self._seats if seat is not None]
        if 0 < len(left) < len(self._seats) and slots.shrinks(len(left)):
            slots.keep([seat.slot for seat in left if seat.slot is not None])
            self._place(left)

    def _place(self, seats: list[_Seat]) -> None:
        """These have the first slots; more may be free."""
        for slot, seat in enumerate(seats):
            seat.slot = slot
        self._seats = [*seats, *[None] * (self._slots.rows - len(seats))]

    def _seated(self, opened: Canvases, free: Sequence[int], jobs: list[Job]) -> Iterator[_Seat]:
        plan = self._slots.plan
        cached = plan.settings.cached
        rows = zip(jobs, free, opened.starts(cached), opened.first, strict=False)  # more may be free
        for job, slot, starts, first in rows:
            yield _Seat(job, slot, starts, job.canvas.index(plan.settings.mask_id), int(cached and first > 0))

    def _keep(self, tick: Tick) -> None:
        for row, seat in enumerate(self._seats):
            if seat is not None:
                seat.ticks.append((tick, row))
