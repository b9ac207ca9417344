"""Where an answer ends: before its first EOS, before its first stop string."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple


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
