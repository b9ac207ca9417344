"""The only decoding loop: requests wait, get a slot of the batch, advance forward by forward, and leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from dlmsample.decoding.answers import Cut, Decoded, Stops
from dlmsample.decoding.request import (
    DecodingConfig,
    Extent,
    OpenedRows,
    Request,
    Segmentation,
    extent_of,
)
from dlmsample.decoding.slots import Launched, Slots
from dlmsample.decoding.step import FINISHED, MOVED, STAYS
from dlmsample.decoding.trace import Tick, events
from dlmsample.models.attention.base import RowPosition
from dlmsample.types import Event

#: Gives slots for a number of rows of a given extent.
OpenSlots = Callable[[DecodingConfig, int, Extent], AbstractContextManager[Slots]]


@dataclass(eq=False)
class _Running:
    """What the host knows of a row that is being decoded."""

    request: Request
    slot: int | None  #: None: it has left the batch
    starts: list[int]  #: where the blocks start that it visits
    answer: int  #: position of its first mask
    prefill: int
    turn: int = 0  #: which of its blocks it is at
    age: int = 0  #: forwards it has had in that block
    cut: Cut | None = None
    ticks: list[tuple[Tick, int]] = field(default_factory=list)

    @property
    def place(self) -> RowPosition:
        return RowPosition(self.starts[self.turn], self.age, len(self.request.canvas))


class _Queue:
    """Requests that are not decoded yet, read at most one ahead.

    An error raised by reading them is kept until all requests before it are done.
    """

    def __init__(self, requests: Iterable[Request], segmentation: Segmentation, mask_id: int) -> None:
        self._requests, self._segmentation, self._mask_id = iter(requests), segmentation, mask_id
        self._next: list[Request] = []
        self.error: Exception | None = None

    def take(self, count: int) -> list[Request]:
        """The next requests, at most ``count``."""
        self._read(count)
        requests, self._next = self._next, []
        return requests

    def chunk(self, count: int) -> list[Request]:
        """The first requests of a batch, at most ``count``: any, or those as long as the first of them."""
        if not self._segmentation.equal_lengths:
            return self.take(count)
        first = self.take(1)
        return [*first, *self.fitting(count - 1, self.extent(first))] if first else []

    def fitting(self, count: int, extent: Extent) -> list[Request]:
        """The next requests, at most ``count``, up to the first that does not fit into ``extent``."""
        requests: list[Request] = []
        while len(requests) < count and self.fits(extent):
            requests += self.take(1)
        return requests

    def fits(self, extent: Extent) -> bool:
        """Whether there is a next request and it fits."""
        self._read(1)
        return bool(self._next) and extent.holds(self.extent(self._next))

    def extent(self, requests: Sequence[Request]) -> Extent:
        """What these requests need."""
        return extent_of([request.canvas for request in requests], self._segmentation, self._mask_id)

    def _read(self, count: int) -> None:
        while self.error is None and len(self._next) < count:
            try:
                self._next.append(next(self._requests))
            except StopIteration:
                return
            except Exception as e:
                self.error = e


def decode(
    requests: Iterable[Request],
    config: DecodingConfig,
    size: int,
    open_slots: OpenSlots,
    *,
    record: bool,
    stops: Stops | None,
    on_tick: Callable[[int], None] | None,
) -> Iterator[tuple[int, Decoded]]:
    """Decode every request; gives its number and the decoded row as soon as it is done.

    Requests are admitted in their order: ``size`` of them at first, then one wherever a row has left. A request that
    does not fit into the slots waits until all of them are free. Where rows must not be padded, one of another length
    does not fit.

    Args:
        requests: read no further than slots are free; what they raise is raised when all that came before is done.
        config: what is the same for all rows.
        size: rows in one forward.
        open_slots: gives the slots that rows are decoded in.
        record: keep every event.
        stops: strings that end an answer; None: there are none.
        on_tick: called after each forward with the number of rows it finished, if at all.
    """
    queue = _Queue(requests, config.segmentation, config.settings.mask_id)
    while chunk := queue.chunk(size):
        with open_slots(config, len(chunk), queue.extent(chunk)) as slots:
            yield from _Batch(slots, record, stops, on_tick).run(chunk, queue)
    if queue.error is not None:
        raise queue.error


class _Batch:
    """The rows in a batch's slots, from the first forward until every slot is free."""

    def __init__(self, slots: Slots, record: bool, stops: Stops | None, on_tick: Callable[[int], None] | None) -> None:
        self._slots, self._record, self._stops, self._on_tick = slots, record, stops, on_tick
        self._running: list[_Running | None] = []

    def run(self, requests: list[Request], queue: _Queue) -> Iterator[tuple[int, Decoded]]:
        slots = self._slots
        self._place(list(self._admitted(slots.open(requests), range(len(requests)), requests)))
        ahead = slots.ahead and self._stops is None  # a stop string must end a row before its next forward
        before: tuple[Launched, list[_Running | None]] | None = None
        while live := [running for running in self._running if running is not None]:
            launched = slots.tick([running.place for running in live])
            if self._record:
                self._keep(Tick.of(launched.change))
            now = launched, list(self._running)
            behind, before = (before, now) if ahead else (now, None)
            if behind is None:
                continue
            done = self._look(*behind)
            if done:
                yield from self._leave(done)
                self._refill(queue)

    def _look(self, launched: Launched, rows: Sequence[_Running | None]) -> list[_Running]:
        """Read the flags of a forward; gives the rows that it finished."""
        done = []
        for running, flag in zip(rows, launched.flags(), strict=True):
            if running is None or running.slot is None:
                continue
            if self._stops is not None and flag != STAYS:
                running.cut = self._cut(running, self._stops)
            if flag == FINISHED or running.cut is not None:
                done.append(running)
            running.turn += flag == MOVED
            running.age = 0 if flag == MOVED else running.age + 1
        if self._on_tick is not None:
            self._on_tick(len(done))
        return done

    def _cut(self, running: _Running, stops: Stops) -> Cut | None:
        assert running.slot is not None
        end = min(running.starts[running.turn] + self._slots.extent.width, len(running.request.canvas))
        return stops.cut(self._slots.canvas(running.slot, running.answer, end))

    def _leave(self, done: list[_Running]) -> Iterator[tuple[int, Decoded]]:
        slots = self._slots
        taken = slots.take([running.slot for running in done if running.slot is not None])
        for running, (canvas, counts) in zip(done, taken, strict=True):
            assert running.slot is not None
            self._running[running.slot], running.slot = None, None
            happened: Sequence[Event] = ()
            if self._record:
                mask_id, reasons = slots.config.settings.mask_id, slots.config.settings.policy.reasons
                happened = events(running.ticks, running.starts[0], slots.extent.width, mask_id, reasons)
            canvas = canvas[: len(running.request.canvas)]
            yield running.request.number, Decoded(canvas, counts, running.prefill, happened, running.cut)

    def _refill(self, queue: _Queue) -> None:
        """Give free slots to requests that wait; where none waits, close the batch up."""
        slots = self._slots
        free = [slot for slot, running in enumerate(self._running) if running is None]
        if queue.fits(slots.extent):
            if len(free) < slots.patience:
                return
            requests = queue.fitting(len(free), slots.extent)
            for running in self._admitted(slots.admit(free[: len(requests)], requests), free, requests):
                self._running[running.slot or 0] = running
        left = [running for running in self._running if running is not None]
        if 0 < len(left) < len(self._running) and slots.shrinks(len(left)):
            slots.keep([running.slot for running in left if running.slot is not None])
            self._place(left)

    def _place(self, rows: list[_Running]) -> None:
        """Put these in the first slots; more slots may be free."""
        for slot, running in enumerate(rows):
            running.slot = slot
        self._running = [*rows, *[None] * (self._slots.rows - len(rows))]

    def _admitted(self, opened: OpenedRows, free: Sequence[int], requests: list[Request]) -> Iterator[_Running]:
        settings = self._slots.config.settings
        rows = zip(requests, free, opened.first, opened.masked, strict=False)  # more may be free
        for request, slot, first, masked in rows:
            # with a cache, blocks without masks count: they must be written
            visited = range(masked[-1] + 1) if settings.cached else masked
            starts = [first + block * opened.layout.width for block in visited]
            answer = request.canvas.index(settings.mask_id)
            yield _Running(request, slot, starts, answer, prefill=int(settings.cached and first > 0))

    def _keep(self, tick: Tick) -> None:
        for row, running in enumerate(self._running):
            if running is not None:
                running.ticks.append((tick, row))
