"""Named options of a rule: frozen, validated, told apart from switches."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class _Listed(type(BaseModel)):  # type: ignore[misc]  # pydantic's metaclass has no public name
    """Leaves pydantic's machinery out of ``dir(cls)`` and so out of ``help``; all of it still works."""

    def __dir__(cls) -> list[str]:
        ours = {name for base in cls.__mro__ if not issubclass(BaseModel, base) for name in vars(base)}
        return sorted(name for name in ours - _MACHINERY if not name.startswith("_"))


#: What pydantic writes into every class.
_MACHINERY = {"model_config", "model_post_init"}


class Options(BaseModel, metaclass=_Listed):
    """What policies and objectives are: pydantic fields that cannot change, without unknown or non-finite ones.

    True and False are no numbers: ``edit_threshold=False`` must not come to mean 0.0, which edits everything.

    Raises:
        ValueError: an unknown option, one out of range, or a bool where a value belongs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    not_a_bool: ClassVar[str] = "give a value, or None (null) where that switches it off"  #: what the error asks for

    @model_validator(mode="before")
    @classmethod
    def _no_bool_as_number(cls, options: Any) -> Any:
        for name, value in options.items() if isinstance(options, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise ValueError(f"{name} must not be {value}: {cls.not_a_bool}")
        return options

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *type(self).model_fields, "model_dump", "model_validate"})


def mistakes(error: ValidationError, whole: str) -> str:
    """What pydantic found wrong, on one line: each place with its message; ``whole`` names the object itself.

    Example:
        >>> class Point(Options):
        ...     x: int
        >>> try:
        ...     Point(x="a", y=1)
        ... except ValidationError as error:
        ...     print(mistakes(error, "point"))
        x: Input should be a valid integer, unable to parse string as an integer; y: Extra inputs are not permitted
    """
    said = ((".".join(map(str, e["loc"])) or whole, e["msg"].removeprefix("Value error, ")) for e in error.errors())
    return "; ".join(f"{place}: {' '.join(message.split())}" for place, message in said)
