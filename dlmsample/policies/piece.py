"""What fill rules, edit rules and detectors have in common: frozen options that can be written down and read back."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from dlmsample.support.registry import unknown

#: For ``@dataclass(frozen=True, config=STRICT)`` over every piece.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

# strict: True and False are no numbers, and neither is the text "0.5"
Probability = Annotated[float, Field(strict=True, ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]


class Piece(ABC):
    """A part of a decoding rule. Subclasses are frozen dataclasses, so two with equal options are equal."""

    rule: ClassVar[str]  #: the name by which a dump tells it from its siblings

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
    """A piece made from its dump; everything else is let through.

    Args:
        kind: what the pieces are, for the error.
        known: the classes a dump may name; a piece of another class is given as an object.
        value: a dump, or anything.
    """
    if not isinstance(value, Mapping):
        return value
    classes = {cls.rule: cls for cls in known}
    options = {str(name): option for name, option in value.items()}
    rule = options.pop("rule", None)
    if rule not in classes:
        raise unknown(kind, rule, classes)
    return classes[rule](**options)
