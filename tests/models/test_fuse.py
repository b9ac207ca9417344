"""Compiled norms and MLPs: the parts that are meant, and the tokens that come without."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

import dlmsample as ds
from dlmsample.models.fuse import fuse


def test_norms_and_mlps_are_compiled_and_nothing_else(nano: ds.Denoiser) -> None:
    module = fuse(copy.deepcopy(nano.module), backend="eager")
    compiled = {type(part).__name__ for part in module.modules() if part._compiled_call_impl is not None}
    assert compiled == {"Qwen3RMSNorm", "Qwen3MLP"}
    assert all(part._compiled_call_impl is None for part in nano.module.modules())


def test_the_same_tokens(nano: ds.Denoiser) -> None:
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=2)]
    model = replace(nano, module=fuse(copy.deepcopy(nano.module), backend="eager"))
    texts = [ds.Sampler(m, ds.Unmask(tokens_per_step=8)).generate(prompts, 64).texts for m in (model, nano)]
    assert texts[0] == texts[1]
    torch._dynamo.reset()
