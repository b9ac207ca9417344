"""Where the time of an ablation grid goes: the sampler, the checkpoints, and the bookkeeping around them.

    python -m benchmarks.grid examples/papers_on_nano.yaml --limit 10 --json benchmarks/results/grid_cpu.json
    python -m benchmarks.grid examples/papers_on_nano.yaml --limit 500 --batch-size 500 --device cuda

One process, one device: every second of the run is in exactly one line. Bookkeeping is all but the sampler and the
loading of checkpoints: the plan (names, tasks, hashes), scores, the store, the report.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dlmsample.ablate import local
from dlmsample.ablate import run as runs
from dlmsample.ablate.bench import Bench
from dlmsample.ablate.store import Store
from dlmsample.sampler import Sampler

WORK = ("sampler", "load")
BOOKKEEPING = ("plan", "score", "store", "report", "other")


class Clock:
    """Seconds by name; what a timed call spends in another timed call counts for that one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[float] = []

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, its time noted under ``name``."""

        def wrapper(*args: Any, **options: Any) -> Any:
            self._open.append(0.0)
            began = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                whole = time.perf_counter() - began
                self.seconds[name] += whole - self._open.pop()
                if self._open:
                    self._open[-1] += whole

        return wrapper


def measure(grid: str, out: Path, **options: Any) -> dict[str, Any]:
    """Run a grid with clocks in the places where time can go; seconds by name, and their shares."""
    clock = Clock()
    for owner, name, label in (
        (runs, "plan", "plan"),
        (Bench, "_checkpoint", "load"),
        (Sampler, "generate", "sampler"),
        (Bench, "results", "score"),
        (Store, "begin", "store"),
        (Store, "add", "store"),
        (Store, "missing", "store"),
        (runs, "_report", "report"),
    ):
        setattr(owner, name, clock.timed(label, getattr(owner, name)))
    summary = clock.timed("other", runs.run)(grid, out, progress=True, **options)
    total = sum(clock.seconds.values())
    bookkeeping = sum(clock.seconds[name] for name in BOOKKEEPING)
    return {
        "grid": summary.name,
        "cells": summary.cells,
        "examples": summary.ran,
        "failed": summary.failed,
        "seconds": {name: round(clock.seconds[name], 2) for name in (*WORK, *BOOKKEEPING)},
        "total_seconds": round(total, 1),
        "bookkeeping_share": round(bookkeeping / total, 4),
        "milliseconds_an_example": round(1000 * total / max(summary.ran, 1), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("grid", nargs="?", default="examples/papers_on_nano.yaml")
    parser.add_argument("--limit", type=int, default=10, help="problems a cell")
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--device", default=None, help="one device")
    parser.add_argument("--threads", type=int, default=None, help="of torch, on the CPU")
    parser.add_argument(
        "--out", type=Path, default=None, help="keep the results here; default: a folder that is deleted"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(
            args.grid,
            args.out or Path(scratch),
            device=args.device,
            limit=args.limit,
            batch_size=args.batch_size,
        )
    record = {
        "command": "python -m benchmarks.grid " + " ".join(sys.argv[1:]),
        "device": local.describe([args.device]),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        **found,
    }
    print(json.dumps(record, indent=1))
    if args.json is not None:
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
