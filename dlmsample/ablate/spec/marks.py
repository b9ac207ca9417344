"""YAML with line numbers: what a mistake is told with."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

Place = tuple[Any, ...]


class GridError(ValueError):
    """A user's mistake in a grid file, in one line that begins with file and line."""


class Marks(NamedTuple):
    """Where the keys and values of a YAML file stand; without a file, mistakes are told by their place alone."""

    name: str = "grid"
    lines: dict[Place, int] = {}  # never written to

    def error(self, place: Place, message: str) -> GridError:
        """The error for what stands at a place, like ``("policies", 0, "threshold")``.

        Example:
            >>> str(Marks("g.yaml", {("seeds",): 3}).error(("seeds", 0), "seeds must be whole numbers"))
            'g.yaml:3: seeds must be whole numbers'
        """
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known)
        return GridError(f"{self.name}{'' if line is None else f':{line}'}: {message}")


def load(text: str, name: str) -> tuple[Any, Marks]:
    """The data of a YAML document, and the line of every key and list item.

    Raises:
        GridError: not YAML, or a key given twice.

    Example:
        >>> data, marks = load("a: 1\\nb:\\n- c: 2\\n", "x.yaml")
        >>> data, marks.lines[("b", 0, "c")]
        ({'a': 1, 'b': [{'c': 2}]}, 3)
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        _walk(node, (), lines, name, ())
        return (None if node is None else loader.construct_document(node)), Marks(name, lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = name if mark is None else f"{name}:{mark.line + 1}"
        said = getattr(error, "problem", None) or str(error)
        raise GridError(f"{where}: not YAML: {' '.join(str(said).split())}") from None
    except (ValueError, RecursionError) as error:  # a date that is none, nesting without end
        if isinstance(error, GridError):
            raise
        raise GridError(f"{name}: not YAML: {' '.join(str(error).split())}") from None


def _walk(node: Any, place: Place, lines: dict[Place, int], name: str, above: tuple[int, ...]) -> None:
    if node is None or id(node) in above:
        return
    above = (*above, id(node))
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for at, (key, value) in enumerate(node.value):
            here, line = (*place, key.value if isinstance(key.value, str) else None), key.start_mark.line + 1
            lines.setdefault(here, line)
            if any(_same(before, key) for before, _ in node.value[:at]):
                raise GridError(f"{name}:{line}: {key.value!r} is given twice: keep one")
            _walk(value, here, lines, name, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*place, index), lines, name, above)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, yaml.ScalarNode) and isinstance(other, yaml.ScalarNode) and one.value == other.value
