r"""Untrusted text made fit for a terminal, a page or one line.

This module stands for ``dlmsample.support.text``, which must offer the same four functions:

* ``printable(text, limit=None)``: what does not show is written as an escape; past ``limit``, how much is left out.
* ``visible(text)``: ``printable`` without a limit, for terminals.
* ``one_line(error_or_text, limit=None)``: ``visible``, with every run of white space made one space.
* ``short(text, length)``: at most ``length`` characters, the middle left out.

"What does not show" is one set for all: C0 and C1 controls but newline and tab, every mark that reorders, hides or has
no width, U+2028, U+2029, surrogates and non-characters. Then these lines become one import.
"""

from __future__ import annotations

from dlmsample.support.html.text import printable, short

__all__ = ["one_line", "printable", "short", "visible"]


def visible(text: str) -> str:
    r"""The text with control and bidirectional characters (all but newline and tab) written as escapes.

    Example:
        >>> visible("a\x1b[2Jb"), visible("1\u202e2")
        ('a\\x1b[2Jb', '1\\u202e2')
    """
    return printable(text)


def one_line(text: object, limit: int | None = None) -> str:
    """All of a message on one line.

    Example:
        >>> one_line(ValueError("no such\\n  file"))
        'no such file'
    """
    return printable(" ".join(str(text).split()), limit)
