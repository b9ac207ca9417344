"""What every corruption draws: rates per canvas, choices per position, ranks and counts within a canvas.

A *canvas* is what the model fills in as one: the whole sequence, or one block if the model is block-causal. All
draws are counter-based (:mod:`dlmsample.rng`) from the sequence's key, so they depend on no batch and no device.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor

from dlmsample.objectives.base import Draft, Ids
from dlmsample.predict import predict
from dlmsample.rng import draw, fold
from dlmsample.types import Prediction

RATE, MASK, BRANCH, BETA, COMMIT_RATE, ORDER, EDIT_RATE, EDIT = range(1, 9)
KEEP_RATE, KEEP, REPLACE, TOKEN, DRAFT, LATER_RATE, LATER = range(9, 16)
"""First counter of a draw: which draw it is (the data's counters are above 100)."""

_PARTS = 1_000_000


def _pair(value: object) -> object:
    return (value, value) if isinstance(value, int | float) else value


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"a range is (low, high) with low <= high, not {value}")
    return value


Share = Annotated[float, Field(ge=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], BeforeValidator(_pair), AfterValidator(_ordered)]
"""(low, high), both in [0, 1]; one number stands for a range of that value alone."""


class Draws(NamedTuple):
    """The keys of a batch with the positions and canvases its draws are counted by."""

    keys: Tensor
    """int64 ``[row]``."""
    like: Tensor
    """Any ``[row, pos]`` tensor, such as the clean tokens."""
    blocks: Tensor | None
    """int ``[row, pos]``, the block of each position; None: a row is one canvas."""

    @property
    def canvas(self) -> Tensor:
        """int64 ``[row, pos]``: the block index, 0 everywhere without blocks."""
        return torch.zeros_like(self.like, dtype=torch.int64) if self.blocks is None else self.blocks.long()

    def per_row(self, kind: int) -> Tensor:
        """float32 ``[row, 1]`` uniform, one for each sequence."""
        return draw(self.keys[:, None], kind)

    def per_canvas(self, kind: int, index: int | None = None) -> Tensor:
        """float32 ``[row, pos]`` uniform, equal within a canvas; ``index`` tells several of one kind apart."""
        # A draw per position from its canvas's counter: no gather needed.
        return draw(self.keys[:, None], kind, self.canvas, *(() if index is None else (index,)))

    def rate(self, kind: int, bounds: tuple[float, float]) -> Tensor:
        """float32 ``[row, pos]`` uniform in ``bounds``, equal within a canvas."""
        low, high = bounds
        return low + (high - low) * self.per_canvas(kind)

    def bits(self, kind: int) -> Tensor:
        """int64 ``[row, pos]``, 64 random bits for each position: a random order that has no ties."""
        return fold(self.keys[:, None], kind, self._places())

    def per_position(self, kind: int) -> Tensor:
        """float32 ``[row, pos]`` uniform, one for each position."""
        return draw(self.keys[:, None], kind, self._places())

    def beta22(self, kind: int) -> Tensor:
        """float32 ``[row, pos]`` Beta(2, 2), equal within a canvas: the median of three uniforms has that law."""
        a, b, c = (self.per_canvas(kind, index) for index in range(3))
        return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))

    def size(self, members: Tensor) -> Tensor:
        """int64 ``[row, pos]``: how many of ``members`` the position's canvas holds."""
        ordered = self._among(members).sort(dim=1).values
        canvas = self.canvas.contiguous()
        return torch.searchsorted(ordered, canvas, right=True) - torch.searchsorted(ordered, canvas)

    def rank(self, score: Tensor, members: Tensor) -> Tensor:
        """int64 ``[row, pos]``: rank by ascending ``score`` among the members of the same canvas.

        Ties go to the lower position. Positions outside ``members`` get ranks of their own, of no meaning.
        """
        order = score.argsort(dim=1, stable=True)
        canvas, again = self._among(members).gather(1, order).sort(dim=1, stable=True)
        places = torch.arange(score.shape[1], device=score.device) - torch.searchsorted(canvas, canvas)
        return torch.empty_like(order).scatter(1, order.gather(1, again), places)

    def _places(self) -> Tensor:
        """int64 ``[pos]``."""
        return torch.arange(self.like.shape[1], device=self.like.device)

    def _among(self, members: Tensor) -> Tensor:
        """The canvas of the members, beyond every canvas elsewhere."""
        return torch.where(members, self.canvas, torch.iinfo(torch.int64).max)


def share_of(bounds: tuple[float, float], u: Tensor, count: Tensor) -> Tensor:
    """``⌊ρ · count⌋`` with ρ uniform in ``bounds``, in whole millionths: no rounding can lose one, on any device.

    Example:
        >>> share_of((0.29, 0.29), torch.tensor([0.7]), torch.tensor([100])).tolist()
        [29]
    """
    low, high = (round(bound * _PARTS) for bound in bounds)
    return (low + ((high - low) * u).round().long()) * count // _PARTS


def random_token(gold: Tensor, bits: Tensor, ids: Ids) -> Tensor:
    """Uniform ids that differ from ``gold``, have a token and are never the mask or special: int64 ``[row, pos]``.

    Rule: the index among the allowed ids other than gold is the low 63 bits modulo their number (a bias below
    vocab / 2⁶³); then each excluded id at or below it moves it up by one.

    Raises:
        ValueError: ``ids.end`` leaves no two ids to choose from.

    Example:
        >>> gold = torch.tensor([[3, 3, 1]])
        >>> random_token(gold, torch.tensor([[5, 6, 9]]), Ids(mask=2, special=(0, 1), end=5)).tolist()
        [[4, 4, 4]]
    """
    excluded = sorted(i for i in {ids.mask, *ids.special, *ids.tokenless} if 0 <= i < ids.end)
    allowed = ids.end - len(excluded)
    if allowed < 2:
        raise ValueError(f"no random tokens: {allowed} ordinary ids; pass Ids(mask, special, end of the vocabulary)")
    banned = torch.tensor(excluded, device=gold.device, dtype=torch.int64)
    below = torch.searchsorted(banned, gold.contiguous())
    ordinary = below == torch.searchsorted(banned, gold.contiguous(), right=True)
    index = (bits & (2**63 - 1)) % (allowed - ordinary.long())
    index = index + (ordinary & (index >= gold - below))
    # The index-th allowed id has as many banned ids below it as satisfy banned[k] - k <= index.
    return index + torch.searchsorted(banned - torch.arange(len(excluded), device=gold.device), index, right=True)


def candidates(
    rule: str, draft: Draft | None, tokens: Tensor, draws: Draws, ids: Ids, temperature: float
) -> Prediction:
    """One no-gradient forward on ``tokens``, reduced to a candidate and its untempered confidence per position.

    The mask id and ids without a token are never candidates; EOS and other special ids may be.

    Raises:
        ValueError: no ``draft`` was given.
    """
    if draft is None:
        raise ValueError(f"{rule} needs draft=..., a function tokens -> logits: the model's own forward")
    with torch.no_grad():
        key = fold(draws.keys, DRAFT)
        logits = draft(tokens)[..., : ids.end or None]
        seen = tokens.clamp(max=logits.shape[-1] - 1)
        never = torch.tensor(ids.tokenless, device=tokens.device) if ids.tokenless else None
        return predict(logits, seen, ids.mask, key=key, temperature=temperature, never=never)
