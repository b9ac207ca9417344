"""The nano family on held-out word problems: checkpoints under the samplers they are meant for, paired comparisons.

    python -m benchmarks.family --split test --device cuda --batch-size 500 --json benchmarks/results/nano_family.json

A cell is (adapter, head, policy). A comparison is a difference of two cells on the same problems; its 95 % interval is
a paired bootstrap over problems (10,000 resamples, seed 0). Each member is one training run: the intervals are about
these weights, not about what another seed of the same objective would give.
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
from dlmsample.ablate.analysis.stats import holm, paired_bootstrap, sign_flip_test

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
DSC_RANDOM = "dsc:tokens_per_step={},scorer=random"
RANDOM = [DSC_RANDOM.format(k) for k in TOKENS[1:]]


CONTROLS = ("copying", "masks")
"""Adapters that are trained and not shipped: MDM that also copies right visible tokens, masks alone at U(.5, 1)."""


def plan(controls: bool = False) -> Iterator[tuple[str | None, str | None, list[str]]]:
    """(adapter, head, policies) of every checkpoint."""
    for adapter in ADAPTERS:
        yield adapter, None, WHOLE + EDITED + QUOTA + (RANDOM if adapter is None else [])
    for head in ("fca", "uniform"):
        yield None, head, DSC
    for adapter in CONTROLS if controls else ():
        yield adapter, None, WHOLE + [text for text in EDITED if text.startswith("t2t") and text.endswith("=0.5")]


def claims() -> Iterator[tuple[str, str, str]]:
    """(claim, cell, baseline cell): the papers say, or imply, that the first cell is better than the second."""
    for n in (24, 48):
        unmask, d3im = (f"{name}:steps={n},block_length=all" for name in ("unmask", "d3im"))
        yield f"base + Unmask against base + D3IM, {n} steps", f"base {unmask}", f"base {d3im}"
        yield f"scope + D3IM against base + Unmask, {n} steps", f"scope {d3im}", f"base {unmask}"
        yield f"scope + D3IM against base + D3IM, {n} steps", f"scope {d3im}", f"base {d3im}"
        for other in ("mdm", "random_t2t", "self_generated_t2t", *CONTROLS):
            yield f"scope + D3IM against {other} + D3IM, {n} steps", f"scope {d3im}", f"{other} {d3im}"
    for t in THRESHOLDS:
        for e in (0.5, 0.0):
            policy = f"t2t:fill_threshold={t},edit_threshold={e}"
            what = f"+ T2T, fill {t}, edit {e}"
            for other in ("random_t2t", "mdm", "base", *CONTROLS):
                yield f"self_generated_t2t against {other} {what}", f"self_generated_t2t {policy}", f"{other} {policy}"
    low, high = ("{} t2t:fill_threshold=" + f"{t},edit_threshold=0.5" for t in (0.3, 0.7))  # at about equal forwards
    for other in ("random_t2t", "base"):
        what = f"self_generated_t2t + T2T at fill 0.3, {other} + T2T at fill 0.7"
        yield what, low.format("self_generated_t2t"), high.format(other)
        what = f"self_generated_t2t + T2M at fill 0.5, {other} + T2M at fill 0.7"
        yield what, "self_generated_t2t t2m:fill_threshold=0.5", f"{other} t2m:fill_threshold=0.7"
    for k in TOKENS[1:]:
        dsc, unmask = f"dsc:tokens_per_step={k}", f"base unmask:tokens_per_step={k}"
        yield f"DSC with fca against Unmask, {k} tokens per step", f"base+fca {dsc}", unmask
        yield (
            f"DSC with fca against random remasking, {k} tokens per step",
            f"base+fca {dsc}",
            f"base {DSC_RANDOM.format(k)}",
        )
        yield f"DSC with fca against the uniform head, {k} tokens per step", f"base+fca {dsc}", f"base+uniform {dsc}"
        plain = f"random_t2t unmask:tokens_per_step={k}"
        yield f"DSC with fca against random_t2t + Unmask, {k} tokens per step", f"base+fca {dsc}", plain
    for k in TOKENS[2:]:  # random remasking costs more forwards: one token more per step brings it below the head's
        fewer = f"dsc:tokens_per_step={k - 1}"
        yield f"DSC with fca at {k - 1}, random remasking at {k}", f"base+fca {fewer}", f"base {DSC_RANDOM.format(k)}"


def comparisons(cells: list[dict[str, Any]], problems: int) -> list[dict[str, Any]]:
    """Each claim whose cells are there: the difference in points, its paired bootstrap interval, a verdict by it.

    ``p_holm``: the exact McNemar test, corrected for all these comparisons; the interval and the verdict are not.
    """
    named = {f"{c['checkpoint']} {c['policy']}": c for c in cells}
    right = {
        name: np.unpackbits(np.frombuffer(bytes.fromhex(c["correct"]), np.uint8))[:problems].astype(np.int64)
        for name, c in named.items()
    }
    done, chances = [], []
    for claim, first, second in claims():
        if first not in right or second not in right:
            continue
        difference = right[first] - right[second]
        low, high = (100 * float(bound[0]) for bound in paired_bootstrap(difference[:, None]))
        verdict = "holds" if low > 0 else "does not hold" if high < 0 else "undecided"
        points = {"points": round(100 * float(difference.mean()), 1), "low": round(low, 1), "high": round(high, 1)}
        forwards = {"forwards": named[first]["nfe"], "baseline_forwards": named[second]["nfe"]}
        done.append({"claim": claim, "cell": first, "baseline": second, **forwards, **points, "verdict": verdict})
        chances.append(sign_flip_test(difference))
    return [{**found, "p_holm": p} for found, p in zip(done, holm(chances), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", default="valid", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None)
    parser.add_argument("--runs", type=Path, default=None, help="take adapters and heads from RUNS/nano_NAME/final")
    parser.add_argument("--controls", type=Path, default=None, help="take the controls from RUNS/nano_NAME/final")
    parser.add_argument("--only", default=None, help="one checkpoint: base, scope, base+fca, ...")
    parser.add_argument("--json", type=Path, default=None, help="write the results here")
    args = parser.parse_args()

    task = ds.tasks.load("wordproblems", split=args.split, limit=args.limit)
    examples = list(task)
    cells: list[dict[str, Any]] = []
    where = "CPU"
    for adapter, head, policies in plan(args.controls is not None):
        label = (adapter or "base") + (f"+{head}" if head else "")
        if args.only not in (None, label):
            continue
        runs = args.controls if adapter in CONTROLS else args.runs
        added = [runs / f"nano_{n}" / "final" if n and runs else n for n in (adapter, head)]
        if adapter in CONTROLS and isinstance(found := added[0], Path) and not found.exists():
            print(f"no {found}: {adapter} is left out", flush=True)
            continue
        model = ds.load("nano", *added, device=args.device, dtype="float32")
        where = device_name(model)
        print(label, flush=True)
        for text in policies:
            found, correct = cell(model, task, examples, text, args.batch_size)
            cells.append({"checkpoint": label, **found, "correct": np.packbits(correct).tobytes().hex()})
    compared = comparisons(cells, len(examples))
    for line in compared:
        print("{claim}: {points:+.1f} [{low:+.1f}, {high:+.1f}], {verdict}".format(**line), flush=True)
    if args.json:
        command = "python -m benchmarks.family " + " ".join(sys.argv[1:])
        facts = {"split": args.split, "problems": len(examples), "device": where, "torch": torch.__version__}
        write(args.json, command, facts, cells, compared)


def write(
    path: Path, command: str, facts: dict[str, Any], cells: list[dict[str, Any]], compared: list[dict[str, Any]]
) -> None:
    """The record of a measurement: the facts of what was run on what, its cells and their comparisons."""
    record = {"command": command, **facts, "dtype": "float32", "cells": cells, "comparisons": compared}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
