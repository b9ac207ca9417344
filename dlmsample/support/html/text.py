"""Untrusted text for a page: nothing invisible, nothing endless."""

from __future__ import annotations

import re

# Controls (all but newline and tab), marks that reorder or hide text, surrogates and what no document may hold.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def printable(text: str, limit: int | None = None) -> str:
    r"""The text with what does not show written as an escape; past ``limit`` characters, how many are left out.

    Example:
        >>> printable("a\x1b[2J"), printable("abcdef", 4)
        ('a\\x1b[2J', 'abcd … (2 characters more)')
    """
    cut = text if limit is None else text[:limit]
    more = f" … ({len(text) - len(cut)} characters more)" if len(cut) < len(text) else ""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), cut) + more


def short(text: str, length: int) -> str:
    """At most ``length`` characters, the middle left out: beginnings and ends tell labels apart.

    Example:
        >>> short("t2m(threshold=0.25)", 12)
        't2m(t…=0.25)'
    """
    if len(text) <= length:
        return text
    tail = length // 2
    return text[: length - tail - 1] + "…" + text[-tail:]
