"""One Sampler and interchangeable decoding policies for masked and block-diffusion language models.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlmsample import tasks as tasks
    from dlmsample.ablate.run import run as ablate
    from dlmsample.decoding.custom_generate import custom_generate as custom_generate
    from dlmsample.decoding.grow.daedal import Daedal as Daedal
    from dlmsample.decoding.hub_generate import push_custom_generate as push_custom_generate
    from dlmsample.decoding.live import watch as watch
    from dlmsample.decoding.sampler import Sampler as Sampler
    from dlmsample.models.denoiser import Denoiser as Denoiser
    from dlmsample.models.embedded import list_models as list_models
    from dlmsample.models.loading import load as load
    from dlmsample.policies import detect as detect
    from dlmsample.policies import edit as edit
    from dlmsample.policies import fill as fill
    from dlmsample.policies.base import Policy as Policy
    from dlmsample.policies.chain import chain as chain
    from dlmsample.policies.d3im import D3IM as D3IM
    from dlmsample.policies.dsc import DSC as DSC
    from dlmsample.policies.dsc import BackPlay as BackPlay
    from dlmsample.policies.registry import list_policies as list_policies
    from dlmsample.policies.registry import policy as policy
    from dlmsample.policies.t2m import T2M as T2M
    from dlmsample.policies.t2t import T2T as T2T
    from dlmsample.policies.unmask import Unmask as Unmask
    from dlmsample.policies.zoo.core import CoRe as CoRe
    from dlmsample.policies.zoo.credit import CreditDecoding as CreditDecoding
    from dlmsample.policies.zoo.klass import KLASS as KLASS
    from dlmsample.policies.zoo.p2 import P2 as P2
    from dlmsample.policies.zoo.pc_sampler import PCSampler as PCSampler
    from dlmsample.policies.zoo.prophet import Prophet as Prophet
    from dlmsample.policies.zoo.proseco import ProSeCo as ProSeCo
    from dlmsample.policies.zoo.rcr import RCR as RCR
    from dlmsample.policies.zoo.remdm import ReMDM as ReMDM
    from dlmsample.policies.zoo.saber import Saber as Saber
    from dlmsample.policies.zoo.tolerator import Tolerator as Tolerator
    from dlmsample.policies.zoo.wino import WINO as WINO
    from dlmsample.train import train as train
    from dlmsample.types import Answer as Answer
    from dlmsample.types import Block as Block
    from dlmsample.types import Draft as Draft
    from dlmsample.types import Event as Event
    from dlmsample.types import Output as Output
    from dlmsample.types import Prediction as Prediction
    from dlmsample.types import RowStats as RowStats
    from dlmsample.types import Update as Update

__version__ = "0.1.0"

_EXPORTS = {
    "Answer": "types",
    "BackPlay": "policies.dsc",
    "Block": "types",
    "CoRe": "policies.zoo.core",
    "CreditDecoding": "policies.zoo.credit",
    "D3IM": "policies.d3im",
    "DSC": "policies.dsc",
    "Daedal": "decoding.grow.daedal",
    "Denoiser": "models.denoiser",
    "Draft": "types",
    "Event": "types",
    "KLASS": "policies.zoo.klass",
    "Output": "types",
    "P2": "policies.zoo.p2",
    "PCSampler": "policies.zoo.pc_sampler",
    "Policy": "policies.base",
    "Prediction": "types",
    "ProSeCo": "policies.zoo.proseco",
    "Prophet": "policies.zoo.prophet",
    "RCR": "policies.zoo.rcr",
    "ReMDM": "policies.zoo.remdm",
    "RowStats": "types",
    "Saber": "policies.zoo.saber",
    "Sampler": "decoding.sampler",
    "T2M": "policies.t2m",
    "T2T": "policies.t2t",
    "Tolerator": "policies.zoo.tolerator",
    "Unmask": "policies.unmask",
    "Update": "types",
    "WINO": "policies.zoo.wino",
    "chain": "policies.chain",
    "custom_generate": "decoding.custom_generate",
    "list_models": "models.embedded",
    "list_policies": "policies.registry",
    "load": "models.loading",
    "policy": "policies.registry",
    "push_custom_generate": "decoding.hub_generate",
    "watch": "decoding.live",
}
_MODULES = {
    "ablate": "ablate",
    "detect": "policies.detect",
    "edit": "policies.edit",
    "fill": "policies.fill",
    "tasks": "tasks",
    "train": "train",
}
__all__ = [
    "D3IM",
    "DSC",
    "KLASS",
    "P2",
    "RCR",
    "T2M",
    "T2T",
    "WINO",
    "Answer",
    "BackPlay",
    "Block",
    "CoRe",
    "CreditDecoding",
    "Daedal",
    "Denoiser",
    "Draft",
    "Event",
    "Output",
    "PCSampler",
    "Policy",
    "Prediction",
    "ProSeCo",
    "Prophet",
    "ReMDM",
    "RowStats",
    "Saber",
    "Sampler",
    "Tolerator",
    "Unmask",
    "Update",
    "ablate",
    "chain",
    "custom_generate",
    "detect",
    "edit",
    "fill",
    "list_models",
    "list_policies",
    "load",
    "policy",
    "push_custom_generate",
    "tasks",
    "train",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"dlmsample.{_MODULES[name]}")
    if name in _EXPORTS:
        return getattr(import_module(f"dlmsample.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'dlmsample' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
