"""Untrusted text made fit for a terminal or for one line."""

from __future__ import annotations

import re

# C0 and C1 controls except newline and tab, and the marks that reorder or hide text around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""The text with control characters (all but newline and tab) written as escapes.

    Example:
        >>> visible("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """All of a message on one line.

    Example:
        >>> one_line("no such\\n  file")
        'no such file'
    """
    return visible(" ".join(text.split()))
