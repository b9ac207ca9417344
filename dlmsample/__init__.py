"""One Sampler and interchangeable edit policies for masked and block-diffusion language models.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlmsample import tasks as tasks
    from dlmsample.decoding.custom_generate import custom_generate as custom_generate
    from dlmsample.decoding.hub_generate import push_custom_generate as push_custom_generate
    from dlmsample.decoding.sampler import Sampler as Sampler
    from dlmsample.models.denoiser import Denoiser as Denoiser
    from dlmsample.models.loading import load as load
    from dlmsample.policies import detect as detect
    from dlmsample.policies import edit as edit
    from dlmsample.policies import fill as fill
    from dlmsample.policies.base import Policy as Policy
    from dlmsample.policies.chain import chain as chain
    from dlmsample.policies.d3im import D3IM as D3IM
    from dlmsample.policies.dsc import DSC as DSC
    from dlmsample.policies.registry import list_policies as list_policies
    from dlmsample.policies.registry import policy as policy
    from dlmsample.policies.t2m import T2M as T2M
    from dlmsample.policies.t2t import T2T as T2T
    from dlmsample.policies.unmask import Unmask as Unmask
    from dlmsample.types import Block as Block
    from dlmsample.types import Event as Event
    from dlmsample.types import Output as Output
    from dlmsample.types import Prediction as Prediction
    from dlmsample.types import RowStats as RowStats
    from dlmsample.types import Update as Update

__version__ = "0.1.0"

_EXPORTS = {
    "D3IM": "policies.d3im",
    "DSC": "policies.dsc",
    "T2M": "policies.t2m",
    "T2T": "policies.t2t",
    "Block": "types",
    "Denoiser": "models.denoiser",
    "Event": "types",
    "Output": "types",
    "Policy": "policies.base",
    "Prediction": "types",
    "RowStats": "types",
    "Sampler": "decoding.sampler",
    "Unmask": "policies.unmask",
    "Update": "types",
    "custom_generate": "decoding.custom_generate",
    "list_policies": "policies.registry",
    "load": "models.loading",
    "policy": "policies.registry",
    "push_custom_generate": "decoding.hub_generate",
    "chain": "policies.chain",
}
_MODULES = {"detect": "policies.detect", "edit": "policies.edit", "fill": "policies.fill", "tasks": "tasks"}
__all__ = [*_EXPORTS, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"dlmsample.{_MODULES[name]}")
    if name in _EXPORTS:
        return getattr(import_module(f"dlmsample.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'dlmsample' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
