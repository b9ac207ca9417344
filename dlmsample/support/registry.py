"""Names at the edge: what can be asked for by a string, built in or declared by an installed package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any


def unknown(kind: str, name: object, known: Iterable[str], remedy: str = "") -> ValueError:
    """The error for a wrong name: what it was, the nearest right one, all right ones, and what to do.

    Example:
        >>> str(unknown("policy", "t2n", ["t2m", "t2t"]))
        "unknown policy 't2n'; did you mean 't2t'? Known: t2m, t2t"
        >>> str(unknown("policy", "T2M", ["t2m", "t2t"]))
        "unknown policy 'T2M'; did you mean 't2m'? Known: t2m, t2t"
    """
    names = sorted(known)
    folded = {right.casefold(): right for right in names}
    near = get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]!r}? " if near else ""
    return ValueError(f"unknown {kind} {name!r}; {hint}Known: {', '.join(names)}{remedy}")


def resolve(target: str) -> Any:
    """The object that ``"module:attribute"`` names; its module is imported."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, eq=False)
class Registry:
    """A table of names, each imported when it is asked for.

    Built-in names win over those that installed packages declare as entry points, so that no package can change what
    a built-in name means.

    Args:
        kind: what the names are, for errors ("policy").
        group: the entry-point group that other packages declare theirs in ("dlmsample.policies").
        built_in: name -> "module:attribute".

    Example:
        >>> names = Registry("number", "dlmsample.numbers", {"pi": "math:pi"})
        >>> names["pi"], list(names)
        (3.141592653589793, ['pi'])
        >>> names["pie"]
        Traceback (most recent call last):
        ValueError: unknown number 'pie'; did you mean 'pi'? Known: pi
    """

    kind: str
    group: str
    built_in: Mapping[str, str]

    def __iter__(self) -> Iterator[str]:
        """The built-in names in their order, then those of other packages, sorted."""
        yield from self.built_in
        yield from self.declared()

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or any(name == known for known in self)

    def declared(self) -> list[str]:
        """The names that other packages declare, sorted."""
        return sorted(e.name for e in entry_points(group=self.group) if e.name not in self.built_in)

    def load(self, names: Iterable[str]) -> list[Any]:
        """What these names stand for.

        Raises:
            ValueError: nothing has one of them.
        """
        return [self[name] for name in names]

    def __getitem__(self, name: str) -> Any:
        """What a name stands for.

        Raises:
            ValueError: nothing has this name; the nearest right one is named.
        """
        if name in self.built_in:
            return resolve(self.built_in[name])
        for entry in entry_points(group=self.group):
            if entry.name == name:
                return entry.load()
        raise unknown(self.kind, name, self)
