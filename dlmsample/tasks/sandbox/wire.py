"""Values as lines of JSON between two confined processes: plain data travels by value, anything else by a number.

Nothing is unpickled and no name is looked up but those of Python's own types, so a line can only ever become data of
the types below. Imports nothing of the package.

=========================  =====================================================
value                      JSON
=========================  =====================================================
None, bool, float, str     itself (floats may be NaN or Infinity)
int                        itself; beyond 64 bits ``{"int": "0x..."}``
list                       a list
a type of Python's own     ``{"type": "int"}``
any other type of TYPES    ``{"its name": parts}``
anything else              ``{"object": number}``, which the sender keeps
=========================  =====================================================
"""

from __future__ import annotations

import builtins
import json
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, BinaryIO

LONGEST = 64 << 20
"""Bytes of a line; a longer one is refused."""

_KEYS, _ITEMS, _VALUES = type({}.keys()), type({}.items()), type({}.values())

#: Name -> the type, its parts, and the value of given parts. A subclass travels as the first type that it is.
TYPES: dict[str, tuple[type, Callable[[Any], list[Any]], Callable[[list[Any]], Any]]] = {
    "tuple": (tuple, list, tuple),
    "set": (set, list, set),
    "frozenset": (frozenset, list, frozenset),
    "dict": (dict, lambda value: list(value.items()), dict),
    "deque": (deque, list, deque),
    "keys": (_KEYS, list, lambda parts: dict.fromkeys(parts).keys()),
    "items": (_ITEMS, list, lambda parts: dict(parts).items()),
    "values": (_VALUES, list, lambda parts: dict(enumerate(parts)).values()),
    "range": (range, lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    "bytes": (bytes, lambda value: [value.hex()], lambda parts: bytes.fromhex(parts[0])),
    "bytearray": (bytearray, lambda value: [value.hex()], lambda parts: bytearray.fromhex(parts[0])),
    "complex": (complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    "Decimal": (Decimal, lambda value: [str(value)], lambda parts: Decimal(parts[0])),
    "Fraction": (Fraction, lambda value: [value.numerator, value.denominator], lambda parts: Fraction(*parts)),
}


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """The JSON value of ``value``; ``keep`` gives the number of what is not plain data, or raises.

    Example:
        >>> encode((1, {2.5: "x"}), id)
        {'tuple': [1, {'dict': [{'tuple': [2.5, 'x']}]}]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        plain = int(value)
        return plain if -(1 << 63) <= plain < 1 << 63 else {"int": hex(plain)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return [encode(part, keep) for part in value]
    if isinstance(value, type) and getattr(builtins, value.__name__, None) is value:
        return {"type": value.__name__}
    for name, (kind, parts, _) in TYPES.items():
        if isinstance(value, kind):
            return {name: [encode(part, keep) for part in parts(value)]}
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return encode(value.item(), keep)
    return {"object": keep(value)}


def decode(data: Any, kept: Callable[[int], Any]) -> Any:
    """The value that a JSON value stands for; ``kept`` finds objects by their numbers.

    Raises: ValueError, TypeError, KeyError, RecursionError: it is none that :func:`encode` writes.

    Example:
        >>> decode({"tuple": [1, {"set": [2]}]}, {}.get)
        (1, {2})
    """
    if isinstance(data, list):
        return [decode(part, kept) for part in data]
    if not isinstance(data, dict):
        return data
    ((name, parts),) = data.items()
    if name == "int":
        return int(parts, 16)
    if name == "object":
        return kept(parts)
    if name == "type" and isinstance(kind := getattr(builtins, parts), type):
        return kind
    return TYPES[name][2]([decode(part, kept) for part in parts])


def send(stream: BinaryIO, message: dict[str, Any]) -> None:
    """Write one message. Raises: OSError: nobody reads."""
    stream.write(json.dumps(message).encode("ascii") + b"\n")
    stream.flush()


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None: the other side ended. Raises: ValueError: it is no message."""
    line = stream.readline(LONGEST)
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("no message")
    return message
