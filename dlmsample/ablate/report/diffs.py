"""Two texts beside each other, word by word: what each holds that the other does not."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


class DiffPart(NamedTuple):
    """A part of a text."""

    text: str
    own: bool  #: the other text does not hold it there


def word_diff(before: str, after: str) -> tuple[list[DiffPart], list[DiffPart]]:
    """Both texts in pieces; joined, the pieces of each are the text.

    Words are runs of letters and digits, and every other sign for itself, with the blanks behind them. The library's
    longest matching runs decide (:class:`difflib.SequenceMatcher`, its heuristic for long texts included).

    Example:
        >>> before, after = word_diff("3 + 4 = 7", "3 + 4 = 8")
        >>> before, after[-1]
        ([DiffPart(text='3 + 4 = ', own=False), DiffPart(text='7', own=True)], DiffPart(text='8', own=True))
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    left: list[DiffPart] = []
    right: list[DiffPart] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        for pieces, words in ((left, old[a:b]), (right, new[c:d])):
            if words:
                pieces.append(DiffPart("".join(words), tag != "equal"))
    return left, right
