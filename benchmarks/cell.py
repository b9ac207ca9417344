"""One decoder's figures for one job."""

from __future__ import annotations

import gc
import statistics
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch

import dlmsample as ds
from benchmarks import roofline
from benchmarks.captured import Captures
from benchmarks.peers import PEERS, Answer, Job, Opened, Unfit
from benchmarks.timed import Timed

LONG = 10.0  #: seconds: a cell's runs are not repeated beyond that
_SHORT = 1.0  #: seconds: below that, the forward's share is measured in a run of its own


def cell(peer: str, job: Job, machine: roofline.Machine, repeats: int) -> tuple[dict[str, Any], Answer]:
    """Figures, and what the last run gave.

    A first run is not counted. Ours is the whole job, for it compiles and captures what that needs; the others' is one
    block. Nor is a run counted in which something more was captured. The forward's share is measured where it is
    made, by two events for each: in the runs themselves if they take long, so that this is nothing, else in another.

    Raises:
        Unfit: it cannot do the job.
    """
    device = job.prompts.device
    on_gpu = device.type == "cuda"
    kind, short = PEERS[peer], _one_block(job)
    run = kind.open(job)
    before = torch.cuda.memory_allocated() if on_gpu else 0
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with Captures() as captures:
        _, first = timed(run if kind.ours else kind.open(short), device)
        uncounted, times = [first], []
        long = first * (1 if kind.ours else job.new / short.new) >= _SHORT
        while True:
            known = len(captures)
            answer, seconds, clock = _watched(run, device, captures, long)
            fresh = len(captures) > known and len(uncounted) < 3
            (uncounted if fresh else times).append(seconds)
            if len(times) >= repeats or sum(times) >= LONG:
                break
        peak = torch.cuda.max_memory_allocated() - before + held(run.model) if on_gpu else None
        if not long:
            answer, seconds, clock = _watched(run, device, captures, True)
    each = statistics.median(times)
    figures = {
        "tokens_per_s": sum(map(len, answer.tokens)) / each,
        "seconds": each,
        "spread": [min(times), max(times)],
        "first_seconds": first if kind.ours else None,
        "first_extra_seconds": sum(max(0.0, s - each) for s in uncounted) if kind.ours else None,
        "steps": answer.steps,
        "forwards": answer.forwards,
        "ms_per_step": 1000 * each / answer.steps,
        **forwards(run, answer, seconds, clock, captures, device),
        **bounds(job, machine, each / answer.steps, answer.steps, kind.approximate),
        "peak_gib": None if peak is None else peak / 2**30,
        "digest": digest(answer),
    }
    if kind.approximate:
        figures["approximate"] = True
    return figures, answer


def _one_block(job: Job) -> Job:
    """The same with as few new tokens as fill whole blocks."""
    return Job(job.model, job.prompts, (job.new - 1) % job.width + 1, job.policy)


def timed(run: Callable[[], Answer], device: torch.device) -> tuple[Answer, float]:
    """What a run gives, and its seconds."""
    roofline.synchronize(device)
    begun = time.perf_counter()
    answer = run()
    roofline.synchronize(device)
    return answer, time.perf_counter() - begun


def _watched(run: Opened, device: torch.device, captures: Captures, watch: bool) -> tuple[Answer, float, Timed]:
    """The same, and a clock that was on body and LM head meanwhile, if so wanted."""
    captures.begin()
    with Timed(device, *((run.model.body, run.model.lm_head) if watch else ())) as clock:
        answer, seconds = timed(run, device)
    return answer, seconds, clock


def forwards(
    run: Opened, answer: Answer, seconds: float, clock: Timed, captures: Captures, device: torch.device
) -> dict[str, Any]:
    """Of a run's seconds, what goes to forwards: those that were launched, and those that were captured.

    None where it cannot be told: rows that end at different times, modules that are read another way.
    """
    found: dict[str, Any] = {"forward_share": None, "captured": None}
    if not captures.played:
        if clock.calls >= 2 * answer.forwards - 1:  # a prompt's forward needs no logits
            found["forward_share"] = clock.seconds() / seconds
        return found
    launched = clock.seconds()
    played = captures.times(run.model.lm_head, device) if answer.together else None
    if played is not None:
        found["forward_share"] = (launched + played.bodies + played.forward) / seconds
        found["captured"] = {
            "forwards": played.forwards,
            "ms_forward": 1000 * played.forward / played.forwards,
            "ms_with_update": 1000 * played.whole / played.forwards,
            "ms_bodies": 1000 * played.bodies / played.forwards,
        }
    return found


def bounds(job: Job, machine: roofline.Machine, each: float, steps: int, approximate: str = "") -> dict[str, Any]:
    """A step of ``each`` seconds, of so many, against what it must do at the least."""
    rows, prompt = job.prompts.shape
    return against(machine, each, roofline.work(job.model, rows, prompt, job.new, steps, approximate))


def against(machine: roofline.Machine, each: float, least: roofline.Work) -> dict[str, Any]:
    """A step of ``each`` seconds against this work."""
    return {
        "step_bytes": least.bytes,
        "step_flops": least.flops,
        "cache_bytes": least.cache_bytes,
        "memory_share": least.bytes / each / machine.bytes_per_s,
        "roofline_share": least.seconds(machine) / each,
    }


def held(model: ds.Denoiser) -> int:
    """Bytes of a model's weights."""
    tensors = [*model.module.parameters(), *model.module.buffers()]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def digest(answer: Answer) -> int:
    """A number that equal tokens share."""
    total = 0
    for row in answer.tokens:
        for token in row:
            total = (total * 1000003 + token) % (1 << 61)
    return total


def agreement(one: Answer, two: Answer) -> float:
    """The share of positions with the same token.

    Example:
        >>> agreement(Answer([[1, 2], [3, 4]], 1, 1), Answer([[1, 2], [3, 5]], 1, 1))
        0.75
    """
    pairs = [a == b for x, y in zip(one.tokens, two.tokens, strict=True) for a, b in zip(x, y, strict=True)]
    return sum(pairs) / len(pairs)


def attempt(peer: str, job: Job, machine: roofline.Machine, repeats: int) -> tuple[dict[str, Any], Answer | None]:
    """A cell, or why there is none."""
    try:
        return cell(peer, job, machine, repeats)
    except Unfit as e:
        return {"skipped": f"{peer} {e}"}, None
    except torch.OutOfMemoryError:
        return {"skipped": "out of memory"}, None
    except Exception as e:  # others' code may raise anything, and the cells that follow are worth having
        traceback.print_exc()
        return {"skipped": f"failed: {type(e).__name__}: {e}"}, None
    finally:
        gc.collect()
        if job.prompts.device.type == "cuda":
            torch.cuda.empty_cache()
