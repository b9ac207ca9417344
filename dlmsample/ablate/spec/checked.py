"""Plain data from a YAML file as validated objects; the first mistake is told in one line, with its own line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dlmsample.ablate.spec.marks import GridError, Marks, Place, load
from dlmsample.support.registry import unknown

Model = TypeVar("Model", bound=BaseModel)


class Part(BaseModel):
    """A section: frozen, no unknown keys, no true for 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def document(path: str | Path, what: str) -> tuple[Any, Marks]:
    """The data of a YAML file, and where its keys stand; ``what`` it is, is said when it cannot be read.

    Raises:
        GridError: it cannot be read, or is not YAML.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8"
        raise GridError(f"cannot read {what} {str(path)!r}: {said}; give a YAML file") from None
    return load(text, str(path))


def validated(model: type[Model], data: Any, marks: Marks, sections: Mapping[str, type[BaseModel]]) -> Model:
    """Check plain data.

    Args:
        model: what the whole file is.
        data: from :func:`dlmsample.ablate.spec.marks.load`.
        marks: where its keys stand.
        sections: key of a section -> what stands in it, so that an unknown key is told with the nearest right one.

    Raises:
        GridError: one line about the first mistake; a key that is missing comes after one that is wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: (e["type"] == "missing", _order(e["loc"], marks)))
        raise _explain(dict(first), marks, model, sections) from None


def _order(place: Place, marks: Marks) -> int:
    known = [place[:size] for size in range(len(place), -1, -1) if place[:size] in marks.lines]
    return marks.lines[known[0]] if known else 0


def _explain(
    error: dict[str, Any], marks: Marks, root: type[BaseModel], sections: Mapping[str, type[BaseModel]]
) -> GridError:
    place: Place = tuple(error["loc"])
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        model = next((sections[part] for part in reversed(place[:-1]) if part in sections), root)
        return marks.error(place, str(unknown("key", place[-1], model.model_fields)))
    if error["type"] == "missing":
        return marks.error(place, f"{dotted(place)} must be given")
    got = error.get("input")
    shown = f" (got {got!r})" if place and isinstance(got, (str, int, float, type(None))) else ""
    return marks.error(place, f"{dotted(place)}{': ' if place else ''}{said}{shown}")


def dotted(place: Place) -> str:
    """A place as one would write it.

    Example:
        >>> dotted(("policies", 0, "threshold"))
        'policies[0].threshold'
    """
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
