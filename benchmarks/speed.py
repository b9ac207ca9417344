"""Tokens per second of dlmsample and of other decoders, side by side: same weights, prompts, policy, steps and tokens.

    python -m benchmarks.speed --json benchmarks/results/speed.json --seconds 1500
    python -m benchmarks.speed --plot benchmarks/results/speed.json speed.svg
    python -m benchmarks.speed --table benchmarks/results/speed.json
    python -m benchmarks.speed --merge benchmarks/results/speed.json part1.json part2.json

Bodies of published shapes with random weights (see ``benchmarks.shapes``) and nano; all decoders run the same stock
module in the same dtype with SDPA attention. The policy commits a fixed number of tokens a step, so that all make the
same number of steps; EOS is ignored. Blocks are counted from the canvas's first token, ``llada_8b_causal`` being
``llada_8b`` made block-causal.
Each cell is run several times after a first, uncounted run (unless that alone took long); the median is given. The
forward's share is measured in a run of its own, with events around body and LM head; captured forwards have none.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

import dlmsample as ds
from benchmarks import roofline, shapes
from benchmarks.peers import PEERS, Answer, Job, Unfit
from benchmarks.quality import device_name, parse_policy
from benchmarks.speed_report import merge, plot, table
from benchmarks.timed import Timed

SHAPES: dict[str, str] = {
    "nano": "nano",
    "sdar_4b": "sdar_4b",
    "llada2_mini": "llada2_mini",
    "llada_8b_causal": "llada_8b",
    "llada_8b": "llada_8b",
}
"""Name -> where its weights come from; neighbours share them."""
BATCHES = (1, 8, 32, 128)
POLICY = "unmask:tokens_per_step=4"
LONG = 10.0  # seconds: a cell's runs are not repeated beyond that


def open_model(name: str, base: ds.Denoiser) -> ds.Denoiser:
    """The checkpoint that a shape's name stands for, on the weights of ``base``."""
    facts = replace(base.facts, eos_ids=())
    if name == "llada_8b_causal":
        facts = replace(facts, attention="block_causal", block_length=32)
    if facts.attention == "block_causal":
        facts = replace(facts, block_alignment="absolute")
    return replace(base, name=name, tokenizer=None, facts=facts)


def base_model(name: str, device: str, dtype: torch.dtype, small: bool) -> ds.Denoiser:
    """Weights: nano's own, or random ones of a published shape."""
    if name == "nano":
        return ds.load("nano", device=device, dtype=str(dtype).removeprefix("torch."))
    return shapes.build(name, device, dtype, small)


def cell(peer: str, job: Job, machine: roofline.Machine, repeats: int) -> dict[str, Any]:
    """One decoder's figures for one job.

    Raises:
        Unfit: it cannot do the job.
    """
    device, on_gpu = job.prompts.device, job.prompts.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    run = PEERS[peer].open(job)
    answer, first = timed(run, device)
    times = []
    while first + sum(times) < LONG and len(times) < repeats:
        answer, seconds = timed(run, device)
        times.append(seconds)
    peak = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None
    rows, seconds = len(job.prompts), statistics.median(times or [first])
    least = roofline.work(job.model, rows, job.prompts.shape[1], job.new)
    each = seconds / answer.steps
    return {
        "tokens_per_s": sum(map(len, answer.tokens)) / seconds,
        "seconds": seconds,
        "spread": [min(times), max(times)] if times else None,
        "first_seconds": first,
        "steps": answer.steps,
        "forwards": answer.forwards,
        "ms_per_step": 1000 * each,
        "forward_share": forward_share(run, job, answer) if first < LONG else None,
        "step_bytes": least.bytes,
        "step_flops": least.flops,
        "memory_share": least.bytes / each / machine.bytes_per_s,
        "roofline_share": least.seconds(machine) / each,
        "peak_gib": peak,
        "digest": digest(answer),
    }


def timed(run: Callable[[], Answer], device: torch.device) -> tuple[Answer, float]:
    """What a run gives, and its seconds."""
    roofline.synchronize(device)
    begun = time.perf_counter()
    answer = run()
    roofline.synchronize(device)
    return answer, time.perf_counter() - begun


def forward_share(run: Callable[[], Answer], job: Job, answer: Answer) -> float | None:
    """Of a run's time, what goes to body and LM head; None where forwards are played back and call no module."""
    with Timed(job.prompts.device, job.model.body, job.model.lm_head) as clock:
        _, seconds = timed(run, job.prompts.device)
    return clock.seconds() / seconds if clock.calls >= 2 * answer.forwards - 1 else None


def digest(answer: Answer) -> int:
    """A number that equal tokens share."""
    total = 0
    for row in answer.tokens:
        for token in row:
            total = (total * 1000003 + token) % (1 << 61)
    return total


def cells(args: argparse.Namespace, begun: float) -> Iterator[dict[str, Any]]:
    """What the machine can do, then every cell asked for; those that cannot be done say why under ``skipped``."""
    dtype = torch.float32 if args.device == "cpu" else torch.bfloat16
    machine = roofline.measure(torch.device(args.device), dtype)
    yield {"machine": asdict(machine)}
    base: ds.Denoiser | None = None
    for name in args.shape or SHAPES:
        if base is None or base.name != SHAPES[name]:
            base = None  # two large bodies need not fit
            gc.collect()
            base = base_model(SHAPES[name], args.device, dtype, args.small)
        yield from of_shape(open_model(name, base), args, machine, begun + args.seconds)


def of_shape(
    model: ds.Denoiser, args: argparse.Namespace, machine: roofline.Machine, end: float
) -> Iterator[dict[str, Any]]:
    """A shape's cells; none is begun after ``end``, nor one that is likely to go on far beyond it."""
    took: dict[tuple[str, str], tuple[int, float]] = {}  # of the latest batch: rows, seconds of the whole cell
    for batch in args.batch or ((1, 2) if args.small else BATCHES):
        draw = torch.Generator().manual_seed(0)
        prompts = torch.randint(10, model.vocab_size // 2, (batch, args.prompt), generator=draw).to(args.device)
        for text, peer in product(args.policy or [POLICY], args.peer or PEERS):
            head = {"shape": model.name, "peer": peer, "policy": text, "batch": batch}
            rows, seconds = took.get((text, peer), (batch, 0.0))
            start = time.perf_counter()
            if start + seconds * batch / rows / 2 > end:  # half: a small batch leaves a machine idle
                yield head | {"skipped": "no time left"}
                continue
            job = Job(model, prompts, args.new, parse_policy(text)[0])
            yield head | attempt(peer, job, machine, args.repeats)
            took[text, peer] = batch, time.perf_counter() - start


def attempt(peer: str, job: Job, machine: roofline.Machine, repeats: int) -> dict[str, Any]:
    """A cell, or why there is none."""
    try:
        return cell(peer, job, machine, repeats)
    except Unfit as e:
        return {"skipped": f"{peer} {e}"}
    except torch.OutOfMemoryError:
        return {"skipped": "out of memory"}
    except Exception as e:  # others' code may raise anything, and the cells that follow are worth having
        traceback.print_exc()
        return {"skipped": f"failed: {type(e).__name__}: {e}"}
    finally:
        gc.collect()
        if job.prompts.device.type == "cuda":
            torch.cuda.empty_cache()


def profile(args: argparse.Namespace) -> None:
    """A trace of two blocks by the first decoder asked for, for ``chrome://tracing`` or Perfetto."""
    dtype = torch.float32 if args.device == "cpu" else torch.bfloat16
    name, batch = (args.shape or ["sdar_4b"])[0], (args.batch or [1])[0]
    model = open_model(name, base_model(SHAPES[name], args.device, dtype, args.small))
    prompts = torch.randint(10, model.vocab_size // 2, (batch, args.prompt), generator=torch.Generator().manual_seed(0))
    policy, _ = parse_policy((args.policy or [POLICY])[0])
    job = Job(model, prompts.to(args.device), 2 * model.block_length, policy)
    run = PEERS[(args.peer or ["ours"])[0]].open(job)
    run()
    with torch.profiler.profile() as trace:
        run()
        roofline.synchronize(job.prompts.device)
    trace.export_chrome_trace(str(args.profile))
    order = "self_cuda_time_total" if args.device != "cpu" else "self_cpu_time_total"
    print(trace.key_averages().table(sort_by=order, row_limit=25))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", action="append", choices=list(SHAPES), help="default: all")
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="default: all")
    parser.add_argument("--policy", action="append", help=f"default: {POLICY}; also t2t, unmask:threshold=X")
    parser.add_argument("--batch", type=int, action="append", help=f"default: {' '.join(map(str, BATCHES))}")
    parser.add_argument("--prompt", type=int, help="tokens; default: 128 (--small: 32)")
    parser.add_argument("--new", type=int, help="tokens; default: 256 (--small: 64)")
    parser.add_argument("--repeats", type=int, help="default: 3 (--small: 1)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no cell after this time")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny bodies: whether it runs at all")
    parser.add_argument("--json", type=Path, help="write the results here, after every cell")
    parser.add_argument("--profile", type=Path, metavar="TRACE", help="only write a profiler's trace of one short run")
    parser.add_argument("--plot", type=Path, nargs=2, metavar=("RESULTS", "SVG"), help="only draw these results")
    parser.add_argument("--table", type=Path, metavar="RESULTS", help="only print these results as Markdown")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="only write the first from the others")
    args = parser.parse_args()
    args.prompt = args.prompt or (32 if args.small else 128)
    args.new = args.new or (64 if args.small else 256)
    args.repeats = args.repeats or (1 if args.small else 3)
    if args.table:
        print(table(read(args.table)))
    elif args.plot:
        args.plot[1].write_text(plot(read(args.plot[0])), encoding="utf-8")
    elif args.merge:
        write(merge([read(path) for path in args.merge[1:]]), args.merge[0])
    elif args.profile:
        profile(args)
    else:
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """All cells, printed and written one by one."""
    record: dict[str, Any] = {
        "command": ["python -m benchmarks.speed " + " ".join(sys.argv[1:])],
        "device": torch.cuda.get_device_name() if args.device != "cpu" else device_name(ds.load("nano")),
        "torch": torch.__version__,
        "versions": {name: version(name) for name in ("transformers", "diffusers")},
        "prompt_tokens": args.prompt,
        "new_tokens": args.new,
        "cells": [],
    }
    for found in cells(args, time.perf_counter()):
        print(json.dumps(found), flush=True)
        if "machine" in found:
            record |= found
            continue
        record["cells"].append(found)
        if args.json:
            write(record, args.json)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write(record: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
