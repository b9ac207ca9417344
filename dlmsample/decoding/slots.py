"""The rows of a batch, each in a slot of its own: admitted, advanced together by one forward, taken out.

:class:`Slots` says what happens to rows. How it is run is an :class:`Executor`'s: :class:`Eager` launches every
operation by itself, :class:`~dlmsample.decoding.captured.executor.Captured` plays back what it has recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, ParamSpec, Protocol, TypeVar

import torch
from torch import Tensor

from dlmsample.decoding.ahead.next_block import fill_ahead, split
from dlmsample.decoding.grow.canvas import Whereabouts, advance_growing, begun, eos_chance
from dlmsample.decoding.request import DecodingConfig, Extent, OpenedRows, Request, open_rows
from dlmsample.decoding.step import Change, Rows, advance, behind, tree_map
from dlmsample.models.attention.base import Layout, Reader, RowPosition
from dlmsample.models.attention.choice import open_reader

P = ParamSpec("P")
R = TypeVar("R")


class Launched(NamedTuple):
    """A forward that was started; the host need not have waited for it."""

    flags: Callable[[], list[int]]  #: waits, then gives STAYS, MOVED, FINISHED or WRITES by slot
    change: Change  #: valid until the next forward
    places: Callable[[], list[tuple[int, int]]] | None = None
    """Where answers grow, by slot: where the active block starts from now on, and the positions of the canvas."""


class Memory(Protocol):
    """Where the rows of a batch are kept between forwards."""

    rows: Rows
    layout: Layout

    def open(self, rows: Rows, layout: Layout) -> None:
        """Begin a batch with these rows."""
        ...

    def write(self, rows: Rows, layout: Layout) -> None:
        """The same rows after a change."""
        ...

    def add(self, rows: Rows, layout: Layout) -> None:
        """More rows, behind those that there are."""
        ...

    def keep(self, slots: Tensor) -> None:
        """Drop all rows but these (int64 indices), which move up to the front."""
        ...


class Executor(Protocol):
    """How forwards are run."""

    ahead: bool  #: whether a forward may be started before the flags of the one before it are read
    captured: bool  #: whether forwards are captured: the fewer shapes they have the better

    def memory(self) -> Memory:
        """Memory for a batch."""
        ...

    def prefill(self, reader: Reader, slots: Tensor, opened: OpenedRows) -> None:
        """Let the reader take in new rows."""
        ...

    def tick(self, reader: Reader, memory: Memory, places: Sequence[RowPosition]) -> Launched:
        """One forward of all rows and the update that follows from it, written to memory."""
        ...

    def patience(self, rows: int) -> int:
        """How many slots must be free before new rows are admitted."""
        ...

    def shrinks(self, rows: int, live: int) -> bool:
        """Whether a batch of ``rows`` is worth closing up when ``live`` of them are left and no request waits."""
        ...


class Held:
    """Memory that holds the latest tensors, wherever they are."""

    rows: Rows
    layout: Layout

    def open(self, rows: Rows, layout: Layout) -> None:
        self.rows, self.layout = rows, layout

    write = open

    def add(self, rows: Rows, layout: Layout) -> None:
        self.rows, self.layout = behind(self.rows, rows), self.layout.behind(layout)

    def keep(self, slots: Tensor) -> None:
        self.rows, self.layout = tree_map(lambda t: t[slots], self.rows), self.layout.keep(slots)


@dataclass
class Eager:
    """Launches every operation by itself, on any device."""

    config: DecodingConfig
    ahead: bool = field(default=False, init=False)
    captured: bool = field(default=False, init=False)

    def memory(self) -> Memory:
        return Held()

    def prefill(self, reader: Reader, slots: Tensor, opened: OpenedRows) -> None:
        reader.admit(slots, opened.rows.canvas, opened.layout, max(opened.first))

    def tick(self, reader: Reader, memory: Memory, places: Sequence[RowPosition]) -> Launched:
        before, layout, settings = memory.rows, memory.layout, self.config.settings
        features = reader.read(before.canvas, layout, before.start, places)
        if self.config.grow is not None:
            rows, layout, outcome, change = advance_growing(before, layout, features, settings, self.config.grow)
            memory.write(rows, layout)
            told = Whereabouts(outcome, rows.start, layout.length)
            return Launched(told.flags, change, told.places)
        if self.config.next_block is None:
            rows, outcome, change = advance(before, layout, features, settings)
        else:
            features, behind = split(features, layout.width)
            rows, outcome, change = advance(before, layout, features, settings)
            rows = fill_ahead(before, rows, layout, behind, settings, self.config.next_block)
        memory.write(rows, memory.layout)
        return Launched(outcome.tolist, change)

    def patience(self, rows: int) -> int:
        return 1

    def shrinks(self, rows: int, live: int) -> bool:
        return True


def own_mode(work: Callable[P, R]) -> Callable[P, R]:
    """Run without gradients and outside inference mode, whatever mode the caller is in.

    Tensors made in inference mode take no writes outside it, and a batch may be advanced from both.
    """
    return torch.inference_mode(False)(torch.no_grad()(work))


class Slots:
    """A batch: what each row remembers between forwards, and the reader that remembers the rest.

    A row sees nothing of those that share the batch with it, nor of those that had its slot before.

    Args:
        config: what is the same for all rows.
        size: number of slots.
        extent: how large a row may be.
        executor: how forwards are run.
    """

    @own_mode
    def __init__(self, config: DecodingConfig, size: int, extent: Extent, executor: Executor) -> None:
        self.config, self.size, self.extent, self.executor = config, size, extent, executor
        self.ahead = executor.ahead
        self.memory = executor.memory()
        self.reader: Reader = open_reader(
            config.model,
            size,
            extent.capacity,
            cache=config.cache,
            score=config.scores,
            shadow=extent.width if config.shadows else 0,
            refresh=config.refresh,
            suffix=config.suffix,
            captured=executor.captured,
            behind=int(config.next_block is not None),
            answer=None if config.grow is None else eos_chance(config.settings),
        )

    @property
    def rows(self) -> int:
        """How many rows go through a forward: those that are decoded, and those in slots that are free."""
        return len(self.memory.rows.start)

    @property
    def patience(self) -> int:
        """How many slots must be free before new rows are admitted."""
        return self.executor.patience(self.rows)

    def shrinks(self, live: int) -> bool:
        """Whether the batch is worth closing up when so many rows are left and no request waits."""
        return self.executor.shrinks(self.rows, live)

    @own_mode
    def open(self, requests: Sequence[Request]) -> OpenedRows:
        """Begin with these, in the first slots."""
        opened = self._opened(self._index(range(len(requests))), requests)
        self.memory.open(opened.rows, opened.layout)
        return opened

    @own_mode
    def admit(self, slots: Sequence[int], requests: Sequence[Request]) -> OpenedRows:
        """New rows in the slots of rows that are done."""
        index, rows, layout = self._index(slots), self.memory.rows, self.memory.layout
        opened = self._opened(index, requests)

        def put(old: Tensor, new: Tensor) -> Tensor:
            return old.index_copy(0, index, new)

        fresh = tree_map(put, rows._replace(state=None), opened.rows)  # a policy's state is made on entering a block
        first, length = (put(old, new) for old, new in zip(layout[:2], opened.layout[:2], strict=True))
        self.memory.write(fresh._replace(state=rows.state), layout._replace(first=first, length=length))
        return opened

    @own_mode
    def add(self, requests: Sequence[Request]) -> OpenedRows:
        """New rows in slots behind those that are in use, ``size`` of them at most."""
        opened = self._opened(self._index(range(self.rows, self.rows + len(requests))), requests)
        self.memory.add(opened.rows, opened.layout)
        return opened

    @own_mode
    def tick(self, places: Sequence[RowPosition]) -> Launched:
        """One forward. ``places`` says where the rows stand that are still decoded, in the order of their slots."""
        return self.executor.tick(self.reader, self.memory, places)

    @own_mode
    def take(self, slots: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """Canvas and counts of rows that are done or that the caller ends; later forwards do not change them."""
        rows, index = self.memory.rows, self._index(slots)
        counts = torch.stack([count[index].long() for count in rows.counts], -1)
        taken = list(zip(rows.canvas[index].tolist(), counts.tolist(), strict=True))
        self.memory.write(rows._replace(finished=rows.finished.index_fill(0, index, True)), self.memory.layout)
        return taken

    def canvas(self, slot: int, start: int, end: int) -> list[int]:
        """A part of a row's canvas, as it stands."""
        return self.memory.rows.canvas[slot, start:end].tolist()

    @own_mode
    def keep(self, slots: Sequence[int]) -> None:
        """Drop all rows but these, which move up to the first slots."""
        index = self._index(slots)
        self.memory.keep(index)
        self.reader.keep(index)

    def _opened(self, slots: Tensor, requests: Sequence[Request]) -> OpenedRows:
        config = self.config
        canvases, keys = [request.canvas for request in requests], [request.key for request in requests]
        mask_id = config.settings.mask_id
        opened = open_rows(canvases, keys, config.segmentation, mask_id, config.device, self.extent)
        if config.grow is not None:
            rows, layout = begun(opened.rows, opened.layout, config.grow, mask_id)
            opened = opened._replace(rows=rows, layout=layout)
        self.executor.prefill(self.reader, slots, opened)
        return opened

    def _index(self, slots: Sequence[int]) -> Tensor:
        return torch.tensor(list(slots), dtype=torch.long, device=self.config.device)
