"""What goes into the decoding loop: requests, and how their canvases are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

from dlmsample.decoding.ahead.next_block import NextBlock
from dlmsample.decoding.answers import Stops
from dlmsample.decoding.grow.daedal import Daedal
from dlmsample.decoding.step import Counts, Rows, Settings
from dlmsample.models.attention.base import Layout
from dlmsample.models.denoiser import Denoiser
from dlmsample.policies.base import Policy
from dlmsample.types import CacheKind

#: Whether events are kept; "alternatives": with entropy and the most probable tokens.
Recorded = bool | Literal["alternatives"]
_ALTERNATIVES = 3  #: tokens of each position


class Request(NamedTuple):
    """One canvas to decode."""

    number: int  #: its place among the caller's prompts or texts
    canvas: list[int]  #: its ids, with the mask id (at least once) wherever a token is to be placed
    key: int  #: of its randomness
    stops: Stops | None = None  #: strings that end the answer
    record: bool = False  #: keep every event


class Segmentation(NamedTuple):
    """How canvases are cut into blocks."""

    block_length: int | Literal["all"]
    prompt_block: bool  #: everything before the first mask is one block, and the answer's blocks are counted from there
    equal_lengths: bool = False  #: a batch holds canvases of equal length only

    @classmethod
    def of(cls, model: Denoiser, block_length: int | Literal["all"]) -> Segmentation:
        """The model's own alignment; with "all", blocks count from the prompt's end whatever that is."""
        prompt_block = block_length == "all" or model.facts.block_alignment == "prompt"
        return cls(block_length, prompt_block, model.interface.equal_lengths)

    def first_block(self, mask: int) -> int:
        """Where a row's first active block starts, given the position of its first mask."""
        if self.prompt_block:
            return mask
        assert isinstance(self.block_length, int)  # "all" counts from the prompt's end
        return mask // self.block_length * self.block_length


class Extent(NamedTuple):
    """How large the tensors of a batch are."""

    width: int  #: positions of a block
    length: int  #: positions of a canvas
    equal: bool = False  #: every canvas has exactly this length: the module's rows must not be padded

    @property
    def capacity(self) -> int:
        """Positions of a row's tensors: one more block than the canvas, so that a last block always fits."""
        return self.length + self.width

    def holds(self, other: Extent) -> bool:
        """Whether rows that need ``other`` fit in."""
        fits = self.length == other.length if self.equal else self.length >= other.length
        return fits and self.width >= other.width


class DecodingConfig(NamedTuple):
    """Everything that is the same for all rows of a call."""

    model: Denoiser
    device: torch.device
    settings: Settings  #: what the update of a step needs
    segmentation: Segmentation
    cache: CacheKind
    refresh: int | None
    scores: bool  #: the policy reads the correction head
    shadows: bool  #: the policy reads what the model says of a position without seeing the token there
    next_block: NextBlock | None = None  #: when the block behind the active one is filled, too
    grow: Daedal | None = None  #: how answers grow
    suffix: int | None = None  #: of an approximate cache, positions behind the active block that are looked at

    @classmethod
    def make(
        cls,
        model: Denoiser,
        policy: Policy,
        block_length: int | Literal["all"],
        sampling: tuple[float, float, int | None],
        cache: CacheKind,
        refresh: int | None,
        filling: bool,
        record: Recorded = False,
    ) -> DecodingConfig:
        """For prompts, or (``filling``) for the masks inside texts: there no EOS ends a row, and special ids are no
        candidates. ``sampling``: temperature, top-p, top-k."""
        device, facts, needs = model.device, model.facts, policy.needs
        eos_ids, special = ((), model.special_ids) if filling else (facts.eos_ids, None)
        vocabulary, tokenless = model.vocabulary
        whole = isinstance(block_length, str)
        settings = Settings(
            policy,
            facts.mask_id,
            torch.tensor(eos_ids, dtype=torch.long, device=device),
            *sampling,
            cached=cache == "exact",
            special=None if special is None else torch.tensor(special, device=device),
            whole=whole,
            gaps=filling and not whole,
            needs=needs,
            table=table.to(device) if "listed" in needs and (table := policy.table()) is not None else None,
            vocabulary=vocabulary,
            tokenless=torch.tensor(tokenless, device=device) if tokenless else None,
            alternatives=_ALTERNATIVES if record == "alternatives" else 0,
        )
        segmentation = Segmentation.of(model, block_length)
        return cls(model, device, settings, segmentation, cache, refresh, "error" in needs, "loo_prob" in needs)


class OpenedRows(NamedTuple):
    """Rows as they are before their first step."""

    rows: Rows
    layout: Layout
    first: list[int]  #: by row, where its first active block starts
    masked: list[list[int]]  #: by row, the blocks that hold masks, counted from the first active one


def extent_of(canvases: Sequence[Sequence[int]], segmentation: Segmentation, mask_id: int) -> Extent:
    """What these canvases need.

    Example:
        >>> extent_of([[7, 7, 0, 0, 0], [7, 0]], Segmentation("all", True), mask_id=0)
        Extent(width=3, length=5, equal=False)
    """
    longest = max(len(canvas) for canvas in canvases)
    if not isinstance(segmentation.block_length, str):
        return Extent(segmentation.block_length, longest, segmentation.equal_lengths)
    widths = [len(canvas) - segmentation.first_block(canvas.index(mask_id)) for canvas in canvases]
    return Extent(max(widths), longest, segmentation.equal_lengths)


def longest_first(canvases: Sequence[Sequence[int]], segmentation: Segmentation, mask_id: int) -> list[int]:
    """The numbers of the canvases with a mask, in an order in which what follows fits in the place of what precedes.

    The widest block comes first, then the longest canvas; where rows must be of equal length, the longest canvas.

    Example:
        >>> longest_first([[7, 0], [7], [7, 0, 0]], Segmentation(4, True), mask_id=0)
        [2, 0]
    """
    todo = [i for i, canvas in enumerate(canvases) if mask_id in canvas]
    todo.sort(key=lambda i: extent_of([canvases[i]], segmentation, mask_id), reverse=True)
    if segmentation.equal_lengths:
        todo.sort(key=lambda i: len(canvases[i]), reverse=True)
    return todo


def open_rows(
    canvases: Sequence[Sequence[int]],
    keys: Sequence[int],
    segmentation: Segmentation,
    mask_id: int,
    device: torch.device,
    extent: Extent | None = None,
) -> OpenedRows:
    """Tensors for rows, padded on the right, each row at its first active block.

    Args:
        canvases: ids of every row, at least one of them the mask id.
        keys: of each row's randomness.
        segmentation: how they are cut into blocks.
        mask_id: the mask id.
        device: of the tensors.
        extent: how large the tensors are; None: as large as these rows need.
    """
    extent = extent_of(canvases, segmentation, mask_id) if extent is None else extent
    first = [segmentation.first_block(canvas.index(mask_id)) for canvas in canvases]
    lengths = [len(canvas) for canvas in canvases]
    ids = torch.full((len(canvases), extent.capacity), mask_id)
    for row, canvas in zip(ids, canvases, strict=True):
        row[: len(canvas)] = torch.tensor(canvas, dtype=torch.long)

    places = torch.arange(ids.shape[1])
    editable = (ids == mask_id) & (places < torch.tensor(lengths)[:, None])
    block = (places - torch.tensor(first)[:, None]).div(extent.width, rounding_mode="floor")
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
    return OpenedRows(rows, Layout(start, column(lengths), extent.width, segmentation.prompt_block), first, masked)
