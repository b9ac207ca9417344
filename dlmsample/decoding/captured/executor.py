"""Forwards captured as CUDA graphs: the same rows, reader and update as everywhere, at addresses that never change.

A small forward is bound by the time the host needs to launch its kernels; a graph launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from dlmsample.decoding.captured.capture import Capture, Captures, Flags
from dlmsample.decoding.captured.compiled import compiled_update, with_state
from dlmsample.decoding.captured.memory import FixedMemory, coarse
from dlmsample.decoding.request import DecodingConfig, Extent, OpenedRows
from dlmsample.decoding.slots import Eager, Launched, Memory, own_mode
from dlmsample.decoding.step import Change, advance, tree_map
from dlmsample.models.attention.base import Features, Reader, RowPosition
from dlmsample.models.fusion.fuse import is_fused

#: Positions of prompts that a GPU computes faster than a host launches the kernels.
FEW = 1024


class Captured:
    """Plays back forwards that were captured once for each number of rows and each reach.

    The reach is how far the rows read. Where the reader does not need to know it, short prompts are captured too, by
    their number and length. A module whose layers are compiled has its update compiled as well.

    Args:
        config: what is the same for all rows.
        size: number of slots.
        extent: how large a row may be.
        record: what captures.
    """

    ahead: bool = True
    captured: bool = True

    @own_mode
    def __init__(self, config: DecodingConfig, size: int, extent: Extent, record: Capture) -> None:
        self._config, self._extent = config, extent
        self._memory = FixedMemory(size)
        self._eager = Eager(config)
        self.captures = Captures(record, config.model.name)
        one_prompt_block = config.segmentation.prompt_block
        fused = is_fused(config.model.module)
        self._compiled = compiled_update(config.settings, extent.width, one_prompt_block) if fused else None
        self._new: tuple[Tensor, ...] | None = None  # of rows that come: slots, canvas, first, length
        self._flags = [Flags(size, config.device) for _ in range(2)]  # of this forward and of the one before

    def memory(self) -> Memory:
        return self._memory

    def tick(self, reader: Reader, memory: Memory, places: Sequence[RowPosition]) -> Launched:
        reach = self._reach(reader, places)
        fixed = [RowPosition(reach - self._extent.width, 0, reach)]
        kind = ("blocks", len(memory.rows.start), reach)
        outcome, change = self.captures.run(kind, lambda: self._step(reader, memory, fixed))
        self._flags.reverse()
        return Launched(self._flags[0].hold(outcome), change)

    def prefill(self, reader: Reader, slots: Tensor, opened: OpenedRows) -> None:
        longest = max(opened.first)
        length = min(coarse(longest, 64), self._extent.capacity)
        if not (reader.ragged and longest) or len(slots) * length > FEW:
            self._eager.prefill(reader, slots, opened)
            return
        given = (slots, opened.rows.canvas, *opened.layout[:2])
        if self._new is None:
            self._new = tree_map(self._memory.space, given)
        fixed = tree_map(lambda t: t[: len(slots)], self._new)
        tree_map(lambda a, b: a.copy_(b), fixed, given)
        index, canvas, first, ends = fixed
        # positions behind a row's prompt are computed in vain, and written over before they are read
        layout = opened.layout._replace(first=first, length=ends)
        self.captures.run(("prompts", len(slots), length), partial(reader.admit, index, canvas, layout, length))

    def patience(self, rows: int) -> int:
        """An admission is a forward of its own: it pays for several rows at once."""
        return max(1, rows // 4)

    def shrinks(self, rows: int, live: int) -> bool:
        return 2 * self._memory.rounded(live) <= rows

    def _step(self, reader: Reader, memory: Memory, places: Sequence[RowPosition]) -> tuple[Tensor, Change]:
        features = reader.read(memory.rows.canvas, memory.layout, memory.rows.start, places)
        return self._update(memory, features)

    def _update(self, memory: Memory, features: Features) -> tuple[Tensor, Change]:
        """What the policy makes of a forward, written to memory."""
        settings = self._config.settings
        if self._compiled is None:
            rows, outcome, change = advance(memory.rows, memory.layout, features, settings)
            memory.write(rows, memory.layout)
            return outcome, change
        if memory.rows.state is None:
            memory.write(with_state(memory.rows, memory.layout, settings, features), memory.layout)
        result: Any = self._compiled(memory.rows, memory.layout, features, settings)
        return result

    def _reach(self, reader: Reader, places: Sequence[RowPosition]) -> int:
        """How far a forward reads, in coarse steps, so that few kinds of forwards are captured."""
        config, extent = self._config, self._extent
        if config.model.attention == "bidirectional":
            return min(coarse(max(place.length for place in places), 128), extent.length)
        if reader.ragged or (config.settings.gaps and not config.settings.cached):
            return extent.capacity  # it does not matter, or a row may pass over blocks
        # the host knows of the forward before the last one: a row may have moved on since
        need = max(place.start for place in places) + 2 * extent.width
        return min(coarse(need, 128), extent.capacity)
