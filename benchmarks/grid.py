"""Where the time of an ablation grid goes: decoding, the checkpoints, and the bookkeeping around them.

    python -m benchmarks.grid examples/papers_on_nano.yaml --limit 10 --json benchmarks/results/grid_cpu.json
    python -m benchmarks.grid examples/papers_on_nano.yaml --limit 500 --batch-size 500 --device cuda

One device, in a process of its own as ``dlmsample ablate`` has it. Every second of the run is in exactly one line of
the device's day; bookkeeping is all of it but decoding and loading:

* decode: from prompts to texts. load: checkpoints, to the first unit's decoding.
* start: until the worker has its first unit: its imports, beside them the plan (names, tasks, hashes) and the store.
* worker: figures of the answers, pipes. waiting: between a reply and the next unit.
* report: the files. end: what is left after the last reply: its scores, its rows in the store.

Scores and store are measured too; they run beside the decoding of the next unit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dlmsample.ablate import run as runs
from dlmsample.ablate.storage.store import Store
from dlmsample.ablate.workers import local, units
from dlmsample.ablate.workers.units import Failure, Reply, Unit

WORK = ("decode", "load")
BOOKKEEPING = ("start", "worker", "waiting", "report", "end")
BESIDE = ("score", "store")


class Clock:
    """Seconds by name; what a timed call spends in another timed call of its thread counts for that one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open = threading.local()

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, its time noted under ``name``."""

        def wrapper(*args: Any, **options: Any) -> Any:
            calls: list[float] = vars(self._open).setdefault("calls", [])
            calls.append(0.0)
            began = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                whole = time.perf_counter() - began
                self.seconds[name] += whole - calls.pop()
                if calls:
                    calls[-1] += whole

        return wrapper


class Turn(NamedTuple):
    """One unit on the device, in seconds of the clock."""

    given: float
    replied: float
    decoding: float
    checkpoint: str


def watched(worker: type[Any], turns: list[Turn]) -> None:
    """Note every unit of a worker class."""
    start, reply = worker.start, worker.reply

    def starting(self: Any, unit: Unit) -> None:
        self.given = time.perf_counter(), unit.cell.checkpoint.label
        start(self, unit)

    def replying(self: Any) -> Reply:
        said = reply(self)
        decoding = 0.0 if isinstance(said, Failure) else said.seconds
        turns.append(Turn(self.given[0], time.perf_counter(), decoding, self.given[1]))
        return said

    worker.start, worker.reply = starting, replying


def day(turns: list[Turn], began: float, ended: float, report: float) -> dict[str, float]:
    """Seconds of the device by name."""
    spent: dict[str, float] = dict.fromkeys((*WORK, *BOOKKEEPING), 0.0)
    spent["start"], spent["report"] = turns[0].given - began, report
    spent["end"] = ended - turns[-1].replied - report
    for before, turn in zip((None, *turns), turns, strict=False):
        other = turn.replied - turn.given - turn.decoding
        spent["decode"] += turn.decoding
        spent["load" if before is None or before.checkpoint != turn.checkpoint else "worker"] += other
        spent["waiting"] += 0.0 if before is None else turn.given - before.replied
    return spent


def measure(grid: str, out: Path, **options: Any) -> dict[str, Any]:
    """Run a grid with clocks in the places where time can go; seconds by name, and their shares."""
    clock, turns = Clock(), list[Turn]()
    for owner, name, label in (
        (units, "score_answers", "score"),
        (Store, "begin", "begin"),
        (Store, "add", "store"),
        (runs, "_report", "report"),
    ):
        setattr(owner, name, clock.timed(label, getattr(owner, name)))
    watched(local._Process, turns)
    began = time.perf_counter()
    summary = runs.run(grid, out, progress=True, isolate=True, **options)
    ended = time.perf_counter()
    if not turns:
        raise SystemExit(f"nothing to measure: {out} has every answer already; name another --out")
    spent, total = day(turns, began, ended, clock.seconds["report"]), ended - began
    beside = {name: clock.seconds[name] for name in BESIDE}
    bookkeeping = sum(spent[name] for name in BOOKKEEPING)
    return {
        "grid": summary.name,
        "cells": summary.cells,
        "examples": summary.ran,
        "failed": summary.failed,
        "seconds": {name: round(value, 2) for name, value in spent.items()},
        "seconds_beside_decoding": {name: round(value, 2) for name, value in beside.items()},
        "shares": {name: round(value / total, 4) for name, value in spent.items()},
        "microseconds_an_answer": {
            name: round(1e6 * value / max(summary.ran, 1), 1) for name, value in {**spent, **beside}.items()
        },
        "total_seconds": round(total, 1),
        "bookkeeping_share": round(bookkeeping / total, 4),
        "bookkeeping_share_after_the_start": round((bookkeeping - spent["start"]) / (total - spent["start"]), 4),
        "milliseconds_an_example": round(1000 * total / max(summary.ran, 1), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("grid", nargs="?", default="examples/papers_on_nano.yaml")
    parser.add_argument("--limit", type=int, default=10, help="problems a cell")
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--device", default=None, help="one device")
    parser.add_argument(
        "--out", type=Path, default=None, help="keep the results here; default: a folder that is deleted"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    args = parser.parse_args()
    if len(local.devices(args.device)) > 1:
        parser.error("--device: one device, like cuda:0")
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
