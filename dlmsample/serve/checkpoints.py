"""The checkpoints that a server has: each of them one with an adapter, under a name of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python

from dlmsample.models.denoiser import Denoiser
from dlmsample.policies.base import Policy
from dlmsample.policies.registry import POLICIES
from dlmsample.support.registry import unknown


class ServedPolicy(NamedTuple):
    """A policy, and the Sampler's options that go with it: block length, temperature, top-p, top-k."""

    policy: Policy
    options: Mapping[str, Any] = MappingProxyType({})  #: only those that are not the Sampler's own default


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded checkpoint, and how its answers are decoded where a request does not say.

    A request that names a policy of its own gets ``options`` and nothing of what goes with other policies.

    Raises:
        ValueError: it has no tokenizer, or its rows must not be padded.
    """

    name: str  #: what requests call it
    model: Denoiser
    default: ServedPolicy  #: of requests that name no policy
    recommended: ServedPolicy | None = None  #: what a request's policy "auto" means; None: nothing is recommended
    options: Mapping[str, Any] = field(default_factory=dict)  #: of the Sampler, whatever the policy
    encoder: Denoiser = field(init=False)  #: the same with a tokenizer that requests alone use

    def __post_init__(self) -> None:
        if self.model.tokenizer is None:
            raise ValueError(f"{self.name} has no tokenizer, so it cannot be served: put its files into the folder")
        if self.model.interface.equal_lengths:
            raise ValueError(
                f"{self.name} cannot be served: its rows must not be padded, and requests share a batch; "
                "decode with Sampler.generate, which batches equal lengths"
            )
        # Requests are encoded while the engine decodes; a tokenizer is not for two threads at a time.
        own = replace(self.model, tokenizer=copy.deepcopy(self.model.tokenizer))
        object.__setattr__(self, "encoder", own)

    def described(self) -> dict[str, Any]:
        """What ``/v1/models`` tells of it."""
        model = self.model
        return {
            "id": self.name,
            "object": "model",
            "created": 0,
            "owned_by": "dlmsample",
            "dlmsample": {
                "checkpoint": model.name,
                "adapter": model.adapter,
                "head": model.head_name,
                "attention": model.attention,
                "block_length": {**self.default.options, **self.options}.get("block_length") or model.block_length,
                "context": model.context,
                "chat": bool(getattr(model.tokenizer, "chat_template", None)),
                "policy": policy_told(self.default.policy),
                "recommended": None if self.recommended is None else policy_told(self.recommended.policy),
            },
        }


def policies_told() -> list[dict[str, Any]]:
    """What ``/v1/policies`` tells: the built-in policies with their options and defaults; None where one must be given.

    Example:
        >>> next(row["options"]["max_remasks"] for row in policies_told() if row["policy"] == "t2m")
        1
    """
    rows = []
    for name in POLICIES.built_in:
        cls = POLICIES[name]
        defaults = {
            option: None if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=True))
            for option, field in cls.model_fields.items()
        }
        rows.append({"policy": name, "summary": cls.summary, "paper": cls.paper, "options": defaults})
    return rows


def policy_told(policy: Policy) -> dict[str, Any]:
    """A policy with all its options, as a request can give it.

    Example:
        >>> from dlmsample import Unmask
        >>> policy_told(Unmask(steps=8))["policy"], policy_told(Unmask(steps=8))["options"]["steps"]
        ('unmask', 8)
    """
    return {"policy": policy.name, "options": policy.model_dump(mode="json")}


def served_name(model: str, adapter: str | None) -> str:
    """What a checkpoint with an adapter is called.

    Example:
        >>> served_name("nano", None), served_name("nano", "scope")
        ('nano', 'nano+scope')
    """
    return model if adapter is None else f"{model}+{adapter}"


class UnknownModel(ValueError):
    """There is no checkpoint of the name that a body gives."""


def find(models: Mapping[str, ServedModel], name: str) -> ServedModel:
    """The checkpoint of a name.

    Raises:
        UnknownModel: there is none; the nearest name is told.
    """
    if name not in models:
        raise UnknownModel(unknown("model", name[:200], models))
    return models[name]
