"""How answers are decoded, as it is typed: ``--block-length``, ``--cache``, ``--set``, ``--policy``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dlmsample.policies.making import make_policy
from dlmsample.support.registry import unknown


def block_length(given: str | None) -> int | Literal["all"] | None:
    """A number of tokens, ``all``, or None.

    Raises:
        ValueError: neither.
    """
    if given is None or given == "all":
        return given
    try:
        return int(given)
    except ValueError as e:
        raise ValueError(f'--block-length is a number of tokens or "all", not {given!r}') from e


def cache(given: str | None) -> Any:
    """What a Sampler takes as ``cache``.

    Raises:
        ValueError: there is none of that name.
    """
    if given is None:
        return True
    from dlmsample.models.attention.approximate import APPROXIMATIONS

    if given not in (*APPROXIMATIONS, "none"):
        raise unknown("cache", given, [*APPROXIMATIONS, "none"])
    return given != "none" and given


def approximate(cache: str) -> bool:
    """Whether a cache changes what comes out."""
    from dlmsample.models.attention.approximate import APPROXIMATIONS

    return cache in APPROXIMATIONS


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """``["threshold=0.2"]`` -> ``{"threshold": 0.2}``; values are YAML scalars.

    Raises:
        ValueError: no ``=``, no value, a value that is no scalar, or the same option twice.

    Example:
        >>> parse_settings(["threshold=0.2", "steps=null"])
        {'threshold': 0.2, 'steps': None}
    """
    import yaml

    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--set takes option=value, like threshold=0.2 (null for none), not {setting!r}")
        if key in options:
            raise ValueError(f"--set {key} is given twice: keep one")
        try:
            options[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as e:
            raise ValueError(f"--set {setting!r}: the value is no YAML: put it in quotes") from e
        if isinstance(options[key], (dict, list, set)):
            raise ValueError(f"--set {setting!r}: the value must be one YAML scalar, like 0.2, true or null")
    return options


#: Beside the weights of an adapter, a head or a checkpoint: the policy that it was trained for, as a grid names one.
RECOMMENDED = "decoding_config.json"
#: What stands in for ``--policy`` where it is not given, and where ``auto`` finds no recommendation.
DEFAULT_POLICY, AUTO = "unmask", "auto"


class ChosenPolicy(NamedTuple):
    """A policy, the block length that comes with it, and what a user should know about the choice."""

    policy: Any
    block_length: int | Literal["all"] | None
    note: str


def choose_policy(
    name: str | None, model: str, adapter: str | None, head: str | None, changed: dict[str, Any]
) -> ChosenPolicy:
    """The policy that was asked for, or with ``auto`` the one that the adapter, head or checkpoint was trained for.

    Args:
        name: from ``--policy``; None: it was not given.
        model: embedded model, folder or hub id.
        adapter: attached to it, or None.
        head: attached to it, or None.
        changed: options of the policy from ``--set``; they win over the recommended ones.

    Raises:
        ValueError: no such policy, a wrong option, or a recommendation that cannot be read.
    """
    if name not in (None, AUTO):
        return ChosenPolicy(make_policy(name, changed), None, "")
    source, entry = "", {}
    with suppress(*() if name == AUTO else (ValueError,)):  # nobody asked for a recommendation: a damaged one is none
        source, entry = recommended(model, adapter, head)
    trained_for = entry.pop("policy", DEFAULT_POLICY)
    block_length = entry.pop("block_length", None)
    if name is None:
        fits = trained_for == DEFAULT_POLICY
        note = "" if fits else f"{source} was trained for --policy {trained_for}; --policy auto takes it"
        return ChosenPolicy(make_policy(DEFAULT_POLICY, changed), None, note)
    policy = make_policy(trained_for, {**entry, **changed})
    length = "" if block_length is None else f", block length {block_length}"
    return ChosenPolicy(
        policy, block_length, f"policy {policy!r}{length}, {'for ' + source if source else 'the default'}"
    )


def recommended(model: str, adapter: str | None, head: str | None) -> tuple[str, dict[str, Any]]:
    """What recommends a policy, and the policy as a grid's entry; empty where nothing on this machine does.

    An adapter's recommendation goes before a head's, and a head's before the checkpoint's own.

    Raises:
        ValueError: a recommendation that cannot be read.
    """
    from dlmsample.models.embedded import EMBEDDED, folder_of, shipped

    base = folder_of(model) if model in EMBEDDED else _folder(model)
    places = [("model", model, base)]
    if head is not None:
        places.insert(0, ("head", head, shipped(base, "head").get(head) or _folder(head)))
    if adapter is not None:
        places.insert(0, ("adapter", adapter, shipped(base, "adapter").get(adapter) or _folder(adapter)))
    for kind, name, folder in places:
        path = folder / RECOMMENDED
        with suppress(OSError):
            return f"{kind} {name}", _entry(path, path.read_bytes())
    return "", {}


def _folder(name: str) -> Path:
    """Where a name would lie if it is a path; a hub id gives a folder that does not exist."""
    try:
        return Path(name or os.devnull).expanduser()
    except RuntimeError:  # the home of a user that there is not
        return Path(name)


def _entry(path: Path, data: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(data)
    except ValueError as e:
        raise ValueError(f"{str(path)!r} is no JSON ({e}): mend it, or name a --policy") from e
    if not isinstance(entry, dict) or not isinstance(entry.get("policy"), str):
        raise ValueError(f'{str(path)!r} names no policy: write {{"policy": "t2m", ...}}, or name a --policy')
    length = entry.get("block_length")
    if not (length in (None, "all") or type(length) is int):
        raise ValueError(f'{str(path)!r}: block_length is a number of tokens or "all": mend it, or name a --policy')
    return entry
