"""A batch that somebody else drives, forward by forward: for rows that come and go, as in a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from dlmsample.decoding import arguments
from dlmsample.decoding.answers import Decoded, answer_of, until_eos
from dlmsample.decoding.batch import RunningBatch, RunningRow
from dlmsample.decoding.request import Extent, Request
from dlmsample.decoding.sampler import Sampler
from dlmsample.models.text.chat import Chat, Prompt
from dlmsample.types import Answer, Draft, Event


class LiveBatches:
    """Opens batches for the rows of one sampler; they give what :meth:`Sampler.generate` gives.

    Args:
        sampler: what is the same for all rows.
        longest: positions of a canvas, at most.
        new_tokens: answer positions of a canvas; decides the width of its block with ``block_length="all"``.
        alternatives: whether recorded events have entropy and the most probable tokens.

    Example:
        >>> import dlmsample as ds
        >>> from dlmsample.decoding.request import Request
        >>> sampler = ds.Sampler(ds.load("nano"), ds.Unmask(tokens_per_step=8))
        >>> with LiveBatches(sampler, 64, 16).open() as batch:
        ...     batch.admit([Request(0, [5, 6, *[sampler.model.mask_id] * 16], key=1)])
        ...     done = [batch.forward(), batch.forward()]
        >>> [[number for number, _ in rows] for rows in done]
        [[], [0]]
    """

    def __init__(self, sampler: Sampler, longest: int, new_tokens: int, alternatives: bool = False) -> None:
        if sampler.grow is not None:
            raise ValueError(
                "answers that grow are not looked on at: take Sampler.generate or stream, or leave grow out"
            )
        self.sampler = sampler
        self._config = sampler.config(record="alternatives" if alternatives else False)
        width = new_tokens if isinstance(sampler.block_length, str) else sampler.block_length
        self._extent = Extent(width, longest)
        self._pool = sampler._pool  # forwards that its other calls captured do here, too

    @contextmanager
    def open(self, rows: int | None = None) -> Iterator[RunningBatch]:
        """A batch without rows, of at most so many of them; None: ``batch_size``, whose memory it then takes."""
        with self._pool.slots(self._config, rows or self.sampler.batch_size, self._extent) as slots:
            yield RunningBatch(slots, ahead=False)


def watch(
    sampler: Sampler,
    prompts: Prompt | Sequence[Prompt],
    max_new_tokens: int = 128,
    seed: int | Sequence[int] = 0,
    every: Literal["step", "block"] = "step",
    *,
    chat: Chat = None,
    template_args: Mapping[str, Any] | None = None,
    stop: Sequence[str] | None = None,
) -> Iterator[Draft]:
    """Look on while answers are decoded; they are those of :meth:`Sampler.generate`, and so are the arguments.

    Prompts are decoded ``batch_size`` at a time. Each forward is looked at before the next one begins, so that on a
    GPU watching is slower than ``generate``.

    Args:
        sampler: what decodes.
        prompts: texts, chats or lists of ids; or one of these.
        max_new_tokens: answer positions of the canvas.
        seed: of all randomness.
        every: a draft of each row after every forward ("step"), or when one of its blocks is finished ("block").
        chat: as in :meth:`Sampler.generate`, and so is what follows.

    Returns:
        :class:`~dlmsample.types.Draft` by draft; those of several prompts alternate. The last one of a prompt has its
        ``answer``.

    Raises:
        ValueError: as :meth:`Sampler.generate`; another ``every``; no Sampler.

    Example:
        >>> import dlmsample as ds
        >>> sampler = ds.Sampler(ds.load("nano"), ds.Unmask(tokens_per_step=8))
        >>> drafts = list(watch(sampler, "Ann had 3 pens and bought 2 more. How many pens does Ann have?", 64))
        >>> [sum(token == sampler.model.mask_id for token in draft.tokens) for draft in drafts[:3]]
        [56, 48, 40]
        >>> drafts[-1].answer.text.split()[-1]
        '5'
    """
    if not isinstance(sampler, Sampler):
        raise ValueError(
            f"watch takes a Sampler, not {sampler!r}: dlmsample.watch(dlmsample.Sampler('nano', 't2m'), ...)"
        )
    if every not in ("step", "block"):
        raise ValueError(f'every is "step" or "block", not {every!r}')
    model = sampler.model
    stops = arguments.read_stops(model, stop)
    rows = arguments.encode_prompts(model, prompts, chat, template_args, max_new_tokens, seed)
    requests = [
        Request(number, ids, key, stops, True)
        for number, (ids, key) in enumerate(zip(rows.ids, rows.keys, strict=True))
    ]
    size = 1 if model.interface.equal_lengths else sampler.batch_size

    batches = LiveBatches(sampler, max(map(len, rows.ids), default=0), rows.new)

    def drafts() -> Iterator[Draft]:
        for first in range(0, len(requests), size):
            some = requests[first : first + size]
            with batches.open(len(some)) as batch:
                batch.admit(some)
                yield from _watched(sampler, batch, rows.starts, rows.new, every == "block")

    return drafts()


@dataclass(eq=False)
class _Watched:
    """What was told of a row so far."""

    tokens: list[int]
    confidence: list[float | None]
    forwards: int = 0
    turn: int = 0  #: which of its blocks it was at when the last draft was told
    events: list[Event] = field(default_factory=list)  #: since then


def _watched(
    sampler: Sampler, batch: RunningBatch, starts: Sequence[int], new: int, whole_blocks: bool
) -> Iterator[Draft]:
    """The drafts of one batch."""
    mask_id = sampler.model.mask_id
    seen = {row.request.number: _Watched([mask_id] * new, [None] * new) for row in batch.live}
    while rows := batch.live:
        done = dict(batch.forward())
        for row in rows:
            number = row.request.number
            _look(seen[number], batch, row)
            if number in done or not whole_blocks or row.turn > seen[number].turn:
                yield _draft(sampler, seen[number], row, starts[number], done.get(number))
        batch.close_up()


def _look(seen: _Watched, batch: RunningBatch, row: RunningRow) -> None:
    """Take in what the latest forward changed in a row."""
    changed, mask_id = batch.latest(row), batch.slots.config.settings.mask_id
    for event in changed:
        seen.tokens[event.position] = event.new
    tick, at = row.ticks[-1]
    stays = (tick.after[at] == tick.before[at]) & (tick.after[at] != mask_id)
    confidence = torch.where(stays, tick.current_prob[at], tick.prob[at]).tolist()
    first = int(tick.start[at]) - row.answer  # of the block, counted from the answer's first position
    low, high = max(first, 0), min(first + len(confidence), len(seen.tokens))
    seen.confidence[low:high] = confidence[low - first : high - first]
    seen.forwards += 1
    seen.events += changed


def _draft(sampler: Sampler, seen: _Watched, row: RunningRow, before: int, result: Decoded | None) -> Draft:
    """What there is to tell of a row, which from then on was told."""
    model, new = sampler.model, len(seen.tokens)
    answer, number = None, row.request.number
    if result is None:
        settled = max(row.starts[row.turn] - row.answer, 0)
        ids = until_eos(seen.tokens[:settled], model.eos_ids)
        text = None if model.tokenizer is None else model.decode(ids)
    else:
        settled = new
        tokens, text = answer_of(model, result, before, new)
        answer = Answer(number, tokens, text, result.stats(len(tokens)), list(result.events), sampler.cache)
    changed, seen.events, seen.turn = seen.events, [], row.turn
    return Draft(number, seen.forwards, [*seen.tokens], settled, text, [*seen.confidence], changed, answer)
