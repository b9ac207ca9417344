"""Shares with intervals over examples: the tokens of one answer are not independent, the answers are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dlmsample.diagnose.report import TokenShare
from dlmsample.rng import fold

REPLICATES = 1000
_AT_ONCE = 1 << 20  # resampled examples held in memory


def shares(counts: Mapping[str, tuple[Tensor, Tensor]], key: int) -> dict[str, TokenShare]:
    """Shares of all tokens, each with its 95 % bootstrap interval.

    Rule: an example is drawn with its part and its total; a replicate draws as many examples as there are, with
    replacement, and takes ``Σ part / Σ total``; the interval is its 2.5 % and 97.5 % quantile over 1000 replicates.
    All shares see the same replicates. A replicate with no total is left out.

    Args:
        counts: name -> (part, total), int ``[example]``, the same examples for all.
        key: 64 bits; the draws are a function of it and of the number of examples.

    Returns:
        Name -> share; None for a share of nothing, and for the interval of fewer than two examples.

    Example:
        >>> part, total = torch.tensor([1, 1, 1]), torch.tensor([2, 2, 2])
        >>> shares({"half": (part, total)}, key=0)["half"]
        TokenShare(value=0.5, low=0.5, high=0.5, count=3, total=6)
    """
    pairs = list(counts.values())
    table = torch.stack([torch.stack([part.cpu(), total.cpu()], -1) for part, total in pairs], 1).long()
    sums = table.sum(0).tolist()
    bounds = _bounds(table.double(), key) if len(table) > 1 else [[None, None]] * len(pairs)
    return {
        name: TokenShare(part / total if total else None, low, high, part, total)
        for name, (part, total), (low, high) in zip(counts, sums, bounds, strict=True)
    }


def _bounds(table: Tensor, key: int) -> list[list[float | None]]:
    """Lower and upper bound of each share from float64 ``[example, share, 2]``."""
    examples = len(table)
    slots, sums = torch.arange(examples), []
    for part in torch.arange(REPLICATES).split(max(1, _AT_ONCE // examples)):
        drawn = (fold(torch.tensor(key), part[:, None], slots) & (2**63 - 1)) % examples
        sums.append(table[drawn].sum(1))
    part, total = torch.cat(sums).unbind(-1)
    level = torch.tensor([0.025, 0.975], dtype=torch.float64)
    bounds = (part / total).nanquantile(level, dim=0)
    return [[None if x != x else x for x in pair] for pair in bounds.T.tolist()]
