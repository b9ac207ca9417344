"""The wrong-commit stress test and the stuck set: what one forward says of the model's own commits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dlmsample.diagnose.canvas import Canvas
from dlmsample.objectives.draws import COMMIT_RATE, MASK, Draws, share_of
from dlmsample.predict import predict


class Commits(NamedTuple):
    """A canvas with the model's own commits; all ``[row, pos]``."""

    tokens: Tensor  #: int64, the mask id where still masked
    masked: Tensor  #: bool, masked at first
    committed: Tensor  #: bool


class Tallies(NamedTuple):
    """Tokens counted in each example, int64 ``[row]``."""

    masked: Tensor
    committed: Tensor
    wrong: Tensor  #: commits other than gold
    right: Tensor
    preserved: Tensor  #: of the wrong ones, the next argmax is the commit
    recovered: Tensor  #: of the wrong ones, it is gold
    kept: Tensor  #: of the right ones, it is the commit
    visible: Tensor  #: answer tokens that stand, commits included
    stuck: Tensor  #: of the visible ones
    stuck_wrong: Tensor  #: of the wrong ones


def hidden(canvas: Canvas, rate: float) -> Tensor:
    """bool ``[row, pos]``: each editable position with probability ``rate``; a higher rate only adds positions."""
    draws = Draws(canvas.keys, canvas.clean, canvas.blocks)
    return canvas.editable & (draws.per_position(MASK) < rate)


def commit(canvas: Canvas, mask_id: int, mask_rate: float, commit_rate: float) -> Commits:
    """Mask, then commit the argmax at the ``⌊commit_rate · masked⌋`` most confident positions of each canvas.

    Ties go to the lower position. In block-causal models each block is a canvas of its own.
    """
    draws = Draws(canvas.keys, canvas.clean, canvas.blocks)
    masked = hidden(canvas, mask_rate)
    tokens = canvas.clean.masked_fill(masked, mask_id)
    first = predict(canvas.logits(tokens), tokens, mask_id)
    # Odds against a token order as its probability does, and stay apart where that rounds to 1.
    count = share_of((commit_rate, commit_rate), draws.per_row(COMMIT_RATE), draws.size(masked))
    committed = masked & (draws.rank(first.odds, masked) < count)
    return Commits(torch.where(committed, first.token, tokens), masked, committed)


def stress(canvas: Canvas, mask_id: int, rates: tuple[float, float], epsilon: float, edit_threshold: float) -> Tallies:
    """Commit, forward once more, and count.

    Rule (arXiv:2606.01026, Sec. 4.2): among the wrong commits of :func:`commit`, how many does the next forward's
    argmax preserve, and at how many is it gold. From the same forward, the stuck set (arXiv:2604.18738, Def. 1):
    visible positions with ``q_i < epsilon`` and ``max_v p_i(v) < edit_threshold``, both strict.

    Args:
        canvas: two forwards are made on it.
        mask_id: never an argmax.
        rates: mask rate and commit rate, see :func:`commit`.
        epsilon: probability.
        edit_threshold: probability, τ_t2t.

    Source: the rates' defaults, a half each, and the argmax are ours (the paper says "top-confidence self-commit" and
    no more). ``q_i`` is read with the token visible, as T2M's code does; Def. 1 writes z₋ᵢ.
    """
    tokens, masked, committed = commit(canvas, mask_id, *rates)
    after = predict(canvas.logits(tokens), tokens, mask_id)
    wrong = committed & (tokens != canvas.clean)
    right, visible = committed & ~wrong, canvas.editable & (tokens != mask_id)
    same = after.token == tokens
    stuck = visible & (after.current_prob < epsilon) & (after.prob < edit_threshold)
    sets = Tallies(
        masked=masked,
        committed=committed,
        wrong=wrong,
        right=right,
        preserved=wrong & same,
        recovered=wrong & (after.token == canvas.clean),
        kept=right & same,
        visible=visible,
        stuck=stuck,
        stuck_wrong=stuck & wrong,
    )
    return Tallies(*(members.sum(1).cpu() for members in sets))
