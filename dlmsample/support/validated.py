"""Named options of a rule: frozen, validated, told apart from switches; and what is wrong with them, in one sentence.

pydantic's own report takes several lines and names no remedy. :func:`sentence` says the same wherever a value was
written: on the command line, in a file, or in Python.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from dlmsample.support.registry import unknown
from dlmsample.support.text import scalar, short


class PieceError(ValueError):
    """A mistake inside a piece.

    Args:
        said: the option, the reason and the value, on one line.
        place: the keys that lead to it, from the piece's own options on.
    """

    def __init__(self, said: str, place: tuple[str, ...]) -> None:
        super().__init__(said)
        self.place = place


#: pydantic's error type -> what it means, in terms of its context.
_MEANING = {
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {expected}",
    "is_instance_of": "must be an instance of {class}",
    "string_type": "must be a text",
    "frozen_instance": "must not be changed: make another one with model_copy(update=...)",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "dataclass_type"), "must be keys and values"),
    "string_too_short": "must not be empty",
    "too_short": "must hold at least {min_length}",
}
_MISSING = ("missing", "missing_argument")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_SHOWN = 60  #: characters of a value that is no number


def sentence(error: Mapping[str, Any], option: str | None = None) -> str:
    """One of pydantic's errors in words: what the option must be, and what was given.

    Args:
        error: an entry of ``ValidationError.errors()``.
        option: what to call it; None: by its place, like ``policies[0].threshold``.

    Example:
        >>> sentence({"type": "less_than_equal", "loc": ("top_p",), "msg": "...", "input": 1.5, "ctx": {"le": 1.0}})
        'top_p must be <= 1 (got 1.5)'
    """
    said = " ".join(error["msg"].removeprefix("Value error, ").split())
    option = dotted(error["loc"]) if option is None else option
    context = error.get("ctx", {})
    if not option:
        return said
    if isinstance(context.get("error"), PieceError):
        return f"{option}: {said}"
    if error["type"] in _MISSING:
        return f"{option} must be given"
    if error["type"] in _MEANING:
        bounds = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        said = _MEANING[error["type"]].format(**bounds)
    return f"{option}{' ' if said.startswith('must ') else ': '}{said} (got {_shown(error['input'])})"


def dotted(place: Iterable[Any]) -> str:
    """A key path as one would write it.

    Example:
        >>> dotted(("policies", 0, "threshold"))
        'policies[0].threshold'
    """
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")


def _shown(value: Any) -> str:
    """A value as it would be written after ``--set``."""
    plain = value is None or isinstance(value, bool)
    return scalar(value) if plain else short(" ".join(repr(value).split()), _SHOWN)


def mistakes(error: ValidationError, whole: str) -> str:
    """What pydantic found wrong, on one line; ``whole`` names the object itself.

    Example:
        >>> class Point(Options):
        ...     x: int
        >>> try:
        ...     Point.model_validate({"x": "a", "y": 1})
        ... except ValidationError as error:
        ...     print(mistakes(error, "point"))
        y is not known (got 1); x must be a whole number (got 'a')
    """
    found = sorted(error.errors(), key=lambda e: e["type"] not in _UNKNOWN)
    return "; ".join(_within(dict(e), whole) for e in found)


def _within(error: dict[str, Any], whole: str) -> str:
    if error["type"] in _UNKNOWN:
        return f"{dotted(error['loc'])} is not known (got {_shown(error['input'])})"
    return sentence(error) if error["loc"] else f"{whole}: {sentence(error)}"


class OptionsError(ValidationError):
    """What is wrong with the options of a policy, a piece or an objective, in one line."""

    said: str

    def __str__(self) -> str:
        return self.said

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.said!r})"


def _told(cls: Any, error: ValidationError) -> OptionsError:
    """The same error, in one line."""
    if isinstance(error, OptionsError):
        return error
    piece = not issubclass(cls, BaseModel)
    found: Any
    names = [field.name for field in fields(cls)] if piece else list(cls.model_fields)
    name = getattr(cls, "rule" if piece else "name", cls.__name__)
    strange, wrong = [], []
    for found in error.errors():
        option = "".join(str(part) for part in found["loc"][:1])
        if piece and option.isdecimal():  # it was given by its position
            option = names[int(option)] if int(option) < len(names) else option
        if found["type"] in _UNKNOWN:
            strange.append(str(unknown(f"option of {cls.noun} {name}", option, names)))
            continue
        if found["type"] in _MISSING:
            more = f" of {name} must be given" if piece else f" must be given ({option}=..., --set {option}=...)"
            wrong.append(option + more)
            continue
        called = f"{option} of {name}" if piece and option else option
        wrong.append(sentence(found, called))
    lines = [*strange, *([("" if piece else f"{name}: ") + "; ".join(wrong)] if wrong else [])]
    same = [_again(e) for e in error.errors()]
    own = OptionsError.from_exception_data(error.title, same)
    own.said = "; ".join(lines)
    return own  # type: ignore[return-value]  # pydantic says that it makes its own class


def _again(error: Any) -> InitErrorDetails:
    """An entry of ``errors()`` as what an error is made from."""
    custom = PydanticCustomError(error["type"], error["msg"], error.get("ctx"))
    return InitErrorDetails(type=custom, loc=error["loc"], input=error["input"])


class OneSentence(ABCMeta):
    """Makes a class tell what is wrong with the options of an object in one line; it has a ``noun``."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        try:
            return super().__call__(*args, **options)
        except ValidationError as error:
            raise _told(cls, error) from None


class _Listed(OneSentence, type(BaseModel)):  # type: ignore[misc]  # pydantic's metaclass has no public name
    """Leaves pydantic's machinery out of ``dir(cls)`` and so out of ``help``; all of it still works."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if args:
            raise TypeError(f"{cls.__name__} takes its options by name: {cls.__name__}({_first(cls)}=...)")
        model: Any = cls
        if not model.__pydantic_complete__:  # its annotations mean what they mean where the object is made
            model.model_rebuild(raise_errors=False, _parent_namespace_depth=3)
        return super().__call__(**options)

    def __dir__(cls) -> list[str]:
        ours = {name for base in cls.__mro__ if not issubclass(BaseModel, base) for name in vars(base)}
        return sorted(name for name in ours - _MACHINERY if not name.startswith("_"))


def _first(cls: Any) -> str:
    return next(iter(cls.model_fields), "option")


#: What pydantic writes into every class.
_MACHINERY = {"model_config", "model_post_init"}


class Options(BaseModel, metaclass=_Listed):
    """What policies and objectives are: pydantic fields that cannot change, without unknown or non-finite ones.

    True and False are no numbers: ``edit_threshold=False`` must not come to mean 0.0, which edits everything.

    Raises:
        ValueError: an unknown option, one out of range, or a bool where a value belongs; in one line.
        TypeError: options that are not given by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    noun: ClassVar[str] = "options"  #: what errors call the object
    not_a_bool: ClassVar[str] = "give a value, or None (null) where that switches it off"  #: what the error asks for

    def __str__(self) -> str:
        return repr(self)  # pydantic's own leaves the class out

    @model_validator(mode="before")
    @classmethod
    def _no_bool_as_number(cls, options: Any) -> Any:
        for name, value in options.items() if isinstance(options, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise ValueError(f"{name} must not be {value}: {cls.not_a_bool}")
        return options

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        """An object from plain data, such as ``model_dump`` gives; errors as those of the class."""
        try:
            return super().model_validate(obj, **how)
        except ValidationError as error:
            raise _told(cls, error) from None

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise _told(type(self), error) from None

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *type(self).model_fields, "model_dump", "model_validate"})
