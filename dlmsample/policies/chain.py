"""Chains: any fill rule with any edit rule, as one policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import BeforeValidator, ConfigDict, field_serializer
from torch import Tensor

from dlmsample.policies import edit as edits
from dlmsample.policies import fill as fills
from dlmsample.policies.base import Policy
from dlmsample.policies.edit import Edit, Keep
from dlmsample.policies.fill import Fill
from dlmsample.policies.piece import Piece
from dlmsample.types import Block, Prediction, Update


class ChainState(NamedTuple):
    post: Tensor  #: int64 ``[row]``, forwards of this block that saw it free of masks
    edit: Any  #: the edit rule's state


class Chain(Policy):
    """One step: fill masked positions by one rule and, from the same forward, revise visible tokens by another.

    Made by :func:`chain`. The edit sees the canvas that the forward saw, so that no token is placed and revised in
    one step. A block is done when it is full and, if the edit rule asks for it, examined once more without an edit
    (:func:`dlmsample.policies.edit.settled`).

    Args:
        fill: an object of :mod:`dlmsample.policies.fill`, or its dump.
        edit: an object of :mod:`dlmsample.policies.edit`, or its dump.

    Raises:
        ValueError: an unknown rule or option, or an option out of range.

    Example:
        >>> from dlmsample.policies.registry import policy
        >>> pair = Chain(fill=fills.Quota(2), edit=edits.Replace(0.9))
        >>> policy("chain", **pair.model_dump()) == pair
        True

    A piece of your own is given as an object; it has no name to be read back by.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: ClassVar[str] = "chain"
    summary: ClassVar[str] = "any fill rule with any edit rule"
    paper: ClassVar[str] = ""
    files: ClassVar[frozenset[str]] = frozenset({"frequencies"})  # of the piece "calibrated"

    fill: Annotated[
        Fill, BeforeValidator(lambda given: fills.read(given) if isinstance(given, (Mapping, str)) else given)
    ]
    edit: Annotated[
        Edit, BeforeValidator(lambda given: edits.read(given) if isinstance(given, (Mapping, str)) else given)
    ] = Keep()

    @field_serializer("fill", "edit")
    def _dump(self, piece: Piece) -> dict[str, Any]:
        return piece.model_dump()

    @cached_property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return self.fill.needs | self.edit.needs

    @cached_property
    def reasons(self) -> tuple[str, ...]:  # type: ignore[override]
        return () if self.edit.reason is None else (self.edit.reason,)

    @cached_property
    def post_steps(self) -> int:
        """Forwards of a block that may see it free of masks."""
        return self.edit.post_steps

    def table(self) -> Tensor | None:
        return self.fill.table()

    def model_post_init(self, context: Any, /) -> None:
        _ = self.needs, self.post_steps  # made once, here, so that a compiled step finds them made

    def init(self, block: Block) -> ChainState:
        return ChainState(torch.zeros_like(block.step), self.edit.init(block))

    def step(self, state: ChainState, block: Block, pred: Prediction) -> tuple[ChainState, Update]:
        filled = self.fill.choose(block, pred)
        own, post, update = self.edit.revise(state.edit, state.post, self.post_steps, block, pred, filled)
        return ChainState(post, own), update

    def max_steps(self, block: Block) -> Tensor:
        """The fill's own bound, one step for every token that the edit may take back, and the looks at a full block.

        A step that sees a mask brings the block nearer to full by one of the fill's steps, and a token that is reset
        to mask costs one such step at most; ``post_steps`` bounds the other steps.
        """
        return self.fill.max_steps(block) + self.edit.max_remasks(block) + self.post_steps


def chain(fill: Fill, edit: Edit | None = None) -> Chain:
    """A policy from a fill rule and an edit rule; any of the one goes with any of the other.

    ========================  ==============================================================================
    ``ds.fill``               ``Quota``, ``Steps``, ``Threshold``, ``EntropyBound``
    ``ds.edit``               ``Keep``, ``Replace``, ``Remask(detector)``, ``BufferedRemask(detector)``, ``Guard(edit)``
    ``ds.detect``             ``LowProb``, ``T2TRemask``, ``LogitDiff``, ``Head``, ``Random``
    ========================  ==============================================================================

    Args:
        fill: which masked positions become tokens at a step.
        edit: which visible tokens are revised at the same step; None: none, as in Unmask.

    Raises:
        ValueError: not a fill rule, or not an edit rule.

    The named policies are such chains, T2M for one:

        >>> import dlmsample as ds
        >>> remask = ds.edit.Remask(ds.detect.LowProb(0.3), max_per_position=1, max_share=0.25)
        >>> ds.chain(ds.fill.Threshold(0.7), remask) == ds.T2M().chain
        True

    And these have no name: a budget of steps with token replacement; the entropy bound with remasking by the largest
    drop in probability; a quota by margin with a correction head under T2M's caps.

        >>> replacing = ds.chain(ds.fill.Steps(40), ds.edit.Replace(0.9))
        >>> bounded = ds.chain(ds.fill.EntropyBound(0.5), ds.edit.Remask(ds.detect.LogitDiff()))
        >>> headed = ds.chain(ds.fill.Quota(2, score="margin"), ds.edit.Remask(ds.detect.Head(0.1)))
        >>> sorted(headed.needs)
        ['error', 'margin']
        >>> out = ds.Sampler(ds.load("nano"), bounded).generate(["Tom has 3 pens and buys 2."], max_new_tokens=32)
        >>> out.stats[0].forced
        False

    A chain is stored by its dump, as every policy is:

        >>> ds.policy("chain", **replacing.model_dump()) == replacing
        True
    """
    return Chain(fill=fill) if edit is None else Chain(fill=fill, edit=edit)


class NamedChain(Policy, ABC):
    """A policy with options of its own that decodes as a chain: subclass it and give ``compose``."""

    @abstractmethod
    def compose(self) -> Chain:
        """The chain that these options stand for."""

    @cached_property
    def chain(self) -> Chain:
        """The same policy as a chain of pieces."""
        return self.compose()

    def model_post_init(self, context: Any, /) -> None:
        self.chain  # noqa: B018  made once, here, so that a compiled step finds it made

    @property
    def needs(self) -> frozenset[str]:
        return self.chain.needs

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.chain.reasons

    def table(self) -> Tensor | None:
        return self.chain.table()

    def init(self, block: Block) -> ChainState:
        return self.chain.init(block)

    def step(self, state: ChainState, block: Block, pred: Prediction) -> tuple[ChainState, Update]:
        return self.chain.step(state, block, pred)

    def max_steps(self, block: Block) -> Tensor:
        return self.chain.max_steps(block)
