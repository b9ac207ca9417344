"""The only decoding loop: requests wait, get a slot of the batch, advance forward by forward, and leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from dlmsample.decoding.answers import Decoded
from dlmsample.decoding.batch import RunningBatch
from dlmsample.decoding.request import DecodingConfig, Extent, Request, Segmentation, extent_of
from dlmsample.decoding.slots import Slots

#: Gives slots for a number of rows of a given extent.
OpenSlots = Callable[[DecodingConfig, int, Extent], AbstractContextManager[Slots]]


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
    on_tick: Callable[[int], None] | None = None,
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
        on_tick: called after each forward with the number of rows it finished, if at all.
    """
    queue = _Queue(requests, config.segmentation, config.settings.mask_id)
    while chunk := queue.chunk(size):
        with open_slots(config, len(chunk), queue.extent(chunk)) as slots:
            batch = RunningBatch(slots, on_tick)
            batch.admit(chunk)
            for done in batch.forwards():
                yield from done
                if done:
                    _refill(batch, queue)
    if queue.error is not None:
        raise queue.error


def _refill(batch: RunningBatch, queue: _Queue) -> None:
    """Give free slots to requests that wait; where none waits, close the batch up."""
    slots = batch.slots
    if queue.fits(slots.extent):
        free = len(batch.free)
        if free < slots.patience:
            return
        batch.admit(queue.fitting(free, slots.extent))
    batch.close_up()
