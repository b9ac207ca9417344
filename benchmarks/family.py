"""The nano family on held-out word problems: checkpoints under the samplers they are meant for, paired comparisons.

    python -m benchmarks.family --split test --device cuda --batch-size 500 --json benchmarks/results/nano_family.json

A cell is (adapter, head, policy). A comparison is a difference of two cells on the same problems; its 95 % interval is
a paired bootstrap over problems (10,000 resamples, seed 0).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dlmsample as ds
from benchmarks.quality import cell, device_name
from dlmsample.ablate.stats import paired_bootstrap

ADAPTERS = (None, "mdm", "random_t2t", "self_generated_t2t", "scope")
WHOLE = [f"{name}:steps={n},block_length=all" for n in (24, 48) for name in ("unmask", "d3im")]
THRESHOLDS = (0.3, 0.5, 0.7)
EDITED = (
    [f"unmask:threshold={t}" for t in THRESHOLDS]
    + [f"t2t:fill_threshold={t},edit_threshold={e}" for t in THRESHOLDS for e in (0.5, 0.0)]
    + [f"t2m:fill_threshold={t}" for t in THRESHOLDS]
)
TOKENS = (1, 2, 3, 4, 5)
QUOTA = [f"unmask:tokens_per_step={k}" for k in TOKENS]
DSC = [f"dsc:tokens_per_step={k}" for k in TOKENS[1:]]
RANDOM = [f"dsc:tokens_per_step={k},scorer=random" for k in TOKENS[1:]]


def plan() -> Iterator[tuple[str | None, str | None, list[str]]]:
    """(adapter, head, policies) of every checkpoint."""
    for adapter in ADAPTERS:
        yield adapter, None, WHOLE + EDITED + QUOTA + (RANDOM if adapter is None else [])
    for head in ("fca", "uniform"):
        yield None, head, DSC


def claims() -> Iterator[tuple[str, str, str]]:
    """(what it asks, cell, baseline cell): the difference is the first minus the second."""
    for n in (24, 48):
        unmask, d3im = (f"{name}:steps={n},block_length=all" for name in ("unmask", "d3im"))
        yield f"base + D3IM against base + Unmask, {n} steps", f"base {d3im}", f"base {unmask}"
        yield f"scope + D3IM against base + Unmask, {n} steps", f"scope {d3im}", f"base {unmask}"
        yield f"scope + D3IM against base + D3IM, {n} steps", f"scope {d3im}", f"base {d3im}"
        yield f"scope + D3IM against mdm + D3IM, {n} steps", f"scope {d3im}", f"mdm {d3im}"
    for t in THRESHOLDS:
        for e in (0.5, 0.0):
            policy = f"t2t:fill_threshold={t},edit_threshold={e}"
            what = f"+ T2T, fill {t}, edit {e}"
            for other in ("random_t2t", "mdm", "base"):
                yield f"self_generated_t2t against {other} {what}", f"self_generated_t2t {policy}", f"{other} {policy}"
    for k in TOKENS[1:]:
        dsc, unmask = f"dsc:tokens_per_step={k}", f"base unmask:tokens_per_step={k}"
        yield f"DSC with fca against Unmask, {k} tokens per step", f"base+fca {dsc}", unmask
        yield (
            f"DSC with fca against random remasking, {k} tokens per step",
            f"base+fca {dsc}",
            f"base {dsc},scorer=random",
        )
        yield f"DSC with fca against the uniform head, {k} tokens per step", f"base+fca {dsc}", f"base+uniform {dsc}"


def compare(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Difference of two accuracies on the same problems, in points, with a paired bootstrap interval."""
    difference = first.astype(np.int64) - second
    low, high = paired_bootstrap(difference[:, None])
    return {"points": 100 * float(difference.mean()), "low": 100 * float(low[0]), "high": 100 * float(high[0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", default="valid", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None)
    parser.add_argument("--runs", type=Path, default=None, help="take adapters and heads from RUNS/nano_NAME/final")
    parser.add_argument("--only", default=None, help="one checkpoint: base, scope, base+fca, ...")
    parser.add_argument("--json", type=Path, default=None, help="write the results here")
    args = parser.parse_args()

    task = ds.tasks.load("wordproblems", split=args.split, limit=args.limit)
    examples = list(task)
    cells: list[dict[str, Any]] = []
    right: dict[str, np.ndarray] = {}
    where = "CPU"
    for adapter, head, policies in plan():
        label = (adapter or "base") + (f"+{head}" if head else "")
        if args.only not in (None, label):
            continue
        found = [args.runs / f"nano_{n}" / "final" if n and args.runs else n for n in (adapter, head)]
        model = ds.load("nano", *found, device=args.device, dtype="float32")
        where = device_name(model)
        print(label, flush=True)
        for text in policies:
            found, correct = cell(model, task, examples, text, args.batch_size)
            right[f"{label} {text}"] = np.array(correct)
            cells.append({"checkpoint": label, **found, "correct": np.packbits(correct).tobytes().hex()})
    compared = [
        {"claim": claim, "cell": first, "baseline": second, **compare(right[first], right[second])}
        for claim, first, second in claims()
        if first in right and second in right
    ]
    for line in compared:
        print(f"{line['claim']}: {line['points']:+.1f} [{line['low']:+.1f}, {line['high']:+.1f}]", flush=True)
    if args.json:
        record = {
            "command": "python " + " ".join(sys.argv),
            "split": args.split,
            "problems": len(examples),
            "device": where,
            "torch": torch.__version__,
            "cells": cells,
            "comparisons": compared,
        }
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
