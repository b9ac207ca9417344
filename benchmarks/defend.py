"""Our fast path against what libraries offer in its place, part by part, on one GPU.

    python -m benchmarks.defend --out benchmarks/results/defend.json
    python -m benchmarks.defend --shape nano --batch 1 --alternative ours --alternative flex
    python -m benchmarks.defend --shape tiny --device cpu
    python -m benchmarks.defend --table benchmarks/results/defend.json

A step is one forward of the active block of 32 positions over an exact cache that holds the prompt, with the LM head
and the policy's update; see ``benchmarks.alternatives``. All alternatives of a shape run on the same weights, prompts
and policy in one process. ``ratio`` is the time of our step over the alternative's: below 1 ours is faster. ``agrees``
is the share of answer positions with our token: with random weights in bfloat16 rounding decides between many
candidates (``--dtype float32``). What is compiled or captured at first is ``first_seconds``, and is not in a step.

A cell that would not end within ``--limit-seconds`` is left out and says so; the file is written after every cell.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import dlmsample as ds
from benchmarks import roofline
from benchmarks.alternatives import ALTERNATIVES, Alternative, Step, compiling, differs, prepared
from benchmarks.quality import parse_policy
from benchmarks.speed import base_model, open_model, read, version, write

SHAPES = {
    "llada_8b": ("llada_8b", "llada_8b_causal"),
    "nano": ("nano", "nano"),
    "tiny": ("llada_8b", "llada_8b_causal"),
}
"""Name -> where its weights come from, and which checkpoint is made of them; tiny is a small one of LLaDA's kind."""
BATCHES = (1, 32, 8)
POLICY = "unmask:tokens_per_step=4"
_UNKNOWN = 25.0  #: seconds that the first cell of an alternative may take


def cells(args: argparse.Namespace, begun: float) -> Iterator[dict[str, Any]]:
    """Every cell asked for; those that cannot be done say why under ``skipped``."""
    dtype = getattr(torch, args.dtype)
    took: dict[tuple[str, str], float] = {}
    for shape in args.shape:
        source, name = SHAPES[shape]
        model = open_model(name, base_model(source, args.device, dtype, small=shape == "tiny"))
        ours: dict[int, dict[str, Any]] = {}
        answers: dict[int, torch.Tensor] = {}
        for alternative in args.alternative:
            ready = prepared(model, ALTERNATIVES[alternative], args.backend)
            for batch in args.batch:
                head = {"shape": shape, "batch": batch, "alternative": alternative}
                if not differs(ALTERNATIVES[alternative], batch * model.block_length):
                    yield head | {"skipped": "the same as ours: it is for few rows"}
                    continue
                expected = took.get((shape, alternative), _UNKNOWN if args.device != "cpu" else 0.0)
                if time.perf_counter() + expected > begun + args.limit_seconds:
                    yield head | {"skipped": "no time left"}
                    continue
                start = time.perf_counter()
                figures, canvas = attempt(ready, ALTERNATIVES[alternative], batch, args)
                took[shape, alternative] = time.perf_counter() - start
                if canvas is not None:
                    first = ours.setdefault(batch, figures) if alternative == "ours" else ours.get(batch)
                    answer = answers.setdefault(batch, canvas) if alternative == "ours" else answers.get(batch)
                    figures["ratio"] = first["ms_per_step"] / figures["ms_per_step"] if first else None
                    figures["agrees"] = (answer == canvas).float().mean().item() if answer is not None else None
                yield head | figures
            del ready
            torch.compiler.reset()
            forget(args.device)
        del model
        forget(args.device)


def attempt(
    model: ds.Denoiser, alternative: Alternative, batch: int, args: argparse.Namespace
) -> tuple[dict[str, Any], torch.Tensor | None]:
    """Figures and the answers, or why there are none."""
    try:
        with compiling(alternative):
            return cell(model, alternative, batch, args)
    except Exception as e:  # a compiler may stumble over anything, and the cells that follow are worth having
        traceback.print_exc()
        return {"skipped": f"failed: {type(e).__name__}: {' '.join(str(e).split())[:300]}"}, None
    finally:
        forget(args.device)


def cell(
    model: ds.Denoiser, alternative: Alternative, batch: int, args: argparse.Namespace
) -> tuple[dict[str, Any], torch.Tensor]:
    """Figures of one alternative, and the answers of the last repeat ``[row, pos]``."""
    device, new = model.device, 2 * model.block_length
    policy = parse_policy(POLICY)[0]
    draw = torch.Generator().manual_seed(0)
    prompts = torch.randint(10, model.vocab_size // 2, (batch, args.prompt), generator=draw)
    torch._dynamo.utils.counters.clear()
    begun = time.perf_counter()
    step = Step(model, alternative, policy, prompts, new, args.backend)
    roofline.synchronize(device)
    prepared_in = time.perf_counter() - begun
    times = []
    for _ in range(args.repeats + 1):  # the first is not counted
        step.reset()
        roofline.synchronize(device)
        begun = time.perf_counter()
        for _ in range(args.steps):
            step()
        roofline.synchronize(device)
        times.append((time.perf_counter() - begun) / args.steps)
    each = statistics.median(times[1:])
    compiler = torch._dynamo.utils.counters["inductor"]
    figures = {
        "replaces": alternative.replaces,
        "ms_per_step": 1000 * each,
        "spread": [1000 * min(times[1:]), 1000 * max(times[1:])],
        "tokens_per_s": step.filled / (each * args.steps),
        "filled": step.filled,
        "first_seconds": prepared_in,
        "cudagraph_skips": compiler["cudagraph_skips"] if alternative.launch == "reduce-overhead" else None,
        "roofline_ms": 1000 * roofline.work(model, batch, args.prompt, new).seconds(args.machine),
    }
    return figures, step.rows.canvas[:, args.prompt : args.prompt + new].clone().cpu()


def forget(device: str) -> None:
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()


def table(record: dict[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| shape | batch | alternative | in place of | ms per step | tokens/s | ours / it | agrees | first, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for c in sorted(record["cells"], key=lambda c: (c["shape"], c["batch"])):
        start = f"| {c['shape']} | {c['batch']} | {c['alternative']} | "
        if "skipped" in c:
            lines.append(f"{start}{ALTERNATIVES[c['alternative']].replaces} | {c['skipped']} | | | | |")
            continue
        ratio = "" if c["ratio"] is None else f"{c['ratio']:.2f}"
        agrees = "" if c["agrees"] is None else f"{c['agrees']:.0%}"
        speed = f"{c['ms_per_step']:.3f} | {c['tokens_per_s']:.0f}"
        lines.append(f"{start}{c['replaces']} | {speed} | {ratio} | {agrees} | {c['first_seconds']:.0f} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", action="append", choices=list(SHAPES), help="default: llada_8b nano")
    parser.add_argument("--batch", type=int, action="append", help=f"default: {' '.join(map(str, BATCHES))}")
    parser.add_argument("--alternative", action="append", choices=list(ALTERNATIVES), help="default: all")
    parser.add_argument("--prompt", type=int, default=128, help="tokens that the cache holds at first")
    parser.add_argument("--steps", type=int, default=16, help="of one repeat, in two blocks of 32")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--limit-seconds", type=float, default=340.0, help="leave out what would end later")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="default: bfloat16 (cpu: float32)")
    parser.add_argument("--backend", default="inductor", help="of torch.compile; eager: whether it runs at all")
    parser.add_argument("--out", type=Path, help="default: defend.json in the folder that $OUT names, if it is set")
    parser.add_argument("--table", type=Path, metavar="RESULTS", help="only print these results as Markdown")
    args = parser.parse_args(argv)
    if args.table:
        print(table(read(args.table)))
        return
    args.shape, args.batch = args.shape or ["llada_8b", "nano"], args.batch or BATCHES
    args.alternative = args.alternative or list(ALTERNATIVES)
    args.dtype = args.dtype or ("float32" if args.device == "cpu" else "bfloat16")
    if args.out is None and "OUT" in os.environ:
        args.out = Path(os.environ["OUT"]) / "defend.json"
    begun = time.perf_counter()
    args.machine = roofline.measure(torch.device(args.device), getattr(torch, args.dtype))
    record: dict[str, Any] = {
        "command": "python -m benchmarks.defend " + " ".join(sys.argv[1:] if argv is None else argv),
        "device": f"{platform.machine()} CPU" if args.device == "cpu" else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "versions": {name: version(name) for name in ("transformers", "triton")},
        "dtype": args.dtype,
        "policy": POLICY,
        "prompt_tokens": args.prompt,
        "backend": args.backend,
        "steps": args.steps,
        "repeats": args.repeats,
        "cells": [],
    }
    for found in cells(args, begun):
        print(json.dumps(found), flush=True)
        record["cells"].append(found)
        if args.out:
            write(record, args.out)
    print(table(record))


if __name__ == "__main__":
    main()
