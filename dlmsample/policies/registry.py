"""Policies by name, for the command line and grid files."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from dlmsample.support.registry import Registry, resolve, unknown

#: Endings by which a path is told from the name of a policy.
FILES = (".json", ".yaml", ".yml")

POLICIES = Registry(
    "policy",
    "dlmsample.policies",
    {
        "unmask": "dlmsample.policies.unmask:Unmask",
        "t2t": "dlmsample.policies.t2t:T2T",
        "t2m": "dlmsample.policies.t2m:T2M",
        "d3im": "dlmsample.policies.d3im:D3IM",
        "dsc": "dlmsample.policies.dsc:DSC",
        "rcr": "dlmsample.policies.zoo.rcr:RCR",
        "p2": "dlmsample.policies.zoo.p2:P2",
        "remdm": "dlmsample.policies.zoo.remdm:ReMDM",
        "tolerator": "dlmsample.policies.zoo.tolerator:Tolerator",
        "wino": "dlmsample.policies.zoo.wino:WINO",
        "pc_sampler": "dlmsample.policies.zoo.pc_sampler:PCSampler",
        "prophet": "dlmsample.policies.zoo.prophet:Prophet",
        "klass": "dlmsample.policies.zoo.klass:KLASS",
        "credit": "dlmsample.policies.zoo.credit:CreditDecoding",
        "saber": "dlmsample.policies.zoo.saber:Saber",
        "core": "dlmsample.policies.zoo.core:CoRe",
        "proseco": "dlmsample.policies.zoo.proseco:ProSeCo",
    },
)

#: Another name of a policy -> the name it is listed by.
ALIASES = {"backplay": "dsc"}

#: Stands in for a name where a checkpoint is known that may say what it was trained for.
AUTO = "auto"

#: Built from pieces and not chosen by name, so it is not listed; but its dump is read back by this name.
_COMPOSED = {"chain": "dlmsample.policies.chain:Chain"}


def list_policies() -> list[str]:
    """Names of all policies: built in, and those that installed packages declare under ``dlmsample.policies``.

    Example:
        >>> "t2m" in list_policies()
        True
    """
    return list(POLICIES)


def policy_class(name: str) -> Any:
    """The class of a policy by name or alias; built-in names win over third-party ones.

    Raises:
        ValueError: no such policy; ``auto`` and the path of a file are none.
    """
    if name == AUTO:
        raise ValueError(
            "policy auto is chosen with a checkpoint, by --policy auto or Sampler.from_pretrained: name a policy here; "
            "dlmsample policies auto says which one it is"
        )
    if name.endswith(FILES):
        raise ValueError(
            f"unknown policy {name!r}: files are read by dlmsample.policy alone (--policy); name one here, with the "
            "options that stand in the file"
        )
    if ":" in name:
        plain, _, given = name.partition(":")
        raise ValueError(
            f"unknown policy {name!r}: in Python and in files options stand by themselves, like "
            f"policy({plain!r}, {given.partition(',')[0]})"
        )
    name = ALIASES.get(name, name)
    return resolve(_COMPOSED[name]) if name in _COMPOSED else POLICIES[name]


def policy(name: str | PathLike[str] | Mapping[str, Any], **options: Any) -> Any:
    """A policy by name, or from what :meth:`~dlmsample.policies.base.Policy.entry` or ``save`` has written.

    Args:
        name: of the policy; or a dict with its name under ``policy`` and its options, as in grid files; or the path
            of a JSON or YAML file that holds such a dict (it ends in .json, .yaml or .yml).
        options: of the policy; they win over those of a dict or file.

    Raises:
        ValueError: no such policy, no such option, an option out of range, or a file that holds none.

    Example:
        >>> policy("t2t", fill_threshold=0.5).fill_threshold
        0.5
        >>> policy(policy("t2m", threshold=0.2).entry(), max_remasks=3).threshold
        0.2
    """
    if isinstance(name, PathLike) or (isinstance(name, str) and name.endswith(FILES)):
        from dlmsample.support.yamlfile import document  # pydantic: not for a list of names

        path = fspath(name)
        name = document(path, "policy")[0]
    else:
        path = None
    if isinstance(name, Mapping):
        entry = {str(key): value for key, value in name.items()}
        name = entry.pop("policy", None)
        options = {**entry, **options}
    if not isinstance(name, str):
        what = "this is" if path is None else f"{path!r} holds"
        raise ValueError(f'{what} no policy: give a name, or {{"policy": "t2m", ...}} with its options')
    if path is None:
        return policy_class(name)(**options)
    try:
        return make_policy(name, options)
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from e


def make_policy(name: str, options: dict[str, Any]) -> Any:
    """The policy, or one line about what is wrong with it.

    Raises:
        ValueError: no such policy, no such option, or an option out of range.

    Example:
        >>> make_policy("t2m", {"threshold": 1.5})
        Traceback (most recent call last):
        ValueError: t2m: threshold must be <= 1 (got 1.5)
    """
    cls = policy_class(name)
    for option in options:
        if option not in cls.model_fields:
            raise unknown(f"option of policy {name}", option, cls.model_fields)
    from pydantic import ValidationError

    try:
        return cls(**options)
    except ValidationError as e:
        raise ValueError(str(e)) from e


def changed_options(options: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Options with some of them changed; of a piece, only those that are named, unless its rule is another one.

    Example:
        >>> changed_options({"edit": {"rule": "replace", "threshold": 0.5}}, {"edit": {"threshold": 0.9}})
        {'edit': {'rule': 'replace', 'threshold': 0.9}}
    """
    whole = dict(options)
    for name, value in changed.items():
        old = whole.get(name)
        inside = isinstance(old, Mapping) and isinstance(value, Mapping) and "rule" not in value
        whole[name] = changed_options(old, value) if inside else value  # type: ignore[arg-type]
    return whole
