r"""Finding the final answer in a model's text. Every function reads the text once, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*+\{|\\.|[{}]", re.DOTALL)
# Thousands in groups of three, or plain digits, or a bare fraction. The quantifiers give nothing back.
_NUMBER = re.compile(
    r"(?<![0-9.])(?P<sign>(?<![\w)\]}])[-\u2212]\s?+)?(?:\\?\$)?(?P<money>(?<=\$)[-\u2212])?"
    r"(?P<digits>(?:[0-9]{1,3}+(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?+|\.[0-9]++)"
)
_TEX_COMMA = re.compile(r"(?<=[0-9])(?:\{,\}|\\[,!;: ])(?=[0-9])")
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
    parts = (part.partition("</answer>")[0].strip() for part in reversed(text.split("<answer>")[1:]))
    return next((part for part in parts if part not in _EMPTY), None)


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


def numbers(text: str) -> Iterator[str]:
    r"""Every number of the text in plain form: no dollar signs, no commas between thousands, no plus sign.

    A minus after a letter, a digit or a closing bracket is an operator, not a sign.

    Example:
        >>> list(numbers(r"7 - 5-3, -$1,234.50, $-2, 70{,}000 and .5"))
        ['7', '5', '3', '-1234.50', '-2', '70000', '.5']
    """
    for found in _NUMBER.finditer(_TEX_COMMA.sub("", text)):
        sign = found["sign"] or ""
        before = found.string[: found.start()].rstrip()[-1:] if sign.endswith(" ") else ""
        minus = "-" if found["money"] or (sign and not (before.isalnum() or before in tuple(")]}"))) else ""
        yield minus + found["digits"].replace(",", "")


def last_number(text: str) -> str | None:
    """The last number of the text; None: there is none.

    Example:
        >>> last_number("She pays 3 * 6 = $18.")
        '18'
    """
    last = None
    for last in numbers(text):  # noqa: B007
        pass
    return last


def same_number(first: str | None, second: str) -> bool:
    """Whether both are numbers of exactly the same value, whatever their length.

    Example:
        >>> same_number("18.00", "18"), same_number("18.01", "18"), same_number(None, "18")
        (True, False, False)
    """
    try:
        return first is not None and Decimal(first) == Decimal(second)
    except InvalidOperation:
        return False
