"""Names at the edge: lazy tables of what can be asked for by a string, third-party entry points, "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

POLICY_GROUP = "dlmsample.policies"

#: Built-in policy name -> "module:attribute", imported when asked for.
_POLICIES = {
    "unmask": "dlmsample.policies.unmask:Unmask",
    "t2t": "dlmsample.policies.t2t:T2T",
    "t2m": "dlmsample.policies.t2m:T2M",
    "d3im": "dlmsample.policies.d3im:D3IM",
    "dsc": "dlmsample.policies.dsc:DSC",
}

#: Made from pieces and not by name: no rule of its own to list, but read back by this name from its dump.
_COMPOSED = {"chain": "dlmsample.policies.chain:Chain"}


def unknown(kind: str, name: object, known: Iterable[str], remedy: str = "") -> ValueError:
    """The error for a wrong name: what it was, the nearest right one, all right ones, and what to do.

    Example:
        >>> str(unknown("policy", "t2n", ["t2m", "t2t"]))
        "unknown policy 't2n'; did you mean 't2t'? Known: t2m, t2t"
    """
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ValueError(f"unknown {kind} {name!r}; {hint}Known: {', '.join(names)}{remedy}")


def resolve(target: str) -> Any:
    """The object that ``"module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def list_policies() -> list[str]:
    """Names of all policies: built in, and those that installed packages declare under ``dlmsample.policies``.

    Example:
        >>> "t2m" in list_policies()
        True
    """
    return [*_POLICIES, *sorted(e.name for e in entry_points(group=POLICY_GROUP) if e.name not in _POLICIES)]


def policy_class(name: str) -> Any:
    """The class of a policy by name; built-in names win over third-party ones.

    Raises:
        ValueError: no such policy.
    """
    if name in _POLICIES or name in _COMPOSED:
        return resolve((_POLICIES | _COMPOSED)[name])
    for entry in entry_points(group=POLICY_GROUP):
        if entry.name == name:
            return entry.load()
    raise unknown("policy", name, list_policies())


def policy(name: str, **options: Any) -> Any:
    """A policy by name.

    Raises:
        ValueError: no such policy, no such option, or an option out of range.

    Example:
        >>> policy("t2t", fill_threshold=0.5).fill_threshold
        0.5
    """
    return policy_class(name)(**options)
