"""A policy from its name and options as people give them; what is wrong is told in one line."""

from __future__ import annotations

from typing import Any

from dlmsample.policies.piece import PieceError
from dlmsample.policies.registry import policy_class
from dlmsample.support.registry import unknown

#: pydantic's error type -> what it means, in terms of its context.
_MEANING = {
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {expected}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
}


def make_policy(name: str, options: dict[str, Any]) -> Any:
    """The policy, or one line about the first thing wrong with it.

    Raises:
        ValueError: no such policy, no such option, or an option out of range.

    Example:
        >>> make_policy("t2m", {"threshold": 1.5})
        Traceback (most recent call last):
        ValueError: t2m: threshold must be <= 1 (got 1.5)
    """
    cls = policy_class(name)
    for option in options:
        if option not in cls.model_fields:
            raise unknown(f"option of policy {name}", option, cls.model_fields)
    from pydantic import ValidationError

    try:
        return cls(**options)
    except ValidationError as e:
        raise ValueError(f"{name}: {'; '.join(_meaning(dict(error)) for error in e.errors())}") from e


def _meaning(error: dict[str, Any]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    option = error["loc"][0]
    if isinstance(error.get("ctx", {}).get("error"), PieceError):
        return f"{option}: {message}"
    if error["type"] == "missing":
        return f"{option} must be given: --set {option}=..."
    said = message
    if error["type"] in _MEANING:
        bounds = {k: f"{v:g}" if isinstance(v, float) else v for k, v in error.get("ctx", {}).items()}
        said = _MEANING[error["type"]].format(**bounds)
    return f"{option} {said} (got {_shown(error['input'])})"


def _shown(value: Any) -> str:
    """A value as it would be written after ``--set``."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else repr(value)
