"""Edit rules: which visible tokens are replaced or reset to mask, and when a block that is edited is done.

Each rule is a frozen object with its options: :class:`Keep`, :class:`Replace`, :class:`Remask`,
:class:`BufferedRemask`, and :class:`Guard` around any of them. :func:`dlmsample.policies.chain.chain` pairs one with a
fill rule.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass
from torch import Tensor

from dlmsample.policies import detect
from dlmsample.policies.base import Stateless
from dlmsample.policies.detect import Detector, LowProb, disagrees
from dlmsample.policies.editing import Edit as Edit
from dlmsample.policies.editing import Edits as Edits
from dlmsample.policies.editing import Keep as Keep
from dlmsample.policies.editing import apply as apply
from dlmsample.policies.editing import settled as settled
from dlmsample.policies.piece import STRICT, Count, Positive, Probability, from_dump
from dlmsample.policies.select import lowest, rank
from dlmsample.types import Block, Prediction

#: After 4n remasks in a block BufferedRemask stops: nothing else forces progress when k·d <= K.
_REMASKS_PER_POSITION = 4


class ReplaceState(NamedTuple):
    edits: Tensor  #: int64 ``[row, pos]``, times each position was replaced in this block


@dataclass(frozen=True, config=STRICT)
class Replace(Edit):
    """Replace a visible token by the candidate where they differ and ``c > threshold`` (LLaDA2.1, arXiv:2602.08676).

    Args:
        threshold: probability, strict; 0.0 replaces whenever the candidate differs.
        max_edits: replacements of one position in a block; None: as often as it happens.
        max_post_steps: forwards of a block that may see it free of masks.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> Replace(0.9, max_edits=2).model_dump()
        {'rule': 'replace', 'threshold': 0.9, 'max_edits': 2, 'max_post_steps': 16}

    Deviation: ``max_edits`` is ours.
    """

    rule: ClassVar[str] = "replace"
    threshold: Probability = 0.5
    max_edits: Count | None = None
    max_post_steps: Count = 16

    @property
    def reason(self) -> str:
        return "disagrees"

    @property
    def post_steps(self) -> int:
        return 0 if self.max_edits == 0 else self.max_post_steps

    def init(self, block: Block) -> Any:
        return Stateless() if self.max_edits is None else ReplaceState(torch.zeros_like(block.tokens))

    def step(self, state: Any, block: Block, pred: Prediction, filled: Tensor) -> tuple[Any, Edits]:
        replace = disagrees(block, pred, self.threshold)
        if self.max_edits is not None:
            replace = replace & (state.edits < self.max_edits)
            state = ReplaceState(state.edits + replace)
        return state, Edits(replace=replace, score=pred.prob)


class RemaskState(NamedTuple):
    remasks: Tensor  #: int64 ``[row, pos]``, times each position was reset in this block
    memory: Any  #: the detector's


@dataclass(frozen=True, config=STRICT)
class Remask(Edit):
    """Reset what a detector flags to mask, under two caps (arXiv:2604.18738, Eq. 5, Algorithm 1).

    A position is reset at most ``max_per_position`` times in a block, and a step resets at most
    ``max(min_per_step, ⌊max_share·|E|⌋)`` positions, the most suspicious first; E are the editable positions visible
    before this step's fill.

    Args:
        detector: of :mod:`dlmsample.policies.detect`.
        max_per_position: C_max; 0 switches editing off.
        max_share: ρ_max, in [0, 1].
        min_per_step: 1 as in the paper's code; 0 gives the paper's floor.
        max_post_steps: forwards of a block that may see it free of masks.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> Remask(detect.LogitDiff(), max_per_position=3).reason
        'logit_diff'
    """

    rule: ClassVar[str] = "remask"
    detector: Annotated[Detector, BeforeValidator(detect.read)] = LowProb()
    max_per_position: Count = 1
    max_share: Probability = 0.25
    min_per_step: Count = 1
    max_post_steps: Count = 16

    @property
    def needs(self) -> frozenset[str]:
        return self.detector.needs

    @property
    def reason(self) -> str:
        return self.detector.rule

    @property
    def post_steps(self) -> int:
        return 0 if self.max_per_position == 0 else self.max_post_steps

    def init(self, block: Block) -> RemaskState:
        return RemaskState(torch.zeros_like(block.tokens), self.detector.init(block))

    def step(self, state: RemaskState, block: Block, pred: Prediction, filled: Tensor) -> tuple[RemaskState, Edits]:
        flag, order, score = self.detector.judge(state.memory, block, pred)
        # float64, as Python computes ⌊ρ·|E|⌋: float32 would round some products up to the next integer
        cap = (block.visible.sum(-1).double() * self.max_share).floor().long().clamp(min=self.min_per_step)
        remask = lowest(order, flag & (state.remasks < self.max_per_position), cap)
        memory = self.detector.remember(state.memory, block, pred, filled, remask)
        return RemaskState(state.remasks + remask, memory), Edits(remask=remask, score=score)

    def max_remasks(self, block: Block) -> Tensor:
        return block.size * self.max_per_position

    def max_tokens(self, width: int) -> int:
        return 1 + self.max_per_position


class BufferedState(NamedTuple):
    pushed: Tensor  #: int64 ``[row]``, remasks in this block so far
    entry: Tensor  #: int64 ``[row, pos]``, number of each position's last push, far below 0 if never
    memory: Any  #: the detector's


@dataclass(frozen=True, config=STRICT)
class BufferedRemask(Edit):
    """Every ``stride``-th step reset the most suspicious tokens, but none that was reset lately (arXiv:2601.06428).

    When ``N mod stride = stride − 1`` at step N of a block, the ``max_per_step`` most suspicious visible tokens are
    looked at; those that the detector flags and that are not in the FIFO buffer are reset to mask and pushed. A block
    is done as soon as it is full.

    Args:
        detector: of :mod:`dlmsample.policies.detect`.
        stride: steps.
        max_per_step: tokens a time; 0 switches editing off.
        buffer: capacity of the FIFO, positions; None: half the block length, also in a shorter last block.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> BufferedRemask(detect.Random(), stride=1).needs
        frozenset()

    Deviations: the buffer and N restart with each block; after 4n remasks in a block remasking stops.
    """

    rule: ClassVar[str] = "buffered_remask"
    detector: Annotated[Detector, BeforeValidator(detect.read)] = detect.Head()
    stride: Positive = 2
    max_per_step: Count = 2
    buffer: Count | None = None

    @property
    def needs(self) -> frozenset[str]:
        return self.detector.needs

    @property
    def reason(self) -> str:
        return self.detector.rule

    def init(self, block: Block) -> BufferedState:
        never = torch.full_like(block.tokens, torch.iinfo(torch.int64).min // 2)
        return BufferedState(torch.zeros_like(block.step), never, self.detector.init(block))

    def step(self, state: BufferedState, block: Block, pred: Prediction, filled: Tensor) -> tuple[BufferedState, Edits]:
        flag, order, score = self.detector.judge(state.memory, block, pred)
        top = lowest(order, block.visible, self.max_per_step)
        # The FIFO holds the last `capacity` pushes: a position is in it if its push is that recent.
        half = (block.tokens.shape[1] if block.nominal is None else block.nominal) // 2
        capacity = half if self.buffer is None else self.buffer
        buffered = state.entry >= (state.pushed - capacity)[:, None]
        due = (block.step % self.stride == self.stride - 1)[:, None]
        suspect = top & flag & ~buffered & due
        left = _REMASKS_PER_POSITION * block.size - state.pushed
        place = rank(order, suspect)
        remask = suspect & (place < left[:, None])

        entry = torch.where(remask, state.pushed[:, None] + place, state.entry)
        memory = self.detector.remember(state.memory, block, pred, filled, remask)
        return BufferedState(state.pushed + remask.sum(-1), entry, memory), Edits(remask=remask, score=score)

    def max_remasks(self, block: Block) -> Tensor:
        return block.size * (_REMASKS_PER_POSITION if self.max_per_step else 0)

    def max_tokens(self, width: int) -> int:
        return 1 + _REMASKS_PER_POSITION * width


class GuardState(NamedTuple):
    held: Tensor  #: int64 ``[row, pos, turn]``, the tokens that stood at each position in this block, in their order
    turns: Tensor  #: int64 ``[row, pos]``, how many they are
    shut: Tensor  #: bool ``[row, pos]``, the position has returned to a token and is not edited again
    inner: Any  #: the edit rule's state


@dataclass(frozen=True, config=STRICT)
class Guard(Edit):
    """Any edit rule, guarded against oscillation: a position that returns to a token it held before is left alone.

    Two positions may swap a wording back and forth as long as they are looked at. Once a fill or a replacement
    gives a position a token that stood there before in this block, the edit rule sees that position as given text
    until the block is done. Ours; no paper prints it.

    Args:
        edit: the rule that is guarded, or its dump.

    Raises:
        ValueError: an unknown rule or option, or an option out of range.

    Example:
        >>> guarded = Guard(Replace(0.5))
        >>> read(guarded.model_dump()) == guarded
        True

    It costs one token of memory for each time a position can change: a block of n positions keeps about n² of them.
    """

    rule: ClassVar[str] = "guard"
    edit: Annotated[Edit, BeforeValidator(lambda value: read(value))]

    @property
    def needs(self) -> frozenset[str]:
        return self.edit.needs

    @property
    def reason(self) -> str | None:
        return self.edit.reason

    @property
    def post_steps(self) -> int:
        return self.edit.post_steps

    def init(self, block: Block) -> GuardState:
        turns = self.max_tokens(block.tokens.shape[1]) + 1  # the first is what stands there on entering the block
        held = block.tokens[..., None].expand(-1, -1, turns).clone()
        return GuardState(held, torch.ones_like(block.tokens), torch.zeros_like(block.editable), self.edit.init(block))

    def step(self, state: GuardState, block: Block, pred: Prediction, filled: Tensor) -> tuple[GuardState, Edits]:
        open_block = block._replace(editable=block.editable & ~state.shut)
        inner, edits = self.edit.step(state.inner, open_block, pred, filled)
        placed = filled if edits.replace is None else filled | edits.replace
        known = (state.held == pred.token[..., None]).any(-1)
        new = placed & ~known
        # unused turns repeat the first token, which is known anyway
        turn = torch.where(new, state.turns.clamp(max=state.held.shape[-1] - 1), 0)[..., None]
        held = state.held.scatter(-1, turn, torch.where(new, pred.token, state.held[..., 0])[..., None])
        return GuardState(held, state.turns + new, state.shut | (placed & known), inner), edits

    def max_remasks(self, block: Block) -> Tensor:
        return self.edit.max_remasks(block)

    def max_tokens(self, width: int) -> int:
        return self.edit.max_tokens(width)


def read(value: Any) -> Any:
    """Makes an edit rule from its dump."""
    return from_dump("edit rule", (Keep, Replace, Remask, BufferedRemask, Guard), value)
