"""dlmsample's own Sampler."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import dlmsample as ds
from benchmarks.peers.rule import Answer, Job
from dlmsample.models.fuse import fuse


def open_sampler(job: Job) -> Callable[[], Answer]:
    """As it comes."""
    return _open(job)


def open_fused(job: Job) -> Callable[[], Answer]:
    """As it comes, norms and MLPs compiled; on a copy of the module that shares its weights."""
    weights = {id(weight): weight for weight in job.model.module.parameters()}
    module = fuse(copy.deepcopy(job.model.module, weights))
    return _open(dataclasses.replace(job, model=dataclasses.replace(job.model, module=module)))


def open_plain(job: Job) -> Callable[[], Answer]:
    """Every kernel launched one by one."""
    return _open(job, graphs=False)


def _open(job: Job, **options: Any) -> Callable[[], Answer]:
    sampler = ds.Sampler(job.model, job.policy, batch_size=len(job.prompts), **options)
    prompts = job.prompts.tolist()

    def run() -> Answer:
        out = sampler.generate(prompts, max_new_tokens=job.new)
        longest = max(out.stats, key=lambda row: row.nfe)
        return Answer(out.tokens, longest.nfe + longest.prefill, longest.steps)

    return run
