"""The types of what a config.json says, found out before anything computes with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from dlmsample.models.embedded import SECTION

#: More of any size than a model has, in layers and in anything else: building it would never end.
_LAYERS, _LARGEST = 10_000, 2**40


def is_count(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number; ``true`` is none.

    Example:
        >>> is_count(3), is_count(True), is_count("3")
        (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite number.

    Example:
        >>> is_number(0.5), is_number(float("inf")), is_number(False)
        (True, False, False)
    """
    return is_count(value) or (isinstance(value, float) and math.isfinite(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_ids(value: Any) -> bool:
    return all(map(is_count, value)) if isinstance(value, list) else is_count(value)


_SHAPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "architectures": ("a list of names", _are_names),
    "model_type": ("a name", _is_name),
    "auto_map": ("an object", _is_object),
    SECTION: ("an object", _is_object),
    **dict.fromkeys(
        ("num_hidden_layers", "n_layers", "n_layer", "num_layers"), ("1 or more", lambda n: is_count(n) and n > 0)
    ),
    "mask_token_id": ("an id", is_count),
    "sliding_window": ("a number of tokens", is_count),
    "eos_token_id": ("an id or a list of ids", _are_ids),
    "bos_token_id": ("an id or a list of ids", _are_ids),
    "pad_token_id": ("an id or a list of ids", _are_ids),
}


def check_shape(name: str, raw: Mapping[str, Any]) -> None:
    """Refuse a config whose names, ids or sizes are of another type, or numbers that no model has.

    Raises:
        ValueError: the key, what it says, and what it must be.

    Example:
        >>> check_shape("a", {"architectures": "DreamModel"})
        Traceback (most recent call last):
        ValueError: architectures in the config.json of 'a' is 'DreamModel', and must be a list of names: repair it
    """
    for key, value in raw.items():
        wanted, fits = _SHAPES.get(key, ("", None))
        if fits is not None and value is not None and not fits(value):
            raise ValueError(wrong(key, name, value, wanted))
        most = _LAYERS if key.endswith("layers") else _LARGEST
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(wrong(key, name, value, "a finite number"))
        if is_count(value) and abs(value) > most:
            raise ValueError(wrong(key, name, value, f"{most} at most"))


def wrong(key: str, name: str, value: Any, wanted: str) -> str:
    """The message for a key of a config.json that is not what it must be."""
    return f"{key} in the config.json of {name!r} is {value!r:.40}, and must be {wanted}: repair it"
