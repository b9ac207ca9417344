"""The kernel behind ``predict`` against the memory it reads: time, bandwidth, equality with plain torch.

    python -m benchmarks.vocabulary --json benchmarks/results/vocabulary.json

A copy of a tensor of the same size is timed first; its bytes count twice, read and written. The kernel's bytes are the
logits, read once. Inputs rotate through more memory than the L2 cache holds, and the calls of a measurement are
one CUDA graph, so that neither the cache nor Python is measured; ``eager_ms`` is the call as Python makes it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import statistics
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlmsample.predict import SAMPLE, plain
from dlmsample.types import Prediction

CASES = [
    (64, 32, 126464, torch.bfloat16),
    (64, 32, 126464, torch.float32),
    (8, 32, 157184, torch.bfloat16),
    (1, 32, 126464, torch.bfloat16),
    (1, 32, 157184, torch.bfloat16),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "entropy": {"needs": ("entropy",)},
    "margin": {"needs": ("margin",)},
    "excluded": {"excluded": 2},
    "temperature": {"temperature": 1.0},
    "top_k": {"temperature": 1.0, "top_k": 50},
}
LOGIT_STD = 3.0
ROTATED = 2**28
"""Bytes that the inputs of one measurement have together at least: several times an L2 cache."""


def inputs(rows: int, width: int, vocab: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """As many random logits and current tokens as fill the rotation."""
    size = rows * width * vocab * dtype.itemsize
    draw = torch.Generator("cuda").manual_seed(0)
    made = []
    for _ in range(max(2, -(-ROTATED // size))):
        logits = torch.empty(rows, width, vocab, dtype=dtype, device="cuda").normal_(0, LOGIT_STD, generator=draw)
        made.append((logits, torch.randint(0, vocab, (rows, width), device="cuda", generator=draw)))
    return made


def timed(calls: Sequence[Callable[[], object]], repeats: int, graph: bool) -> dict[str, float]:
    """Milliseconds per call: median, minimum and maximum over repeats of all calls in turn."""
    for call in calls:
        call()
    torch.cuda.synchronize()
    run: Callable[[], object] = lambda: [call() for call in calls]  # noqa: E731
    if graph:
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            run()
        run = captured.replay
    run()
    samples = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        samples.append(begin.elapsed_time(end) / len(calls))
    return {"ms": statistics.median(samples), "ms_min": min(samples), "ms_max": max(samples)}


def resolve(options: dict[str, Any], rows: int, vocab: int) -> dict[str, Any]:
    """An option set with its tensors."""
    found = dict(options)
    if "excluded" in found:
        ids = torch.arange(found["excluded"], device="cuda") + vocab - 100
        found["excluded"] = (torch.arange(rows, device="cuda") % 2 == 0, ids)
    if "temperature" in found:
        found["key"] = torch.arange(rows, device="cuda") * 7919
    return found


def differences(got: Prediction, want: Prediction) -> dict[str, Any]:
    """Greatest differences of each field, and the tokens that differ."""
    different = got.token != want.token
    found: dict[str, Any] = {"tokens": got.token.numel(), "tokens_different": int(different.sum())}
    for name in ("prob", "current_prob", "entropy", "margin"):
        a, b = getattr(got, name), getattr(want, name)
        if a is not None and b is not None:
            off = (a.double() - b.double()).abs()
            found[name] = float(off[~different].max())
    return found


def share(seconds: float, size: int, copied: float) -> dict[str, float]:
    return {"read_gb_per_s": size / seconds / 1e9, "share_of_copy": size / seconds / copied}


def measure(case: tuple[int, int, int, torch.dtype], args: argparse.Namespace) -> list[dict[str, Any]]:
    """One shape: the copy, then each option set."""
    from dlmsample.kernels.vocabulary import reduce

    rows, width, vocab, dtype = case
    mask_id = vocab - 128
    pairs = inputs(rows, width, vocab, dtype)
    size = pairs[0][0].numel() * dtype.itemsize
    shape = {"positions": rows * width, "vocab": vocab, "dtype": str(dtype), "mib": size / 2**20}

    target = torch.empty_like(pairs[0][0])
    if len(pairs) * size <= 2 * ROTATED:
        targets = [torch.empty_like(logits) for logits, _ in pairs]
    else:
        targets = [target] * len(pairs)
    copies = [lambda a=a, b=b: a.copy_(b) for a, (b, _) in zip(targets, pairs, strict=True)]
    copy = timed(copies, args.repeats, graph=True)
    copied = 2 * size / (copy["ms"] / 1000)
    del targets, target, copies
    cells: list[dict[str, Any]] = [shape | {"what": "copy", **copy, "gb_per_s": copied / 1e9}]
    print(json.dumps(cells[-1]), flush=True)

    grids = list(itertools.product(args.block or [None], args.warps or [None], args.splits or [None]))
    for name, (block, warps, splits) in itertools.product(args.options or list(OPTIONS), grids):
        cell: dict[str, Any] = shape | {"what": name, "block": block, "warps": warps, "splits": splits}
        try:
            options = resolve(OPTIONS[name], rows, vocab)
            tuned = {k: v for k, v in (("block", block), ("warps", warps), ("splits", splits)) if v is not None}
            fast = [
                lambda l=l, c=c, o=options, t=tuned: reduce(l, c, mask_id, counter=SAMPLE, **o, **t) for l, c in pairs
            ]
            cell |= timed(fast, args.repeats, graph=True)
            cell |= share(cell["ms"] / 1000, size, copied)
            cell["eager_ms"] = timed(fast, args.repeats, graph=False)["ms"]
            if not args.no_plain:
                slow = [lambda l=l, c=c, o=options: plain(l, c, mask_id, **o) for l, c in pairs[:2]]
                cell["difference"] = differences(fast[0](), slow[0]())
                cell["plain_ms"] = timed(slow, max(3, args.repeats // 5), graph=False)["ms"]
                cell["times_faster"] = cell["plain_ms"] / cell["ms"]
        except Exception as error:
            cell["error"] = f"{type(error).__name__}: {error}"[:2000]
            traceback.print_exc()
            torch.cuda.synchronize()
        cells.append(cell)
        print(json.dumps(cell), flush=True)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", type=int, action="append", help=f"0 to {len(CASES) - 1}; default: all")
    parser.add_argument("--options", action="append", choices=list(OPTIONS), help="default: all")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--block", type=int, action="append", help="instead of the chosen one; may be repeated")
    parser.add_argument("--warps", type=int, action="append")
    parser.add_argument("--splits", type=int, action="append")
    parser.add_argument("--no-plain", action="store_true", help="neither time nor check against plain torch")
    parser.add_argument("--json", type=Path, help="write the results here, after every shape")
    args = parser.parse_args()
    cells: list[dict[str, Any]] = []
    for number in range(len(CASES)) if args.case is None else args.case:
        try:
            cells += measure(CASES[number], args)
        except Exception as error:
            cells.append({"case": str(CASES[number]), "error": f"{type(error).__name__}: {error}"[:2000]})
            traceback.print_exc()
        torch.cuda.empty_cache()
        record = {
            "command": "python -m benchmarks.vocabulary " + " ".join(sys.argv[1:]),
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "triton": importlib.metadata.version("triton"),
            "cells": cells,
        }
        if args.json:
            args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
