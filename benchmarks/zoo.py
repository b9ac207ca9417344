"""Which sampler wins at which budget of forwards with which training: every policy on every nano checkpoint.

    python -m benchmarks.zoo --device cuda --workers 3 --tf32 --minutes 8 --json benchmarks/results/zoo.json
    python -m benchmarks.zoo --limit 2 --max-new-tokens 16 --only nano --out runs/trial      # on a CPU, some minutes
    python docs/make_zoo.py      # docs/results/zoo.md from the JSON

The same command again goes on where it stopped, from the cells in benchmarks/results/zoo; ``--minutes`` ends it in good
order, and the JSON says how many cells are left. The order of work:

1. every entry of the grid (examples/zoo_on_nano.yaml) on the validation split that it names;
2. for each checkpoint, policy and budget the most accurate of them that took no more forwards than the budget in the
   mean (of equals the one with fewer forwards): it is asked the test split;
3. and every policy at its published defaults.

A comparison is a tuned policy against the tuned Unmask of the same checkpoint and budget (a head's: of the bare model),
on the same problems: a difference with its paired bootstrap interval, and the exact McNemar test, corrected after Holm
for all comparisons of the run. What was chosen and how good it is come from different splits, so a cell's accuracy is
not flattered by the choice; the best of many cells is.

With ``--tf32`` products of float32 matrices take TensorFloat-32 on the GPU, faster and with 10 bits of mantissa; the
first cell is then asked once more without it, and the JSON says how many of its answers differ. A cell is known by the
hash of the checkpoint's files: after retraining, old cells are left alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import dlmsample as ds
from benchmarks.book import Book
from benchmarks.quality import device_name
from benchmarks.zoo_figures import BUDGETS, figures, tuned
from dlmsample.ablate.spec import cells, identity
from dlmsample.ablate.spec.grid import CheckpointEntry, Grid, read

RESULTS = Path(__file__).parent / "results"
FIGURES = ("nfe", "steps", "tokens", "edits_per_100")


class Cell(NamedTuple):
    """What a worker needs to measure one cell; plain data."""

    checkpoint: CheckpointEntry
    hashed: str  #: of the checkpoint's files
    policy: str
    label: str  #: policy with the options that the grid gives
    options: dict[str, Any]
    block_length: Any
    default: bool  #: the policy's published defaults
    new: int
    split: str
    problems: int
    device: str | None
    tf32: bool
    batch_size: int

    @property
    def key(self) -> str:
        """What decides its numbers."""
        kind = (self.device or "cpu").split(":")[0]
        known = [self.hashed, self.policy, self.options, self.block_length, self.new, self.split, self.problems]
        return identity.digest([*known, kind, self.tf32, self.checkpoint.dtype])

    def about(self) -> dict[str, Any]:
        named = {"checkpoint": self.checkpoint.label, "policy": self.policy, "label": self.label}
        return {"key": self.key, **named, "default": self.default, "split": self.split, "problems": self.problems}


def candidates(path: str, only: Sequence[str], policies: Sequence[str], options: argparse.Namespace) -> list[Cell]:
    """The cells of the grid on its own split."""
    grid, marks = read(path)
    task = grid.tasks[0]
    known = [entry for entry in grid.checkpoints if not only or entry.label in only]
    hashes = {entry.label: identity.digest(identity.of_checkpoint(entry)) for entry in known}
    found, chosen = list[Cell](), cells.choices(grid, marks)
    for entry in known:
        for choice in chosen:
            name = choice.entry.policy
            if not choice.entry.wants(task.label, entry.label) or (policies and name not in policies):
                continue
            found.append(_cell(grid, entry, hashes[entry.label], choice, options))
    return list({cell.key: cell for cell in reversed(found)}.values())[::-1]


def _cell(grid: Grid, entry: CheckpointEntry, hashed: str, choice: Any, options: argparse.Namespace) -> Cell:
    task, name = grid.tasks[0], choice.entry.policy
    return Cell(
        entry,
        hashed,
        name,
        choice.label,
        choice.policy.model_dump(mode="json"),
        choice.settings.block_length,
        not (set(choice.entry.model_extra or {}) - {"block_length"}),
        options.max_new_tokens or choice.settings.max_new_tokens,
        task.split or "valid",
        options.limit or task.limit or 128,
        options.device,
        options.tf32,
        options.batch_size or grid.batch_size,
    )


def on_test(cell: Cell, options: argparse.Namespace) -> Cell:
    """The same cell on the test split."""
    return cell._replace(
        split="test", problems=options.limit or options.problems, batch_size=options.batch_size or options.problems
    )


@cache
def _model(name: str, adapter: str | None, head: str | None, dtype: str | None, device: str | None) -> ds.Denoiser:
    return ds.load(name, adapter, head, device=device, dtype=dtype)


def measure(cell: Cell) -> dict[str, Any]:
    """Decode the cell's problems: its figures, and which answers are right (bits in hexadecimal)."""
    torch.backends.cuda.matmul.allow_tf32 = cell.tf32
    entry = cell.checkpoint
    model = _model(entry.model, entry.adapter, entry.head, entry.dtype, cell.device)
    task = ds.tasks.load("wordproblems", split=cell.split, limit=cell.problems)
    examples = list(task)
    policy = ds.policy(cell.policy, **cell.options)
    sampler = ds.Sampler(model, policy, cell.block_length, batch_size=cell.batch_size)
    begun = time.perf_counter()
    out = sampler.generate([e.prompt for e in examples], max_new_tokens=cell.new)
    seconds = time.perf_counter() - begun
    sampler.release()
    torch.cuda.empty_cache()  # other workers share the GPU
    right = [task.score(e, t).correct for e, t in zip(examples, out.texts, strict=True)]
    means = {name: sum(getattr(s, name) for s in out.stats) / len(examples) for name in FIGURES}
    return {
        **cell.about(),
        "accuracy": sum(right) / len(right),
        **means,
        "forced": sum(s.forced for s in out.stats),
        "wall_seconds": round(seconds, 2),
        "correct": np.packbits(right).tobytes().hex(),
        "where": device_name(model),
    }


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)


class Work:
    """Cells measured in this process, or in several of their own, until the time is up."""

    def __init__(self, book: Book, workers: int, ends: float) -> None:
        self._book, self._workers, self._ends = book, workers, ends
        self.failed: dict[str, str] = {}
        self._pool = None
        if workers:
            threads = max(1, torch.get_num_threads() // workers)
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, spawn, _begin, (threads,))

    def do(self, wanted: Sequence[Cell]) -> int:
        """Measure what is not in the book; how many are left."""
        wanted = list({cell.key: cell for cell in wanted}.values())
        todo = [cell for cell in wanted if cell.key not in self._book.rows and cell.key not in self.failed]
        for at, (cell, row) in enumerate(self._rows(todo), 1):
            if isinstance(row, dict):
                self._book.add(row)
                said = f"{100 * row['accuracy']:.1f} % ({row['nfe']:.1f}), {row['wall_seconds']} s"
            else:
                self.failed[cell.key] = said = f"{type(row).__name__}: {row}".splitlines()[0]
            print(f"{at}/{len(todo)} {cell.split} {cell.checkpoint.label} {cell.label}: {said}", flush=True)
        return sum(cell.key not in self._book.rows and cell.key not in self.failed for cell in wanted)

    def _rows(self, todo: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any] | Exception]]:
        if self._pool is None:
            for cell in todo:
                if time.monotonic() >= self._ends:
                    return
                try:
                    yield cell, measure(cell)
                except Exception as error:  # a cell that fails costs the others nothing
                    yield cell, error
            return
        waiting, running = list(reversed(todo)), dict[Future[dict[str, Any]], Cell]()
        while waiting or running:
            while waiting and len(running) <= self._workers and time.monotonic() < self._ends:
                cell = waiting.pop()
                running[self._pool.submit(measure, cell)] = cell
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield running.pop(future), future.result() if error is None else error

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def check_tf32(first: Cell, book: Book, work: Work) -> dict[str, Any] | None:
    """How many answers of a cell change without TensorFloat-32; None where it is not used."""
    if not first.tf32:
        return None
    both = [first, first._replace(tf32=False)]
    work.do(both)
    found = book.of(both)
    if len(found) < 2:
        return None
    one, two = (np.unpackbits(np.frombuffer(bytes.fromhex(row["correct"]), np.uint8)) for row in found)
    return {"checkpoint": first.checkpoint.label, "label": first.label, "problems": first.problems} | {
        "answers_right_in_one_only": int((one != two).sum()),
        "accuracy": [row["accuracy"] for row in found],
    }


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("grid", nargs="?", default="examples/zoo_on_nano.yaml")
    parser.add_argument("--problems", type=int, default=1000, help="of the test split")
    parser.add_argument("--limit", type=int, default=None, help="problems of both splits, for a trial")
    parser.add_argument(
        "--batch-size", type=int, default=None, help="default: the grid's, and all test problems at once"
    )
    parser.add_argument("--max-new-tokens", type=int, default=None, help="in place of the grid's, for a trial")
    parser.add_argument("--device", default=None)
    parser.add_argument("--workers", type=int, default=0, help="processes on the device; 0: this one")
    parser.add_argument("--tf32", action="store_true", help="float32 products by TensorFloat-32, on a GPU")
    parser.add_argument("--minutes", type=float, default=None, help="begin no cell after so many")
    parser.add_argument("--only", action="append", default=[], help="one checkpoint's label (repeatable)")
    parser.add_argument("--policy", action="append", default=[], help="one policy (repeatable)")
    parser.add_argument("--out", type=Path, default=RESULTS / "zoo", help="folder of what has been measured")
    parser.add_argument("--json", type=Path, default=None, help="write the results here")
    given = parser.parse_args(args)
    if given.limit is not None and not given.batch_size:
        given.batch_size = given.limit

    ends = time.monotonic() + 60 * (given.minutes if given.minutes is not None else 1e6)
    trials = candidates(given.grid, given.only, given.policy, given)
    book = Book(given.out)
    work = Work(book, given.workers, ends)
    try:
        left = work.do(trials)
        missing = left  # without all trials nothing is chosen
        by_key = {cell.key: on_test(cell, given) for cell in trials}
        chosen = tuned(book.of(trials)) if not left else []
        # the budgets in the middle first, so that a run cut short says most
        first = sorted(chosen, key=lambda row: (24, 48, 32, 16, 64).index(row["budget"]))
        finals = [by_key[row["key"]] for row in first]
        defaults = [by_key[cell.key] for cell in trials if cell.default]
        checked = check_tf32(defaults[0], book, work) if not left and defaults else None
        left += work.do([*finals, *defaults])
    finally:
        work.end()
    tested = book.of(list({cell.key: cell for cell in [*finals, *defaults]}.values()))
    picked = [{**row, "key": by_key[row["key"]].key} for row in chosen]
    record = {
        "command": "python -m benchmarks.zoo " + " ".join(sys.argv[1:] if args is None else args),
        "grid": given.grid,
        "device": sorted({row.pop("where") for row in tested}),
        "workers": max(given.workers, 1),
        **{name: version(name) for name in ("torch", "transformers")},
        "dlmsample": ds.__version__,
        "dtype": "float32",
        "tf32": given.tf32,
        "tf32_check": checked,
        "checkpoints": {cell.checkpoint.label: cell.hashed for cell in trials},
        "budgets": list(BUDGETS),
        "left": left,
        "trials_left": missing,
        "failed": work.failed,
        **figures(tested, picked, book.of(trials)),
    }
    if given.json is not None:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{left} cells are left{': the same command goes on' if left else ''}; {len(work.failed)} failed", flush=True)
    return int(bool(work.failed))


if __name__ == "__main__":
    sys.exit(main())
