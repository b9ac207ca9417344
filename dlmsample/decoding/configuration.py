"""What the rows of a call are decoded with, gathered once."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from dlmsample.decoding.request import Form
from dlmsample.decoding.step import Settings
from dlmsample.models.denoiser import Denoiser
from dlmsample.policies.base import Policy
from dlmsample.types import CacheKind


class Sampling(NamedTuple):
    """How candidates are drawn."""

    temperature: float
    top_p: float
    top_k: int | None


class Plan(NamedTuple):
    """What rows are decoded with."""

    model: Denoiser
    settings: Settings
    form: Form
    cache: CacheKind
    refresh: int | None

    @property
    def score(self) -> bool:
        """Whether the correction head runs."""
        return "error" in self.settings.policy.needs


def form_of(model: Denoiser, block_length: int | Literal["all"]) -> Form:
    """How canvases are cut: "all" counts from the prompt's end, whatever the model's alignment."""
    return Form(block_length, block_length == "all" or model.block_alignment == "prompt")


def make_plan(
    model: Denoiser,
    policy: Policy,
    form: Form,
    sampling: Sampling,
    cache: CacheKind,
    refresh: int | None,
    filling: bool,
) -> Plan:
    """The plan for prompts, or for texts with masks: there no EOS ends a row, and special ids are no candidates."""
    eos_ids, special = ((), model.special_ids) if filling else (model.eos_ids, None)
    whole = isinstance(form.block_length, str)
    settings = Settings(
        policy=policy,
        mask_id=model.mask_id,
        eos_ids=torch.tensor(eos_ids, dtype=torch.long, device=model.device),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        cached=cache == "exact",
        special=None if special is None else torch.tensor(special, device=model.device),
        whole=whole,
        gaps=filling and not whole,
    )
    return Plan(model, settings, form, cache, refresh)
