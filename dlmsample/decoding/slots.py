"""The rows of a batch, each in a slot of its own: admitted, advanced together by one forward, taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from dlmsample.decoding.configuration import Plan
from dlmsample.decoding.request import Canvases, Job, Room, open_canvases
from dlmsample.decoding.step import Change, Rows, advance, tree_map
from dlmsample.models.attention.base import Features, Layout, Reader, RowPosition
from dlmsample.models.attention.choice import open_reader

P = ParamSpec("P")
R = TypeVar("R")


class Launched(NamedTuple):
    """A forward that was started; the host need not have waited for it."""

    flags: Callable[[], list[int]]  #: by slot STAYS, MOVED, FINISHED or WRITES; the one look of the host
    change: Change  #: good until the next forward


def own_mode(work: Callable[P, R]) -> Callable[P, R]:
    """Work without gradients and outside inference mode, whatever mode the caller is in.

    Tensors made in inference mode take no writes outside it, and a batch may be advanced from both.
    """
    return torch.inference_mode(False)(torch.no_grad()(work))


class Slots:
    """A batch: what each row remembers between forwards, and the reader that remembers the rest.

    A row sees nothing of those that share the batch with it, or had its slot before.

    Args:
        plan: what rows are decoded with.
        size: slots.
        room: what a row may take up.
    """

    patience = 1  #: slots that must be free before new rows are admitted
    ahead = False  #: a forward may be started before the flags of the one before it are read

    @own_mode
    def __init__(self, plan: Plan, size: int, room: Room) -> None:
        self.plan, self.size, self.room = plan, size, room
        self._reader: Reader = open_reader(
            plan.model,
            size,
            room.capacity,
            cache=plan.cache,
            score=plan.score,
            refresh=plan.refresh,
            captured=self.ahead,
        )
        self._held: tuple[Rows, Layout] | None = None

    @property
    def rows(self) -> int:
        """Of a forward: those that are decoded, and free slots."""
        return len(self._now[0].start)

    @own_mode
    def open(self, jobs: Sequence[Job]) -> Canvases:
        """Start with these rows, in the first slots."""
        opened = self._opened(range(len(jobs)), jobs)
        self._held = opened.rows, opened.layout
        return opened

    @own_mode
    def admit(self, slots: Sequence[int], jobs: Sequence[Job]) -> Canvases:
        """New rows in the slots of others."""
        rows, layout = self._now
        opened = self._opened(slots, jobs)
        index = self._index(slots)

        def put(old: Tensor, new: Tensor) -> Tensor:
            return old.index_copy(0, index, new)

        fresh = tree_map(put, rows._replace(state=None), opened.rows)  # a state is made on entering a block
        first, length = (put(old, new) for old, new in zip(layout[:2], opened.layout[:2], strict=True))
        self._store(fresh._replace(state=rows.state), layout._replace(first=first, length=length))
        return opened

    @own_mode
    def tick(self, places: Sequence[RowPosition]) -> Launched:
        """One forward; ``places`` are those of the rows that are still decoded, in the order of their slots."""
        outcome, change = self._advance(places)
        return Launched(outcome.tolist, change)

    @own_mode
    def take(self, slots: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """Canvas and counts of rows that are done, or that the caller ends; forwards change them no more."""
        rows, layout = self._now
        index = self._index(slots)
        counts = torch.stack([count[index].long() for count in rows.counts], -1)
        taken = list(zip(rows.canvas[index].tolist(), counts.tolist(), strict=True))
        self._store(rows._replace(finished=rows.finished.index_fill(0, index, True)), layout)
        return taken

    def canvas(self, slot: int, start: int, end: int) -> list[int]:
        """A part of a row's canvas, as it stands."""
        return self._now[0].canvas[slot, start:end].tolist()

    def shrinks(self, live: int) -> bool:
        """Whether the batch is worth closing up when so many rows are left and none waits."""
        return True

    @own_mode
    def keep(self, slots: Sequence[int]) -> None:
        """Drop all rows but these, which move up to the first slots."""
        rows, layout = self._now
        index = self._index(slots)
        self._held = tree_map(lambda t: t[index], rows), layout.keep(index)
        self._reader.keep(index)

    @property
    def _now(self) -> tuple[Rows, Layout]:
        assert self._held is not None, "open comes first"
        return self._held

    def _advance(self, places: Sequence[RowPosition]) -> tuple[Tensor, Change]:
        """The work of a tick, on tensors."""
        rows, layout = self._now
        features = self._reader.read(rows.canvas, layout, rows.start, places)
        return self._update(rows, layout, features)

    def _update(self, rows: Rows, layout: Layout, features: Features) -> tuple[Tensor, Change]:
        rows, outcome, change = advance(rows, layout, features, self.plan.settings)
        self._store(rows, layout)
        return outcome, change

    def _store(self, rows: Rows, layout: Layout) -> None:
        self._held = rows, layout

    def _opened(self, slots: Sequence[int], jobs: Sequence[Job]) -> Canvases:
        plan = self.plan
        opened = open_canvases(
            [job.canvas for job in jobs],
            [job.key for job in jobs],
            plan.form,
            plan.settings.mask_id,
            plan.model.device,
            self.room,
        )
        self._prefill(self._index(slots), opened)
        return opened

    def _prefill(self, slots: Tensor, opened: Canvases) -> None:
        """Let the reader take in new rows."""
        self._reader.admit(slots, opened.rows.canvas, opened.layout, max(opened.first))

    def _index(self, slots: Sequence[int]) -> Tensor:
        return torch.tensor(list(slots), dtype=torch.long, device=self.plan.model.device)
