"""What fill rules, edit rules and detectors have in common: frozen options that can be written down and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, ValidationError

from dlmsample.support.registry import resolve, unknown
from dlmsample.support.validated import OneSentence, PieceError, sentence

#: For ``@dataclass(frozen=True, config=STRICT)`` over every piece.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

# strict: True and False are no numbers, and neither is the text "0.5"
Probability = Annotated[float, Field(strict=True, ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]


#: Rules that stand in later modules: kind of piece -> rule -> where.
LATER = {
    "fill rule": {
        "calibrated": "dlmsample.policies.zoo.pc_sampler:Calibrated",
        "early_commit": "dlmsample.policies.zoo.prophet:EarlyCommit",
    }
}


class Piece(metaclass=OneSentence):
    """A part of a decoding rule. Subclasses are frozen dataclasses, so two with equal options are equal."""

    noun: ClassVar[str] = "fill rule"  #: what errors call it; edit rules and detectors have their own
    rule: ClassVar[str]  #: the name by which a dump tells it from its siblings
    any_length: ClassVar[bool] = False  #: of a fill rule: it means the same where positions are added while it fills

    @property
    def needs(self) -> frozenset[str]:
        """Which optional numbers of :class:`~dlmsample.types.Prediction` it reads: entropy, margin, error."""
        return frozenset()

    def model_dump(self) -> dict[str, Any]:
        """Its rule and options as plain values.

        Example:
            >>> from dlmsample.policies.detect import LowProb
            >>> LowProb(0.2).model_dump()
            {'rule': 'low_prob', 'threshold': 0.2}
        """
        options = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        plain = {name: value.model_dump() if isinstance(value, Piece) else value for name, value in options.items()}
        return {"rule": self.rule, **plain}


def from_dump(kind: str, known: Iterable[type[Piece]], value: Any) -> Any:
    """A piece made from its dump, or from the name of its rule; everything else is let through.

    Args:
        kind: what the pieces are, for the error.
        known: the classes a dump may name, beside those of :data:`LATER`; a piece of another class is given as an
            object.
        value: a dump, a name, or anything.

    Raises:
        PieceError: an unknown rule or option, or an option out of range.
    """
    if isinstance(value, str):
        value = {"rule": value}
    if not isinstance(value, Mapping):
        return value
    options = {str(name): option for name, option in value.items()}
    rule, later = options.pop("rule", None), LATER.get(kind, {})
    classes = {cls.rule: cls for cls in known}
    if rule not in classes and rule not in later:
        raise PieceError(str(unknown(kind, rule, (*classes, *later))), ("rule",))
    cls: Any = resolve(later[rule]) if rule in later else classes[rule]
    names = [field.name for field in fields(cls)]
    for option in options:
        if option not in names:
            raise PieceError(str(unknown(f"option of {kind} {rule}", option, names)), (option,))
    try:
        return cls(**options)
    except ValidationError as error:
        raise _told(rule, dict(error.errors()[0])) from None


def _told(rule: str, error: dict[str, Any]) -> PieceError:
    """pydantic's first error of a piece."""
    inside = error.get("ctx", {}).get("error")
    if not error["loc"]:  # of several options together
        return PieceError(f"{rule}: {sentence(error)}", ())
    option = str(error["loc"][0])
    deeper = inside.place if isinstance(inside, PieceError) else ()  # of a piece in this one
    return PieceError(sentence(error, f"{option} of {rule}"), (option, *deeper))
