"""How positions move while an answer is decoded: which token each of them takes when, and whether it takes one back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlmsample.diagnose.intervals import shares
from dlmsample.diagnose.report import Move, Trajectory
from dlmsample.rng import sequence_key
from dlmsample.types import Event


def trajectory(traces: Sequence[Sequence[Event]], *, seed: int = 0) -> Trajectory:
    """Count the edits of recorded answers, and those that return to a token the position had before.

    Rule: a position is written when it is filled or replaced. Every write but its first is an edit, also one that
    follows a remask. An edit returns if the position held the new token at any earlier time; a position that goes
    back and forth between two tokens returns at every edit but its first.

    Args:
        traces: the events of every answer, in order: ``Sampler(...).generate(prompts, record=True).trace``.
        seed: of the resampling that gives the intervals.

    Returns:
        The edits as (answer, position, step, old token, new token), in the order of the events, with the share of
        them that return, and the share of the edited positions with at least one that does. Intervals are 95 %, over
        answers.

    Example:
        >>> import dlmsample as ds
        >>> sampler = ds.Sampler(ds.load("nano"), ds.T2T(fill_threshold=0.3))
        >>> out = sampler.generate(["Ann has 3 pens. Bob gives her 4 pens. How many pens does Ann have?"], record=True)
        >>> found = trajectory(out.trace)
        >>> found.returns.total == len(found.moves), all(move.old != move.new or move.returns for move in found.moves)
        (True, True)

    Source: arXiv:2606.01026 shows such trajectories of D3IM; counting returns over all edits is ours.
    """
    written = [[event for event in trace if event.kind != "remask"] for trace in traces]
    rows = [(row, event.position, event.new, event.step) for row, trace in enumerate(written) for event in trace]
    row, position, token, step = torch.tensor(rows, dtype=torch.long).reshape(-1, 4).unbind(-1)
    place, former = _group(row, position), _last(row, position)
    edit = former >= 0
    again = edit & (_last(place, token) >= 0)
    columns = (row, position, step, token[former.clamp(min=0)], token, again)
    moves = [Move(*values) for values in zip(*(column[edit].tolist() for column in columns), strict=True)]
    size = len(traces)
    edits, returns = _tally(row[edit], size), _tally(row[again], size)
    edited, loops = (_tally(row[_firsts(place, which)], size) for which in (edit, again))
    parts = {"returns": (returns, edits), "positions": (loops, edited)}
    return Trajectory(tuple(moves), **shares(parts, sequence_key(seed, (), size)))


def _group(*keys: Tensor) -> Tensor:
    """int64 ``[write]``: equal where all keys are."""
    return torch.stack(keys, -1).unique(dim=0, return_inverse=True)[1] if len(keys[0]) else keys[0]


def _last(*keys: Tensor) -> Tensor:
    """int64 ``[write]``: the last write before each one that has the same keys; -1 where there is none."""
    group = _group(*keys)
    order = group.argsort(stable=True)
    same = group[order][1:] == group[order][:-1]
    found = torch.full_like(group, -1)
    found[order[1:][same]] = order[:-1][same]
    return found


def _firsts(place: Tensor, chosen: Tensor) -> Tensor:
    """int64 ``[place]``: of every place with chosen writes, the first of them."""
    at = chosen.nonzero()[:, 0]
    return at[_last(place[at]) < 0]


def _tally(row: Tensor, size: int) -> Tensor:
    """int64 ``[answer]``."""
    return torch.bincount(row, minlength=size)
