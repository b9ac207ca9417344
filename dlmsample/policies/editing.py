"""What every edit rule has in common: the base class, how edits become tokens, when an edited block is done.

Here, too, stands the rule that edits nothing, :class:`Keep`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dlmsample.policies.base import Stateless
from dlmsample.policies.piece import STRICT, Piece
from dlmsample.types import Block, EditInfo, Prediction, Update


def settled(
    block: Block, tokens: Tensor, edited: Tensor, post: Tensor, max_post_steps: int, enabled: bool
) -> tuple[Tensor, Tensor]:
    """The *done* rule of T2T and T2M (arXiv:2602.08676, 2604.18738).

    A block is done after a step whose forward saw no mask in it and in which no edit fired, so that the last
    fill is examined once. At most ``max_post_steps`` forwards of a block see it free of masks, counted over the
    whole block and checked before the forward. With editing off no such forward is made. A block is never left
    with a mask in it.

    Args:
        block: as the forward saw it.
        tokens: int64 ``[row, pos]``, its next tokens.
        edited: bool ``[row]``, an edit fired in this step.
        post: int64 ``[row]``, forwards before this one that saw the block free of masks.
        max_post_steps: the limit on ``post``.
        enabled: False when the policy's options switch editing off.

    Returns:
        done, bool ``[row]``; the new ``post``.
    """
    saw_full, full = block.is_full(block.tokens), block.is_full(tokens)
    post = post + saw_full.long()
    if not enabled:
        return full, post
    return full & ((saw_full & ~edited) | (post >= max_post_steps)), post


def apply(block: Block, fill: Tensor, token: Tensor, remask: Tensor | None = None) -> Tensor:
    """The block's next tokens: ``token`` where ``fill``, the mask id where ``remask``, else as they stand."""
    tokens = torch.where(fill, token, block.tokens)
    return tokens if remask is None else torch.where(remask, block.mask_id, tokens)


class Edits(NamedTuple):
    """What an edit rule does to tokens that were visible before the fill; all ``[row, pos]``."""

    replace: Tensor | None = None  #: bool, they take their candidates
    remask: Tensor | None = None  #: bool, they are reset to mask
    score: Tensor | None = None  #: float32, the number that decided, for the trace


class Edit(Piece):
    """A rule that revises visible tokens. Subclasses are frozen dataclasses; ``init`` and ``step`` are pure."""

    noun: ClassVar[str] = "edit rule"

    @property
    def reason(self) -> str | None:
        """What the trace calls the cause of its edits."""
        return None

    @property
    def post_steps(self) -> int:
        """Forwards of a block that may see it free of masks; 0: the block is done as soon as it is full."""
        return 0

    def init(self, block: Block) -> Any:
        """The state of a row on entering ``block``: a NamedTuple of tensors whose first axis is the row."""
        return Stateless()

    def revise(
        self, state: Any, post: Tensor, post_steps: int, block: Block, pred: Prediction, filled: Tensor
    ) -> tuple[Any, Tensor, Update]:
        """Fill and edits together: the next state and ``post`` (see :func:`settled`), and the update."""
        state, (replace, remask, score) = self.step(state, block, pred, filled)
        tokens = apply(block, filled if replace is None else filled | replace, pred.token, remask)
        edited = ((tokens != block.tokens) & ~filled).any(-1)
        done, post = settled(block, tokens, edited, post, post_steps, enabled=post_steps > 0)
        return state, post, Update(tokens, done, None if score is None else EditInfo(0, score))

    @abstractmethod
    def step(self, state: Any, block: Block, pred: Prediction, filled: Tensor) -> tuple[Any, Edits]:
        """The next state and the edits of this step, of which ``filled`` (bool ``[row, pos]``) are already taken.

        An edit touches positions of ``block.visible`` only. No host synchronisation, no branch on data.
        """

    def max_remasks(self, block: Block) -> Tensor:
        """int64 ``[row]``: a bound on the tokens it resets to mask in ``block``."""
        return torch.zeros_like(block.step)

    def max_tokens(self, width: int) -> int:
        """How many tokens, one after another, a position of a block of ``width`` positions can hold at most."""
        return width + self.post_steps + 1


@dataclass(frozen=True, config=STRICT)
class Keep(Edit):
    """No edits: what is committed stays."""

    rule: ClassVar[str] = "keep"

    def step(self, state: Any, block: Block, pred: Prediction, filled: Tensor) -> tuple[Any, Edits]:
        return state, Edits()
