"""Fenced blocks of code in Markdown, by the CommonMark rules and by what models make of them."""

from __future__ import annotations

import re
from itertools import islice
from textwrap import dedent

from markdown_it import MarkdownIt
from markdown_it.token import Token

from dlmsample.tasks.answers.python import parses

# Models put an opening fence on the line after an <answer> tag or behind a word: neither HTML nor inline text matters.
_MARKDOWN = MarkdownIt("commonmark").disable(["inline", "html_block", "reference"])
_OPENS_BEHIND_TEXT = re.compile(r"(?<!`)(`{3,})[ \t]*[\w.+#-]*[ \t]*$")
_CLOSES = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*$")
_PYTHON = ("", "python", "py", "python3", "py3", "ipython", "ipython3", "pycon")
_TRIES = 8
"""How many fences of a text are given another reading than CommonMark's: each costs one more look at the rest."""
_BLOCKS = 64
"""How many blocks of a text are looked at."""


def fenced(text: str) -> list[str]:
    """The contents of the fenced blocks that may be Python, in order, by the CommonMark rules (markdown-it).

    So a fence has three or more backticks or tildes, ends with as many, may stand in a list, and one that is never
    closed reaches to the end. Beyond the rules: a fence of backticks may open behind text on its line; and where what
    it holds is no Python, because a docstring holds a fence, it goes on to the closing fence with which it is.

    Example:
        >>> fenced("Sure: ```python\\nx = 1\\n```\\n1. and\\n   ~~~~\\n   y = 2")
        ['x = 1\\n', 'y = 2']
    """
    found: list[str] = []
    lines = re.split(r"\r\n?|\n", text)
    for tries in reversed(range(_TRIES + 1)):
        rest = _read(lines, found, tries)
        if rest is None:
            break
        lines = lines[rest:]
    return found


def _read(lines: list[str], found: list[str], tries: int) -> int | None:
    """Add the blocks of the lines; a number: up to the first one that is not CommonMark's, and the line after it.

    With ``tries`` 0 there are only CommonMark's.
    """
    for token in _MARKDOWN.parse("\n".join(lines)):
        if len(found) >= _BLOCKS:
            return None
        if token.map is None:
            continue
        start, end = token.map
        if token.type == "fence" and _python(token):
            longer = None if not tries or parses(token.content) else _longer(lines, start, end)
            if longer is not None:
                found.append(_inside(lines, start, longer))
                return longer + 1
            found.append(token.content)
        elif tries and token.type in ("inline", "code_block"):
            opening = next((at for at in range(start, min(end, len(lines))) if _opens(lines[at])), None)
            if opening is not None:
                closing = next((at for at in range(opening + 1, len(lines)) if _CLOSES.match(lines[at])), len(lines))
                found.append(_inside(lines, opening, closing))
                return closing + 1
    return None


def _python(token: Token) -> bool:
    return (token.info.split() or [""])[0].strip("{}.").lower() in _PYTHON


def _opens(line: str) -> bool:
    """A fence at the end of a line opens a block unless it closes code that began on the same line."""
    return _OPENS_BEHIND_TEXT.search(line) is not None and len(re.findall("`{3,}", line)) % 2 == 1


def _inside(lines: list[str], opening: int, closing: int) -> str:
    return dedent("".join(line + "\n" for line in lines[opening + 1 : closing]))


def _longer(lines: list[str], start: int, end: int) -> int | None:
    """The closing fence after ``end`` with which the block of ``start`` is Python; None: there is none."""
    closings = islice((at for at in range(end, len(lines)) if _CLOSES.match(lines[at])), _TRIES)
    return next((at for at in closings if parses(_inside(lines, start, at))), None)
