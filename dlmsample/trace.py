"""Recording: what every step changed, kept as tensors while decoding and turned into events at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from dlmsample.batch import Change
from dlmsample.types import Event, EventKind


class Recorder:
    """Collects the changes of one batch without looking at them, so that recording adds no host synchronisation."""

    def __init__(self) -> None:
        self._ticks: list[tuple[list[int], tuple[Tensor, ...]]] = []

    def add(self, places: Sequence[int], change: Change) -> None:
        """Keep one tick; ``places`` are the batch places of its rows."""
        block, pred = change.block, change.pred
        number = block.start[:, None] + block.editable.cumsum(-1) - 1
        kept = (block.tokens, change.after, pred.prob, pred.current_prob, number, change.start, change.step)
        self._ticks.append((list(places), kept))

    def events(self, first: Sequence[int], width: int, mask_id: int) -> list[list[Event]]:
        """The events of every row of the batch, in order.

        Args:
            first: start of the first active block by batch place.
            width: positions of a block.
            mask_id: the mask id.
        """
        rows: list[list[Event]] = [[] for _ in first]
        for places, tensors in self._ticks:
            columns = [t.tolist() for t in tensors]
            for place, before, after, prob, current, number, start, step in zip(places, *columns, strict=True):
                block = (start - first[place]) // width
                rows[place] += [
                    Event(kind, step, block, number[at], old, new, p)
                    for at, kind, old, new, p in _changes(before, after, prob, current, mask_id)
                ]
        return rows


def _changes(
    before: list[int], after: list[int], prob: list[float], current: list[float], mask_id: int
) -> Iterator[tuple[int, EventKind, int, int, float]]:
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            kind: EventKind = "fill" if old == mask_id else "remask" if new == mask_id else "replace"
            yield at, kind, old, new, current[at] if kind == "remask" else prob[at]
