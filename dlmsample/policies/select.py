"""Ranking and choosing positions, with exact ties on every device: the algebra under every fill and edit rule."""

from __future__ import annotations

import torch
from torch import Tensor


def rank(score: Tensor, among: Tensor) -> Tensor:
    """Rank of each position by ascending ``score`` among the positions of ``among``; ties go to the lower position.

    Positions outside ``among`` rank after all others.

    Args:
        score: float ``[row, pos]``; +inf is allowed and ranks last inside ``among``.
        among: bool ``[row, pos]``.

    Returns:
        int64 ``[row, pos]``, a permutation of 0..pos-1 in each row.

    Example:
        >>> import torch
        >>> rank(torch.tensor([[3.0, 1.0, 1.0, 0.0]]), torch.tensor([[True, True, True, False]])).tolist()
        [[2, 0, 1, 3]]
    """
    if torch.compiler.is_compiling():
        return _by_pairs(score, among)
    # A stable sort places NaN after +inf, so one sort orders both "inside, by score" and "outside, last".
    order = torch.where(among, score.nan_to_num(nan=torch.inf, posinf=torch.inf), torch.nan).argsort(
        dim=-1, stable=True
    )
    places = torch.arange(score.shape[-1], device=score.device).expand_as(order)
    return torch.empty_like(order).scatter(-1, order, places)


def _by_pairs(score: Tensor, among: Tensor) -> Tensor:
    """:func:`rank` by counting who comes before; a compiler takes half a minute for a sort, and keeps no pairs."""
    score = torch.where(among, score.nan_to_num(nan=torch.inf, posinf=torch.inf), torch.inf)
    width = score.shape[-1]
    place = torch.arange(width, device=score.device) + width * ~among
    before = (score[:, None] < score[..., None]) | (
        (score[:, None] == score[..., None]) & (place[:, None] < place[..., None])
    )
    return before.sum(-1)


def lowest(score: Tensor, among: Tensor, count: Tensor | int) -> Tensor:
    """The ``count`` positions of ``among`` with the lowest score (all of them where there are fewer).

    Args:
        score: float ``[row, pos]``.
        among: bool ``[row, pos]``.
        count: int64 ``[row]`` or one int.

    Returns:
        bool ``[row, pos]``.
    """
    limit = count[:, None] if isinstance(count, Tensor) else count
    return among & (rank(score, among) < limit)
