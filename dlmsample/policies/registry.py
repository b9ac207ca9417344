"""Policies by name, for the command line and grid files."""

from __future__ import annotations

from typing import Any

from dlmsample.support.registry import Registry, resolve

POLICIES = Registry(
    "policy",
    "dlmsample.policies",
    {
        "unmask": "dlmsample.policies.unmask:Unmask",
        "t2t": "dlmsample.policies.t2t:T2T",
        "t2m": "dlmsample.policies.t2m:T2M",
        "d3im": "dlmsample.policies.d3im:D3IM",
        "dsc": "dlmsample.policies.dsc:DSC",
        "pc_sampler": "dlmsample.policies.zoo.pc_sampler:PCSampler",
        "prophet": "dlmsample.policies.zoo.prophet:Prophet",
        "klass": "dlmsample.policies.zoo.klass:KLASS",
        "credit": "dlmsample.policies.zoo.credit:CreditDecoding",
        "saber": "dlmsample.policies.zoo.saber:Saber",
        "core": "dlmsample.policies.zoo.core:CoRe",
    },
)

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
    """The class of a policy by name; built-in names win over third-party ones.

    Raises:
        ValueError: no such policy.
    """
    return resolve(_COMPOSED[name]) if name in _COMPOSED else POLICIES[name]


def policy(name: str, **options: Any) -> Any:
    """A policy by name.

    Raises:
        ValueError: no such policy, no such option, or an option out of range.

    Example:
        >>> policy("t2t", fill_threshold=0.5).fill_threshold
        0.5
    """
    return policy_class(name)(**options)
