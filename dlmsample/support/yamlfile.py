"""YAML files from people: read with line numbers, checked by pydantic, every mistake told in one line with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator

from dlmsample.support.files import example_hint
from dlmsample.support.registry import unknown
from dlmsample.support.text import one_line
from dlmsample.support.validated import sentence

#: Where something stands in a file: keys and list indices from the outside in, like ``("policies", 0, "threshold")``.
KeyPath = tuple[Any, ...]
Model = TypeVar("Model", bound=BaseModel)


class YamlError(ValueError):
    """Mistakes of a user in a YAML file, in one line; each begins with file and line.

    Args:
        found: the mistakes, one at least.
    """

    def __init__(self, *found: str) -> None:
        super().__init__("; also ".join(found))
        self.found = found


class FileMistakes:
    """Collects mistakes, so that all that can be found are told at once and not one at a time."""

    def __init__(self) -> None:
        self._found: list[str] = []

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Keep a mistake that is made inside, and go on behind it."""
        try:
            yield
        except YamlError as error:
            self._found += error.found

    def __bool__(self) -> bool:
        return bool(self._found)

    def tell(self) -> None:
        """Raise what was found, each mistake once.

        Raises:
            YamlError: there is any.
        """
        if self._found:
            raise _together(self._found)


_SHOWN = 12  #: mistakes that are told at once


def _together(found: Iterable[str]) -> YamlError:
    """Mistakes in one error, each of them once."""
    lines = list(dict.fromkeys(found))
    more = [f"{len(lines) - _SHOWN} mistakes more"] if len(lines) > _SHOWN + 1 else []
    return YamlError(*([*lines[:_SHOWN], *more] if more else lines))


class Section(BaseModel):
    """A section of a file: frozen, no unknown keys, no NaN or infinity, no true or false where a number belongs."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        reads_it = any(isinstance(note, BeforeValidator) for note in field.metadata)  # YAML reads a bare no as false
        if isinstance(value, bool) and not reads_it and not _takes_bool(field.annotation):
            raise ValueError("must be a number or a text")
        return value


def _takes_bool(annotation: Any) -> bool:
    return annotation in (bool, Any, True, False) or any(map(_takes_bool, get_args(annotation)))


class Marks(NamedTuple):
    """Where the keys and values of a YAML file stand; without a file, mistakes are told by their key path alone."""

    name: str = "grid"
    lines: dict[KeyPath, int] = {}  # never written to
    elsewhere: str = ""  #: a key whose value does not come from the file: its mistakes are told without a line

    def error(self, place: KeyPath, message: str) -> YamlError:
        """The error for what stands at a key path.

        Example:
            >>> str(Marks("g.yaml", {("seeds",): 3}).error(("seeds", 0), "seeds must be whole numbers"))
            'g.yaml:3: seeds must be whole numbers'
        """
        if place and place[0] == self.elsewhere:
            return YamlError(message)
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known)
        return YamlError(f"{self.name}{'' if line is None else f':{line}'}: {message}")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, in which ``1e-4`` is a number as it is in YAML 1.2 and JSON."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+0123456789.")
)


def load(text: str, name: str) -> tuple[Any, Marks]:
    """The data of a YAML document, and the line of every key and list item.

    Args:
        text: of the document.
        name: of the file, for messages.

    Raises:
        YamlError: not YAML, or a key given twice.

    Example:
        >>> data, marks = load("a: 1e-4\\nb:\\n- c: 2\\n", "x.yaml")
        >>> data, marks.lines[("b", 0, "c")]
        ({'a': 0.0001, 'b': [{'c': 2}]}, 3)
    """
    try:
        loader = _Loader(text.removeprefix("\ufeff"))
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        _walk(node, (), lines, name, ())
        return (None if node is None else loader.construct_document(node)), Marks(name, lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = name if mark is None else f"{name}:{mark.line + 1}"
        said = getattr(error, "problem", None) or str(error)
        raise YamlError(f"{where}: not YAML: {one_line(said)}") from None
    except (ValueError, RecursionError) as error:  # a date that does not exist, nesting without end
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"{name}: not YAML: {one_line(error)}") from None


def document(path: str | Path, what: str) -> tuple[Any, Marks]:
    """The data of a YAML file and where its keys stand.

    Args:
        path: of the file.
        what: it is, for the message when it cannot be read ("grid").

    Raises:
        YamlError: it cannot be read, or is not YAML.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8"
        raise YamlError(f"cannot read {what} {str(path)!r}: {said}; give a YAML file{example_hint(path)}") from None
    return load(text, str(path))


def validated(model: type[Model], data: Any, marks: Marks, sections: Mapping[str, type[BaseModel]]) -> Model:
    """Check plain data.

    Args:
        model: what the whole file is.
        data: from :func:`load`.
        marks: where its keys stand.
        sections: key of a section -> what stands in it, so that an unknown key is told with the nearest right one.

    Raises:
        YamlError: one line about every mistake; keys that are missing come after those that are wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = sorted(error.errors(), key=lambda e: (e["type"] == "missing", _line(e["loc"], marks)))
        said = [(tuple(wrong["loc"]), str(_explained(dict(wrong), marks, model, sections))) for wrong in found]
        meant = {(place[:-1], line.partition("did you mean ")[2].partition("?")[0]) for place, line in said}
        told = [line for place, line in said if (place[:-1], repr("".join(map(str, place[-1:])))) not in meant]
        raise _together(told) from None  # a key that a wrong one stands for is not missing


def _walk(node: Any, place: KeyPath, lines: dict[KeyPath, int], name: str, above: tuple[int, ...]) -> None:
    if node is None or id(node) in above:
        return
    above = (*above, id(node))
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for at, (key, value) in enumerate(node.value):
            here, line = (*place, key.value if isinstance(key.value, str) else None), key.start_mark.line + 1
            lines.setdefault(here, line)
            if any(_same(before, key) for before, _ in node.value[:at]):
                raise YamlError(f"{name}:{line}: {key.value!r} is given twice: keep one")
            _walk(value, here, lines, name, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*place, index), lines, name, above)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, yaml.ScalarNode) and isinstance(other, yaml.ScalarNode) and one.value == other.value


def _line(place: KeyPath, marks: Marks) -> int:
    known = [place[:size] for size in range(len(place), -1, -1) if place[:size] in marks.lines]
    return marks.lines[known[0]] if known else 0


def _explained(
    error: dict[str, Any], marks: Marks, root: type[BaseModel], sections: Mapping[str, type[BaseModel]]
) -> YamlError:
    place: KeyPath = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        model = next((sections[part] for part in reversed(place[:-1]) if part in sections), root)
        return marks.error(place, str(unknown("key", place[-1], model.model_fields)))
    return marks.error(place, sentence(error))
