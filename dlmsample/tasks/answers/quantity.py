r"""The exact value of what a text gives as a number: fractions, powers of ten, small sums; or nothing.

Two readings: where an answer is marked (a box, a tag), ``quantity`` reads the whole first expression; in running text
``last_quantity`` reads no operators but those inside a number: ``\frac{a}{b}``, ``a/b``, ``1.8e3`` and
``1.8 \times 10^{3}``.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import isqrt

LONGEST = 200
"""Characters of a marked answer; a longer one is a text, not a number."""
_DIGITS = 40
"""Digits of a number that takes part in an operation."""
_SHORT = 6
"""Digits of a number in running text that is raised to a power."""
_POWER = 64
"""The largest exponent."""

_SPACES = "\u00a0\u2007\u2009\u202f"
_THOUSANDS = re.compile(r"(?<![0-9.,])([0-9]{1,3})((?: [0-9]{3})+)(?![0-9])")
_TEX_SPACE = re.compile(rf"(?<=[0-9])(?:(?:\{{,\}}|\\[,!;: ]|[{_SPACES}])(?=[0-9])|['\u2019](?=[0-9]{{3}}(?![0-9])))")
_SMALL_DIGITS = re.compile("(?<=[0-9)}])([\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)")
_SMALL_BEHIND_DIGIT = re.compile(rf"(?<=[0-9]){_SMALL_DIGITS.pattern}")  # elsewhere in a text it may be a unit's
_TO_LARGE = str.maketrans("\u207a\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "+-0123456789")
_DECORATION = re.compile(
    r"\\(?:left|right|displaystyle|Large|large|bf)(?![A-Za-z])|\\[,!;:$]|\\(?=[ ])|[$€£¥]|__|~"
    r"|(?<![0-9)])\*\*|\*\*(?![0-9(])"  # bold type, not a power
)
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|mbox|emph|boxed|fbox)\s*\{([^{}]*)\}")
_UNIT = r"(?:circ|degree|quad|qquad|ldots|dots|%|\\|\(|\)|\[|\]|approx|therefore|implies|Rightarrow|to)"
_UNKNOWN = re.compile(rf"\\(?!{_UNIT})")
_NUMBER = re.compile(
    r"([0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(\.[0-9]+)?(?:[eE]([+-]?[0-9]{1,3})(?!\.?\w))?(?![0-9])"
)
_FRACTION = re.compile(r"\\[dtc]?frac\s*")
_PRODUCT = re.compile(r"\s*(\*(?!\*)|/|\\times|\\cdot|\\div|×|÷|·|x(?=\s*[0-9]))\s*")
_SIGN = re.compile(r"\s*([+\-\u2212])\s*")
_RAISED = re.compile(r"\s*\^\s*(?:\{\s*([+\-\u2212]?[0-9]{1,3})\s*\}|([0-9]))")
_ROOT = re.compile(r"\\sqrt\s*(?=\{)")
_BEFORE_FRACTION = re.compile(r"\s*(?=\\[dtc]?frac)")
_PART = re.compile(r" ([0-9]{1,3})/([0-9]{1,3})(?![0-9/.])")
_CLOSING = re.compile(r"\s*[)}]")
_OPENING = re.compile(r"(?=[0-9(\-\u2212+]|\.[0-9]|\\[dtc]?frac|\\sqrt)")
_GOES_ON = re.compile(rf"\s*(?:\^(?!\s*\{{?\s*\\(?:circ|degree))|\^\{{?\\circ\}}?\s*[A-Za-z]|!|\*\*|\\(?!{_UNIT}))|\(")

_PLAIN = r"[0-9][0-9,]*+(?:\.[0-9]++)?+"
_LAST = re.compile(
    rf"(?P<minus>(?<![\w)\]}}])[-\u2212]\s?+)?\\[dtc]?frac\s?\{{\s?(?P<top>{_PLAIN})\s?\}}\s?\{{\s?(?P<bottom>{_PLAIN})\s?\}}"
    r"|(?<![0-9.])(?<!\^)(?<!\^\{)(?P<sign>(?<![\w)\]}])[-\u2212]\s?+)?(?:\\?[$€£])?(?P<money>(?<=\$)[-\u2212])?"
    r"(?P<digits>(?:[0-9]{1,3}+(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?+|\.[0-9]++)"
    r"(?:(?:[eE]|\s?(?:\\times|\\cdot|×|·|\*|x)\s?10\s?(?:\^|\*\*)\s?\{?)(?P<power>[+\-\u2212]?[0-9]{1,3}+)(?!\.?\w)\}?"
    r"|(?:\s?\^\s?\{?|\*\*(?=[0-9]{1,2}(?![0-9*])))(?P<raised>[0-9]{1,2})(?![0-9])\}?"
    r"|/(?P<over>[0-9]++(?:\.[0-9]++)?+)(?![/0-9]))?"
)


def quantity(marked: str) -> str | None:
    r"""The value of the first expression in a marked answer, after its last equals sign; None: none, or not a number.

    Numbers with commas or spaces between thousands, ``+ - * /`` and their signs in LaTeX, brackets, fractions, mixed
    numbers, small powers and exact square roots are evaluated exactly; currency, percent signs and words beside the
    number are left out. A number inside what is not understood (``2\pi``, ``\log 8``, ``5!``) is none.

    Example:
        >>> quantity(r"\frac{36}{2}"), quantity(r"1.8 \times 10^{3} \text{ km}"), quantity("x = 1 234"), quantity("2/3")
        ('18', '1800', '1234', '2/3')
        >>> quantity(r"\$18.50"), quantity(r"2\pi"), quantity("seven")
        ('18.50', None, None)
    """
    if len(marked) > LONGEST:
        return None
    text = _undressed(marked).rpartition("=")[2]
    for start in _OPENING.finditer(text):
        if _UNKNOWN.search(text, 0, start.start()):
            return None
        try:
            value, end = _sum(text, start.start())
        except _NoNumber:
            if _UNKNOWN.match(text, start.start()):
                return None
            continue
        except (ZeroDivisionError, OverflowError):
            return None
        return None if _GOES_ON.match(text, end) else _written(value, text[start.start() : end])
    return None


def last_quantity(text: str) -> str | None:
    r"""The last number of running text by value; None: there is none. A minus behind a word or number is an operator.

    Example:
        >>> last_quantity("She pays 3 * 6 = $18."), last_quantity(r"about 1.8 \times 10^{3}."), last_quantity("36/2")
        ('18', '1800', '18')
    """
    last = None
    for last in _LAST.finditer(_plain_digits(text, _SMALL_BEHIND_DIGIT)):  # noqa: B007
        pass
    if last is None:
        return None
    top, bottom = last["top"] or last["digits"], last["bottom"] or last["over"]
    if last["over"] and last.string[: last.start()].endswith("/"):
        return last["over"]  # of a date
    sign = last["minus"] or last["sign"] or ""
    before = last.string[: last.start()].rstrip()[-1:] if sign.endswith(" ") else ""
    minus = "-" if last["money"] or (sign and not (before.isalnum() or before in tuple(")]}"))) else ""
    plain = minus + top.replace(",", "")
    if last["raised"] is not None:
        value = Fraction(top.replace(",", "")) ** int(last["raised"]) if len(top) <= _SHORT else None
        return None if value is None or len(found := minus + _short(value)) > LONGEST else found
    if max(len(plain), len(bottom or "")) > _DIGITS or (bottom is None and last["power"] is None):
        return plain
    if bottom is not None:
        divisor = Fraction(bottom.replace(",", ""))
        return _short(Fraction(plain) / divisor) if divisor else plain
    power = int(last["power"].replace("\u2212", "-"))
    return _short(Fraction(plain) * Fraction(10) ** power) if abs(power) <= _POWER else None


def same_number(first: str | None, second: str) -> bool:
    """Whether both are numbers, or fractions of numbers, of exactly the same value, whatever their length.

    Example:
        >>> same_number("18.00", "18"), same_number("36/2", "18"), same_number("18.01", "18"), same_number(None, "18")
        (True, True, False, False)
    """
    try:
        return first is not None and _exact(first) == _exact(second)
    except (ValueError, ZeroDivisionError):
        return False


def _exact(number: str) -> tuple[bool, str, str] | Fraction:
    """Digits without the zeros that carry no value, so that length costs nothing; a Fraction of what has a stroke."""
    top, stroke, bottom = number.partition("/")
    if stroke:
        return _exact_fraction(Fraction(top) / Fraction(bottom))
    found = re.fullmatch(r"([+-]?)([0-9]*)(?:\.([0-9]*))?", number.strip())
    if found is None or not (found[2] or found[3]):
        raise ValueError("no number")
    whole, part = found[2].lstrip("0"), (found[3] or "").rstrip("0")
    return found[1] == "-" and bool(whole or part), whole, part


def _exact_fraction(value: Fraction) -> tuple[bool, str, str] | Fraction:
    return value if "/" in _short(value) else _exact(_short(value))


def _plain_digits(text: str, raised: re.Pattern[str] = _SMALL_DIGITS) -> str:
    """Without what stands between thousands; small raised digits behind a number as a power."""
    return raised.sub(lambda found: f"^{{{found[1].translate(_TO_LARGE)}}}", _TEX_SPACE.sub("", text))


class _NoNumber(Exception):
    """Nothing here is an expression."""


def _undressed(marked: str) -> str:
    """Without what dresses a number up: fonts, spaces, currency signs, separators of thousands."""
    text = _plain_digits(marked)
    for _ in range(3):
        text = _WRAPPER.sub(r" \1 ", text)
    text = _DECORATION.sub("", text)
    return _THOUSANDS.sub(lambda found: found[1] + found[2].replace(" ", ""), text)


def _sum(text: str, at: int, depth: int = 0) -> tuple[Fraction, int]:
    value, at = _product(text, at, depth)
    while sign := _SIGN.match(text, at):
        try:
            other, at = _product(text, sign.end(), depth)
        except _NoNumber:
            break
        value += other if sign[1] == "+" else -other
    return value, at


def _product(text: str, at: int, depth: int) -> tuple[Fraction, int]:
    value, at = _power(text, at, depth)
    while sign := _PRODUCT.match(text, at):
        try:
            other, at = _power(text, sign.end(), depth)
        except _NoNumber:
            break
        value = value / other if sign[1] in ("/", "\\div", "÷") else value * other
    return value, at


def _power(text: str, at: int, depth: int) -> tuple[Fraction, int]:
    sign = _SIGN.match(text, at)
    if sign and depth < 20:
        value, at = _power(text, sign.end(), depth + 1)
        return (value if sign[1] == "+" else -value), at
    value, at = _atom(text, at, depth)
    raised = _RAISED.match(text, at)
    if not raised:
        return value, at
    power = int((raised[1] or raised[2]).replace("\u2212", "-"))
    if abs(power) > _POWER or max(abs(value.numerator), value.denominator) > 10**6:
        raise OverflowError
    return value**power, raised.end()


def _atom(text: str, at: int, depth: int) -> tuple[Fraction, int]:
    if depth > 20:
        raise _NoNumber
    if fraction := _FRACTION.match(text, at):
        top, at = _group(text, fraction.end(), depth)
        bottom, at = _group(text, at, depth)
        return top / bottom, at
    if root := _ROOT.match(text, at):
        value, at = _group(text, root.end(), depth)
        return _root(value), at
    if text[at : at + 1] in ("(", "{"):
        return _bracket(text, at, depth)
    found = _NUMBER.match(text, at)
    if found is None or not (found[1] or found[2]):
        raise _NoNumber
    if len(found[0]) > _DIGITS:
        raise OverflowError
    value = Fraction((found[1] or "0").replace(",", "") + (found[2] or ""))
    if found[3]:
        if abs(int(found[3])) > _POWER:
            raise OverflowError
        return value * Fraction(10) ** int(found[3]), found.end()
    return _mixed(text, value, found.end(), depth) if not found[2] else (value, found.end())


def _mixed(text: str, whole: Fraction, at: int, depth: int) -> tuple[Fraction, int]:
    r"""``1 1/2`` and ``1\frac{1}{2}`` are one and a half."""
    if fraction := _BEFORE_FRACTION.match(text, at):
        value, end = _atom(text, fraction.end(), depth + 1)
        return whole + value, end
    if part := _PART.match(text, at):
        return whole + Fraction(int(part[1]), int(part[2])), part.end()
    return whole, at


def _bracket(text: str, at: int, depth: int) -> tuple[Fraction, int]:
    value, end = _sum(text, at + 1, depth + 1)
    closing = _CLOSING.match(text, end)
    if not closing:
        raise _NoNumber
    return value, closing.end()


def _group(text: str, at: int, depth: int) -> tuple[Fraction, int]:
    r"""What stands in braces, or the next digit alone, as in ``\frac12``."""
    at += len(text[at:]) - len(text[at:].lstrip())
    if text[at : at + 1] == "{":
        return _bracket(text, at, depth)
    if text[at : at + 1].isdecimal():
        return Fraction(int(text[at])), at + 1
    raise _NoNumber


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise _NoNumber
    root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    if root * root != value:
        raise OverflowError
    return root


def _written(value: Fraction, text: str) -> str:
    """A plain number as it was written, without commas; else its value."""
    plain = text.strip().replace(",", "").replace("\u2212", "-").replace("- ", "-").lstrip("+ ")
    return plain if re.fullmatch(r"-?[0-9]*(?:\.[0-9]+)?", plain) else _short(value)


def _short(value: Fraction) -> str:
    """As a decimal where it ends, else as a fraction.

    Example:
        >>> _short(Fraction(9, 2)), _short(Fraction(1, 3)), _short(Fraction(1800))
        ('4.5', '1/3', '1800')
    """
    places, rest = 0, value.denominator
    for prime in (2, 5):
        times = 0
        while rest % prime == 0:
            rest, times = rest // prime, times + 1
        places = max(places, times)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole = digits[: len(digits) - places] + ("." + digits[len(digits) - places :] if places else "")
    return ("-" if value < 0 else "") + whole
