"""What the decoding loop starts from and ends with: the canvases of rows, and the figures of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

from dlmsample.decoding.step import Counts, Rows
from dlmsample.decoding.stopping import Cut
from dlmsample.models.attention.base import Layout
from dlmsample.types import Event, RowStats


class Job(NamedTuple):
    """A row to decode."""

    number: int  #: which of the caller's
    canvas: list[int]  #: its ids, the mask id where a token is to be placed; at least one such place
    key: int  #: of its randomness


class Form(NamedTuple):
    """How canvases are cut into blocks."""

    block_length: int | Literal["all"]
    prompt_block: bool  #: what precedes the first mask is one block, and the others count from there

    def first_block(self, mask: int) -> int:
        """Where the first active block of a row starts, whose first mask stands at ``mask``."""
        if self.prompt_block:
            return mask
        assert isinstance(self.block_length, int)  # "all" counts from the prompt's end
        return mask // self.block_length * self.block_length


class Room(NamedTuple):
    """What rows of a batch may take up."""

    width: int  #: positions of a block
    length: int  #: positions of a canvas

    @property
    def capacity(self) -> int:
        """Positions of a row's tensors: a block's width of spare ones at the end."""
        return self.length + self.width

    def holds(self, other: Room) -> bool:
        """Whether rows that need ``other`` fit; where blocks have one length, they all have that width."""
        return self.width >= other.width and self.length >= other.length


def room_for(canvases: Sequence[Sequence[int]], form: Form, mask_id: int) -> Room:
    """What these canvases need.

    Example:
        >>> room_for([[7, 7, 0, 0, 0], [7, 0]], Form("all", True), mask_id=0)
        Room(width=3, length=5)
    """
    longest = max(len(canvas) for canvas in canvases)
    if not isinstance(form.block_length, str):
        return Room(form.block_length, longest)
    return Room(max(len(canvas) - form.first_block(canvas.index(mask_id)) for canvas in canvases), longest)


class Canvases(NamedTuple):
    """Rows as the loop starts them."""

    rows: Rows
    layout: Layout
    first: list[int]  #: start of the first active block, by row
    masked: list[list[int]]  #: the blocks that hold masks, by row, counted from the first active one

    def starts(self, cached: bool) -> list[list[int]]:
        """Where each row stands, block after block: a cache must be written in blocks without masks, too."""
        visited = [range(blocks[-1] + 1) if cached else blocks for blocks in self.masked]
        return [[first + b * self.layout.width for b in v] for first, v in zip(self.first, visited, strict=True)]


def open_canvases(
    canvases: Sequence[Sequence[int]],
    keys: Sequence[int],
    form: Form,
    mask_id: int,
    device: torch.device,
    room: Room | None = None,
) -> Canvases:
    """Rows right-padded, each at its first active block.

    Args:
        canvases: ids of every row, the mask id where a token is to be placed; at least one such place each.
        keys: of each row's randomness.
        form: how they are cut into blocks.
        mask_id: the mask id.
        device: of the tensors.
        room: what the tensors leave for a row; None: what these need.
    """
    room = room_for(canvases, form, mask_id) if room is None else room
    first = [form.first_block(canvas.index(mask_id)) for canvas in canvases]
    lengths = [len(canvas) for canvas in canvases]
    ids = torch.full((len(canvases), room.capacity), mask_id)
    for row, canvas in zip(ids, canvases, strict=True):
        row[: len(canvas)] = torch.tensor(canvas, dtype=torch.long)

    places = torch.arange(ids.shape[1])
    editable = (ids == mask_id) & (places < torch.tensor(lengths)[:, None])
    block = (places - torch.tensor(first)[:, None]).div(room.width, rounding_mode="floor")
    masked = [sorted(set(b[e].tolist())) for b, e in zip(block, editable, strict=True)]

    def column(values: Sequence[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    start, zero = column(first), column([0] * len(canvases))
    no = torch.zeros_like(zero, dtype=torch.bool)
    rows = Rows(
        canvas=ids.to(device),
        before=(editable.cumsum(-1) - editable.long()).to(device),
        key=column(keys),
        start=start,
        step=zero,
        entering=~no,
        writing=no,
        finished=no,
        counts=Counts(zero, zero, zero, zero, zero, no, no),
        state=None,
    )
    return Canvases(rows, Layout(start, column(lengths), room.width, form.prompt_block), first, masked)


class Result(NamedTuple):
    """One row, decoded; without any counts where nothing was to decode."""

    canvas: list[int]  #: all of it, masks behind an early end included
    counts: Sequence[int] | None = None  #: as :class:`~dlmsample.decoding.step.Counts`
    prefill: int = 0
    events: Sequence[Event] = ()
    cut: Cut | None = None  #: the answer before a stop string

    def stats(self, tokens: int) -> RowStats:
        """The figures, for so many tokens of output."""
        counts = (0,) * len(Counts._fields) if self.counts is None else self.counts
        steps, nfe, fills, replaces, remasks, forced, eos = counts
        return RowStats(
            steps=steps,
            nfe=nfe,
            prefill=self.prefill,
            tokens=tokens,
            fills=fills,
            replaces=replaces,
            remasks=remasks,
            edits_per_100=100 * (replaces + remasks) / max(tokens, 1),
            tokens_per_forward=tokens / max(nfe, 1),
            forced=bool(forced),
            finish_reason="stop" if self.cut is not None else "eos" if eos else "length",
        )
