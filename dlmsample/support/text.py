"""Text for people: on one line, at most so long, and with nothing in it that does not show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# Controls (all but newline and tab), marks that reorder or hide text, surrogates and what no document may hold.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def printable(text: str, limit: int | None = None) -> str:
    r"""The text with what does not show written as an escape; past ``limit`` characters, how many are left out.

    Text of a model, a grid or a file is untrusted: a control character could rewrite a terminal, and a mark that
    reorders text could make it read as something else.

    Example:
        >>> printable("a\x1b[2J"), printable("abcdef", 4)
        ('a\\x1b[2J', 'abcd … (2 characters more)')
    """
    cut = text if limit is None else text[:limit]
    more = f" … ({len(text) - len(cut)} characters more)" if len(cut) < len(text) else ""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), cut) + more


def one_line(said: object, limit: int | None = None) -> str:
    """A message, or an error's message, on one line; an error that says nothing is told by its class.

    Args:
        said: a text or an exception.
        limit: characters at most; None: all of them.

    Example:
        >>> one_line("no such\\n  file"), one_line(KeyError()), one_line(ValueError("a long story"), 6)
        ('no such file', 'KeyError', 'a long')
    """
    text = printable(" ".join(str(said).split())) or type(said).__name__
    return text if limit is None else text[:limit]


def scalar(value: object) -> str:
    """A value as YAML and ``--set`` have it.

    Example:
        >>> scalar(None), scalar(True), scalar(0.5), scalar("all")
        ('null', 'true', '0.5', 'all')
    """
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def flat(options: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values under dotted names, such as the options of a chain's pieces.

    Example:
        >>> dict(flat({"edit": {"threshold": 0.3}, "stops": [1, 2]}))
        {'edit.threshold': 0.3, 'stops': [1, 2]}
    """
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def parse_json(text: str | bytes, once: bool = False) -> Any:
    """A JSON document of unknown origin; a byte order mark before it is none of it.

    Args:
        text: of the document.
        once: refuse an object that has a key twice: which of the two was meant cannot be told.

    Raises:
        ValueError: it is none, nested more deeply than can be read, or has a key twice.

    Example:
        >>> parse_json('\\ufeff{"a": 1}')
        {'a': 1}
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ValueError: it is nested too deeply
    """
    try:
        plain = text.removeprefix("\ufeff") if isinstance(text, str) else text  # of bytes json itself leaves it out
        return json.loads(plain, object_pairs_hook=_distinct if once else None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice: keep one of them")
    return found


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
