"""Recording: what every step changed, kept as tensors while decoding and turned into events when the row is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlmsample.decoding.step import Change
from dlmsample.types import Alternatives, Event, EventKind


class Tick(NamedTuple):
    """What one forward changed in a batch: kept without looking at it, so that recording adds no host sync."""

    before: Tensor  #: int64 ``[row, pos]``, the active blocks as the forward saw them
    after: Tensor  #: int64 ``[row, pos]``
    prob: Tensor  #: float32 ``[row, pos]``
    current_prob: Tensor  #: float32 ``[row, pos]``
    number: Tensor  #: int64 ``[row, pos]``, of each editable position, counted from the answer's first
    start: Tensor  #: int64 ``[row]``, first canvas position of the block
    step: Tensor  #: int64 ``[row]``, the row's updates before this one
    reason: Tensor  #: int64 ``[row, pos]``, index into the policy's ``reasons``; -1 where it gives none
    score: Tensor  #: float32 ``[row, pos]``, the number that decided on an edit
    others: Tensor  #: int64 ``[row, pos, k]``, the most probable tokens; k is 0 where they were not asked for
    probs: Tensor  #: float32 ``[row, pos, k]``, their probabilities
    entropy: Tensor  #: float32 ``[row, pos]``

    @classmethod
    def of(cls, change: Change) -> Tick:
        """What is kept of a change; copies, for the next forward may write where its tensors are."""
        block, pred = change.block, change.pred
        number = block.start[:, None] + block.editable.cumsum(-1) - 1
        reason, score = (-1, torch.zeros_like(pred.prob)) if change.info is None else change.info
        if not isinstance(reason, Tensor):
            reason = torch.full_like(block.tokens, reason)
        none = pred.prob[..., None][..., :0]
        others = change.others or Alternatives(none.long(), none, torch.zeros_like(pred.prob))
        kept = (block.tokens, change.after, pred.prob, pred.current_prob, number, change.start, change.step)
        return cls(*(tensor.clone() for tensor in (*kept, reason, score, *others)))


def events(
    ticks: Sequence[tuple[Tick, int]], first: int, width: int, mask_id: int, reasons: Sequence[str] = ()
) -> list[Event]:
    """The events of one row, in order.

    Args:
        ticks: of its forwards, each with the row's place in it.
        first: start of its first active block.
        width: positions of a block.
        mask_id: the mask id.
        reasons: the policy's.
    """
    columns = [torch.stack([tick[field][row] for tick, row in ticks]).tolist() for field in range(len(Tick._fields))]
    found = []
    for before, after, prob, current, number, start, step, reason, score, others, probs, entropy in zip(
        *columns, strict=True
    ):
        for at, kind in _changes(before, after, mask_id):
            explained = kind != "fill" and reason[at] >= 0
            found.append(
                Event(
                    kind=kind,
                    step=step,
                    block=(start - first) // width,
                    position=number[at],
                    old=before[at],
                    new=after[at],
                    probability=current[at] if kind == "remask" else prob[at],
                    reason=reasons[int(reason[at])] if explained else None,
                    score=score[at] if explained else None,
                    entropy=entropy[at] if others[at] else None,
                    others=tuple(zip(others[at], probs[at], strict=True)),
                )
            )
    return found


def _changes(before: list[int], after: list[int], mask_id: int) -> Iterator[tuple[int, EventKind]]:
    """The positions that changed, and how."""
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            yield at, "fill" if old == mask_id else "remask" if new == mask_id else "replace"
