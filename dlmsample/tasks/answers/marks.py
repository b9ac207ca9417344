r"""Finding the final answer in a model's text. Every function reads the text once, whatever it holds."""

from __future__ import annotations

import re

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*+\{|\\.|[{}]", re.DOTALL)
_OPENED, _CLOSED = (re.compile(tag, re.IGNORECASE) for tag in ("<answer>", "</answer>"))
_PHRASE = re.compile(r"\banswer(?:\s{0,3}+is\b|\s?:)\s{0,3}+:?", re.IGNORECASE)


def boxed(text: str) -> list[str]:
    r"""What stands in each complete ``\boxed{...}`` (or ``\fbox{...}``), in the order in which they open.

    Example:
        >>> boxed(r"first \boxed{1}, then \boxed{\frac{1}{2}} and \boxed{cut")
        ['1', '\\frac{1}{2}']
    """
    opened: list[tuple[int, bool]] = []
    found: list[tuple[int, int]] = []
    for token in _BRACES.finditer(text):
        mark = token[0]
        if mark == "}":
            if opened:
                start, is_box = opened.pop()
                if is_box:
                    found.append((start, token.start()))
        elif mark.endswith("{") and mark != r"\{":
            opened.append((token.end(), mark != "{"))
    return [text[start:end] for start, end in sorted(found)]


def last_boxed(text: str) -> str | None:
    r"""The content of the last complete ``\boxed{...}`` that is more than dots and spaces; None: there is none.

    Example:
        >>> last_boxed(r"\boxed{7} as asked for: \boxed{...}")
        '7'
    """
    return next((box.strip() for box in reversed(boxed(text)) if box.strip(" .\n\t")), None)


_EMPTY = ("", "...", r"\boxed{}", r"\boxed{...}")


def answer_tag(text: str) -> str | None:
    """What stands in the last ``<answer>...</answer>`` that is not empty; one never closed reaches to the end.

    None: there is no such tag, or nothing but dots or an empty box in any.

    Example:
        >>> answer_tag("<answer>1</answer> no, <answer> 2 </answer>")
        '2'
    """
    parts = (_CLOSED.split(part, maxsplit=1)[0].strip() for part in reversed(_OPENED.split(text)[1:]))
    return next((part for part in parts if part not in _EMPTY), None)


def marked_answer(text: str) -> str | None:
    r"""What a text marks as its answer where the prompt asks for ``<answer>``: that tag, whatever follows it, else the
    last ``\boxed{}``; of a tag with a box in it, the box. None: there is neither.

    Example:
        >>> marked_answer(r"\boxed{1} <answer>so \boxed{2}</answer> since \boxed{3}"), marked_answer(r"\boxed{4}")
        ('2', '4')
    """
    tag = answer_tag(text)
    return (last_boxed(tag) or tag) if tag else last_boxed(text)


def after_phrase(text: str) -> str | None:
    """The rest of the line after the last "answer is" or "answer:" that something follows; None: there is none.

    Example:
        >>> after_phrase("So the answer is: Paris.\\nGoodbye")
        'Paris.'
    """
    rests = (text[m.end() :].lstrip().partition("\n")[0] for m in _last(_PHRASE, text, 3))
    return next((rest.strip() for rest in rests if rest.strip()), None)


def _last(pattern: re.Pattern[str], text: str, count: int) -> list[re.Match[str]]:
    """The last ``count`` matches, the last first."""
    return list(pattern.finditer(text))[: -count - 1 : -1]
