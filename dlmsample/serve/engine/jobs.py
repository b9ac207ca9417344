"""What the engine is asked for, and what it tells while it decodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dlmsample.decoding.answers import Stops
from dlmsample.decoding.arguments import EncodedPrompt
from dlmsample.decoding.request import Request
from dlmsample.decoding.sampler import Sampler
from dlmsample.types import Answer, Event


class GroupKey(NamedTuple):
    """What rows of one batch have in common."""

    model: str
    policy: str  #: name and all options
    block_length: int | str
    temperature: float
    top_p: float
    top_k: int | None
    new_tokens: int | None  #: where the whole answer is one block, its length
    drafts: bool  #: their events have alternatives


class BlocksDone(NamedTuple):
    """More blocks of an answer are finished: text that nothing will change any more."""

    text: str


class Drafted(NamedTuple):
    """What one forward changed in a block that is not finished."""

    events: list[Event]


class Completed(NamedTuple):
    """An answer is complete."""

    text: str  #: what no :class:`BlocksDone` has told yet
    answer: Answer


class Failed(NamedTuple):
    """An answer cannot be given any more; the server is to blame."""

    why: str


EngineEvent = BlocksDone | Drafted | Completed | Failed


@dataclass(eq=False)
class Job:
    """One answer to decode.

    Args:
        model: name of the served checkpoint.
        sampler: policy and options.
        prompt: its ids, and those that follow the answer.
        new_tokens: answer positions.
        key: of its randomness, see :class:`dlmsample.decoding.arguments.RowKeys`.
        stops: strings that end it.
        tell: called on the engine's thread with every event; must not block or raise.
        blocks: tell finished blocks one by one.
        drafts: tell what every forward changes.
        record: keep every event in the answer's ``trace``.
    """

    model: str
    sampler: Sampler
    prompt: EncodedPrompt
    new_tokens: int
    key: int
    stops: Stops
    tell: Callable[[EngineEvent], None]
    blocks: bool = False
    drafts: bool = False
    record: bool = False
    number: int = field(default=-1, init=False)  #: given by the engine, in the order of arrival
    since: float = field(default=0.0, init=False)  #: when the engine got it, ``time.monotonic()``
    cancelled: bool = field(default=False, init=False)

    @property
    def group(self) -> GroupKey:
        """Which jobs it can share a batch with."""
        sampler, whole = self.sampler, self.sampler.block_length == "all"
        return GroupKey(
            self.model,
            f"{sampler.policy.name} {sampler.policy.model_dump_json()}",
            sampler.block_length,
            sampler.temperature,
            sampler.top_p,
            sampler.top_k,
            self.new_tokens if whole else None,
            self.drafts,
        )

    def request(self) -> Request:
        """What the decoding loop takes."""
        canvas = self.prompt.canvas([self.sampler.model.mask_id] * self.new_tokens)
        return Request(self.number, canvas, self.key, self.stops, self.record or self.drafts)
