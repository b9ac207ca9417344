r"""Numbers that name their base, such as ``52_8``: math-verify reads them as 52."""

from __future__ import annotations

import re

_WORDS = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
)
_BASES = {word: base for base, word in enumerate(_WORDS, 2)} | {str(base): base for base in range(2, 37)}
_FONT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|rm|bf)(?![A-Za-z])|\\[,!;: ]|[${}]")
_NUMBER = r"\(?\s?([0-9][0-9A-Za-z]{0,99})\s?\)?\s?"
_BASED = re.compile(rf"{_NUMBER}(?:_\s?|\(?\s?(?:in )?base[\s-])\s?\(?\s?([0-9a-z]{{1,8}})\s?\)?\s?\.?", re.IGNORECASE)
_ANYWHERE = re.compile(r"(?<![\w.])[0-9][0-9A-Z]{0,99}\s?_\s?(?:[0-9]{1,2}|\{[^{}]{1,20}\}{1,2})")


def based(number: str) -> tuple[str, int] | None:
    r"""The digits (without leading zeros) and the base of a number that names its base; None: it is no such number.

    Example:
        >>> based("52_8"), based(r"4210_{\text{five}}"), based(r"52 \text{ (base 8)}"), based("52"), based("x_8")
        (('52', 8), ('4210', 5), ('52', 8), None, None)
    """
    if "_" not in number and "base" not in number.lower():
        return None
    found = _BASED.fullmatch(" ".join(_FONT.sub("", number).split()))
    base = _BASES.get(found[2].lower()) if found else None
    return None if found is None or base is None else (found[1].upper().lstrip("0") or "0", base)


def last_based(text: str) -> tuple[str, int] | None:
    """The last number of a text that names its base by a subscript; None: there is none.

    Example:
        >>> last_based("so $58_9 - 18_9 = 40_9$.")
        ('40', 9)
    """
    return next((number for found in reversed(_ANYWHERE.findall(text)) if (number := based(found))), None)


def in_decimal(digits: str, base: int) -> int | None:
    """The value of digits in a base; None: the base has no such digit.

    Example:
        >>> in_decimal("52", 8), in_decimal("52", 3)
        (42, None)
    """
    try:
        return int(digits, base)
    except ValueError:
        return None
