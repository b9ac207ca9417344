"""dlmsample's own Sampler."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any
from weakref import WeakKeyDictionary

import dlmsample as ds
from benchmarks.peers.rule import Answer, Job, Opened, Unfit
from dlmsample.models.attention.approximate import Approximation
from dlmsample.models.fusion.fuse import fuse

_FUSED: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""Module -> its compiled copy: what is compiled for one job serves the next ones."""


def open_sampler(job: Job) -> Opened:
    """As it comes."""
    return _open(job)


def open_fused(job: Job) -> Opened:
    """As it comes, compiled as ``load(..., compile=True)`` does; on a copy of the module that shares its weights."""
    return _open(_compiled(job))


def open_plain(job: Job) -> Opened:
    """Every kernel launched one by one."""
    return _open(job, graphs=False)


def open_approximate(kind: Approximation, job: Job, compiled: bool = False, graphs: bool = True) -> Opened:
    """As it comes, or ``compiled``, or without ``graphs``: keys and values of other blocks a few forwards old.

    Raises:
        Unfit: a checkpoint that has an exact cache.
    """
    if job.model.attention != "bidirectional":
        raise Unfit("is for bidirectional checkpoints")
    return _open(_compiled(job) if compiled else job, cache=kind, graphs=graphs)


def _compiled(job: Job) -> Job:
    """The job on a compiled copy of its module."""
    module = job.model.module
    if module not in _FUSED:
        _FUSED[module] = fuse(copy.deepcopy(module, {id(weight): weight for weight in module.parameters()}))
    return dataclasses.replace(job, model=dataclasses.replace(job.model, module=_FUSED[module]))


def _open(job: Job, **options: Any) -> Opened:
    sampler = ds.Sampler(job.model, job.policy, batch_size=len(job.prompts), **options)
    prompts = job.prompts.tolist()

    def run() -> Answer:
        out = sampler.generate(prompts, max_new_tokens=job.new)
        longest = max(out.stats, key=lambda row: row.nfe)
        together = len({row.nfe for row in out.stats}) == 1
        return Answer(out.tokens, longest.nfe + longest.prefill, longest.steps, together)

    return Opened(job.model, run)
