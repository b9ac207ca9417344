"""Where an answer ends, before its first EOS or stop string, and what a caller gets of decoded rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dlmsample.decoding.step import Counts
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.splice import splice
from dlmsample.models.template import Template
from dlmsample.types import CacheKind, Event, Output, RowStats


def until_eos(answer: Sequence[int], eos_ids: Sequence[int]) -> list[int]:
    """The ids before the first EOS.

    Example:
        >>> until_eos([5, 6, 1, 7], [1])
        [5, 6]
    """
    return list(answer[: next((i for i, token in enumerate(answer) if token in eos_ids), len(answer))])


def texts(stop: Any) -> tuple[str, ...]:
    """Stop strings as a caller gives them.

    Raises:
        ValueError: a single text instead of a list, what is no list of texts, or an empty string.

    Example:
        >>> texts(5)
        Traceback (most recent call last):
        ValueError: stop is a list of texts like ["####"], not 5
    """
    if isinstance(stop, (str, bytes)):
        raise ValueError("stop is a list of texts: wrap a single one in [ ]")
    strings = tuple(stop) if isinstance(stop, Iterable) else (stop,)
    if wrong := [s for s in strings if not isinstance(s, str)]:
        raise ValueError(f'stop is a list of texts like ["####"], not {wrong[0]!r:.40}')
    if "" in strings:
        raise ValueError("a stop string is empty: give some text, or leave it out")
    return strings


class Cut(NamedTuple):
    """An answer before its stop string."""

    tokens: int  #: up to and including the one in which the text ends
    text: str


class Stops:
    """Looks for stop strings in the text of finished blocks; text only, so it costs nothing within a step.

    Args:
        strings: what ends an answer; the one that begins first counts.
        decode: ids to the text that ``texts`` shows, special tokens left out.
        eos_ids: what follows one of them is no answer.

    Raises:
        ValueError: a single text instead of a list, what is no list of texts, or an empty string.

    Example:
        >>> stops = Stops([";"], lambda ids: "".join(map(chr, ids)), [1])
        >>> stops.cut([ord(c) for c in "a+b; c"])
        Cut(tokens=3, text='a+b')
    """

    def __init__(self, strings: Sequence[str], decode: Callable[[Sequence[int]], str], eos_ids: Sequence[int]) -> None:
        self.strings, self._decode, self._eos_ids = texts(strings), decode, eos_ids

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.strings)

    def cut(self, answer: Sequence[int]) -> Cut | None:
        """The answer before the first stop string in it; None: there is none before the first EOS."""
        ids = until_eos(answer, self._eos_ids)
        text = self._decode(ids)
        found = [at for s in self.strings if (at := text.find(s)) >= 0]
        if not found:
            return None
        before = text[: min(found)]
        # the fewest tokens whose text begins with all of it; a token may hold the end of the text and the stop string
        count = bisect_left(range(len(ids)), True, key=lambda n: self._decode(ids[:n]).startswith(before))
        return Cut(count, before)


class Decoded(NamedTuple):
    """One row when it is finished; ``counts`` is None where there was nothing to decode."""

    canvas: list[int]  #: all of it, with the masks that an early end left behind
    counts: Sequence[int] | None = None  #: in the order of :class:`~dlmsample.decoding.step.Counts`
    prefill: int = 0
    events: Sequence[Event] = ()
    cut: Cut | None = None  #: the answer before a stop string
    unused: int = 0  #: answer positions that it did not come to have, where answers grow

    def stats(self, tokens: int) -> RowStats:
        """Its statistics, given how many tokens of output it has."""
        counts = (0,) * len(Counts._fields) if self.counts is None else self.counts
        steps, nfe, fills, replaces, remasks, forced, eos = counts
        return RowStats(
            steps=steps,
            nfe=nfe,
            prefill=self.prefill,
            tokens=tokens,
            fills=fills,
            replaces=replaces,
            remasks=remasks,
            edits_per_100=100 * (replaces + remasks) / max(tokens, 1),
            tokens_per_forward=tokens / max(nfe, 1),
            forced=bool(forced),
            finish_reason="stop" if self.cut is not None else "eos" if eos else "length",
        )


def answer_of(model: Denoiser, result: Decoded, prompt: int, new: int) -> tuple[list[int], str | None]:
    """Tokens and text of the ``new`` ones behind a prompt of so many tokens; the text is None without a tokenizer."""
    tokens = until_eos(result.canvas[prompt : prompt + new - result.unused], model.facts.eos_ids)
    if result.cut is not None:
        return tokens[: result.cut.tokens], result.cut.text
    return tokens, None if model.tokenizer is None else model.decode(tokens)


def _eos_of(model: Denoiser, result: Decoded, prompt: int, new: int) -> int | None:
    """The EOS that ended the answer; None: a stop string did, or nothing."""
    answer = result.canvas[prompt : prompt + new - result.unused]
    behind = answer[len(until_eos(answer, model.facts.eos_ids)) :]
    return behind[0] if behind and result.cut is None else None


def filled_of(model: Denoiser, given: Template, result: Decoded) -> tuple[list[int], str | None]:
    """The ids placed at the masks of a text, and the whole text; the text is None without a tokenizer."""
    places = [at for at, token in enumerate(given.ids) if token == model.mask_id]
    placed = [result.canvas[at] for at in places]
    if model.tokenizer is None:
        return placed, None
    if given.pieces is None or len(given.pieces) != len(places) + 1:  # ids, or a word that is the mask id
        return placed, model.decode(result.canvas)
    return placed, splice(model, given.pieces, result.canvas, places)


def generated(
    model: Denoiser, results: list[Decoded], starts: list[int], new: int, record: object, cache: CacheKind
) -> Output:
    """The output of ``generate``: of every row the ``new`` tokens from where its answer starts."""
    rows = [answer_of(model, result, start, new) for result, start in zip(results, starts, strict=True)]
    ended = [_eos_of(model, result, start, new) for result, start in zip(results, starts, strict=True)]
    return replace(_output(results, rows, record, cache), ended=ended)


def filled(model: Denoiser, results: list[Decoded], texts: list[Template], record: object, cache: CacheKind) -> Output:
    """The output of ``fill``: of every text what was placed at its masks."""
    rows = [filled_of(model, text, result) for text, result in zip(texts, results, strict=True)]
    return _output(results, rows, record, cache)


def _output(
    results: list[Decoded], rows: list[tuple[list[int], str | None]], record: object, cache: CacheKind
) -> Output:
    """Tokens and text of every row, statistics and, if recorded, events of the decoded rows."""
    texts = [text for _, text in rows if text is not None]
    return Output(
        tokens=[tokens for tokens, _ in rows],
        stats=[result.stats(len(tokens)) for result, (tokens, _) in zip(results, rows, strict=True)],
        trace=[list(result.events) for result in results] if record else None,
        decoded=texts if len(texts) == len(rows) else None,
        cache=cache,
    )
