"""Captured forwards of approximate caches: of blocks, of whole canvases, and the update, each a capture of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from dlmsample.decoding.captured.capture import Capture
from dlmsample.decoding.captured.executor import Captured
from dlmsample.decoding.captured.memory import coarse
from dlmsample.decoding.request import DecodingConfig, Extent, OpenedRows
from dlmsample.decoding.slots import Launched, Memory, own_mode
from dlmsample.decoding.step import Change
from dlmsample.models.attention.approximate import ApproximateReader
from dlmsample.models.attention.base import Reader, RowPosition

#: Positions of whole canvases in one forward, beyond which it is launched kernel by kernel. It should then take longer
#: on the GPU than the host needs for its launches (about 30 ms for 32 layers), so that a capture would only hold
#: memory. To be measured: the count from which both take as long on an H100; by its peak 4,096 take 100 ms with 8B.
MANY = 4096


class CapturedParts(Captured):
    """A step in two or three captures: blocks of all rows, whole canvases of the rows that are due, the update.

    Which rows are due the host must know before it can choose what to play, so it waits for the flags of the step
    before. That costs the way of a flag to the host and of a launch back, some tens of microseconds a step, where other
    readers are a step ahead.

    Args:
        config: what is the same for all rows; its cache is an approximate one.
        size: number of slots.
        extent: how large a row may be.
        record: what captures.
    """

    ahead = False

    @own_mode
    def __init__(self, config: DecodingConfig, size: int, extent: Extent, record: Capture) -> None:
        super().__init__(config, size, extent, record)
        self._due = torch.zeros(size, dtype=torch.long, device=config.device)

    def tick(self, reader: Reader, memory: Memory, places: Sequence[RowPosition]) -> Launched:
        assert isinstance(reader, ApproximateReader)
        rows, (due, later) = len(memory.rows.start), reader.parted(places)
        slots = self._index([row.slot for row in due])  # before anything runs, for a copy waits for what runs
        if later:
            span = reader.span(later, self._extent.width)
            reach = self._extent.length if reader.ragged else self._far(reader, later)
            if span > self._extent.width:
                span = min(coarse(span, 64), self._extent.length)
            self.captures.run((f"blocks of {span}", rows, reach), partial(_blocks, reader, memory, span, reach))
        if due:
            reach = self._far(reader, due)
            forward = partial(self._canvases, reader, slots, reach)
            if len(slots) * reach > MANY:
                forward()
            else:
                self.captures.run(("canvases", len(slots), reach), forward)
        reach = self._far(reader, places) if self._config.scores else 0
        outcome, change = self.captures.run(("update", rows, reach), partial(self._ended, reader, memory, reach))
        return Launched(self._flags[0].hold(outcome), change)

    def prefill(self, reader: Reader, slots: Tensor, opened: OpenedRows) -> None:
        self._eager.prefill(reader, slots, opened)

    def _far(self, reader: ApproximateReader, places: Sequence[RowPosition]) -> int:
        """How far these rows are read, in coarse steps, so that few kinds are captured."""
        return min(coarse(reader.reach(places, self._extent.width), 128), self._extent.length)

    def _index(self, slots: list[int]) -> Tensor:
        """These slots where captures find them, the last one repeated up to a number of which there are few."""
        count = self._memory.rounded(len(slots)) if slots else 0
        index = self._due[:count]
        if slots:
            index.copy_(torch.tensor([*slots, *slots[-1:] * (count - len(slots))]))
        return index

    def _canvases(self, reader: ApproximateReader, slots: Tensor, reach: int) -> None:
        """Of all slots, not only those in use: what is captured serves batches of any size."""
        rows, layout = self._memory.whole
        reader.read_canvases(slots, rows.canvas, layout, rows.start, reach)

    def _ended(self, reader: ApproximateReader, memory: Memory, reach: int) -> tuple[Tensor, Change]:
        rows, layout = memory.rows, memory.layout
        return self._update(memory, reader.features(rows.canvas, layout, rows.start, reach))


def _blocks(reader: ApproximateReader, memory: Memory, span: int, reach: int) -> None:
    rows = memory.rows
    reader.read_blocks(rows.canvas, memory.layout, rows.start, span, reach)
