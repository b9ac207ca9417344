"""Accuracy against tokens a forward and tokens a second: every policy over the option that makes it faster, and AUP.

    python -m dlmsample.train.data.answers --out runs/nano_answers.jsonl --count 20000 --device cuda --batch-size 1000
    dlmsample train --recipe nano_certainty --out runs/nano_certainty
    python -m benchmarks.parallel --adapter runs/nano_certainty/final --device cuda --batch-size 1000 --minutes 8 \
        --json benchmarks/results/parallel.json
    python -m benchmarks.parallel --device cpu --batch-size 32 --limit 32 --series unmask-threshold --series t2m \
        --json benchmarks/results/parallel_cpu.json
    python docs/make_parallel.py

A cell is a checkpoint (base, or the adapter by its objective's name) under a policy on all problems. Accuracy has
Wilson's 95 % interval; AUP and the comparisons at equal accuracy: benchmarks/aup.py. A first run pays for compiling and
capturing, so a second one is timed where the first took less than ``AGAIN`` seconds (``timed_runs`` says so). The file
is written after every cell; the same command goes on from it, and stops cleanly after ``--minutes``.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import dlmsample as ds
from benchmarks.aup import Problems, areas, equal_accuracy, resampled
from benchmarks.quality import device_name, parse_policy
from dlmsample.ablate.analysis.stats import wilson
from dlmsample.models.embedded import EMBEDDED, folder_of
from dlmsample.support.files import atomic_write

THRESHOLDS = (0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
STEPS = (96, 64, 48, 32, 24, 16)
TOKENS = (1, 2, 3, 4, 6, 8)
FEW_STEPS, FEW_TOKENS, FEW_THRESHOLDS = (96, 48, 24, 16), (1, 2, 4, 8), (0.95, 0.9, 0.8, 0.7)


def over(name: str, values: Sequence[float], more: str = "") -> tuple[str, ...]:
    """A policy at each value of an option, ``policy:option=``.

    Example:
        >>> over("d3im:steps=", (48, 24), ",block_length=all")
        ('d3im:steps=48,block_length=all', 'd3im:steps=24,block_length=all')
    """
    return tuple(f"{name}{value}{more}" for value in values)


SERIES: dict[str, tuple[str, ...]] = {
    "unmask-threshold": over("unmask:threshold=", THRESHOLDS),
    "t2m": over("t2m:fill_threshold=", THRESHOLDS),
    "t2t": over("t2t:fill_threshold=", THRESHOLDS),
    "unmask-tokens": over("unmask:tokens_per_step=", TOKENS),
    "d3im": over("d3im:steps=", STEPS, ",block_length=all"),
    "dsc": over("dsc:tokens_per_step=", TOKENS),
    "unmask-entropy": over("unmask:entropy_bound=", (0.01, 0.05, 0.1, 0.3, 0.6)),
    "klass": over("klass:threshold=", FEW_THRESHOLDS),
    "credit": over("credit:threshold=", FEW_THRESHOLDS),
    "wino": over("wino:draft_threshold=", (0.8, 0.7, 0.6, 0.5)),
    "pc_sampler": over("pc_sampler:tokens_per_step=", FEW_TOKENS),
    "saber": over("saber:tokens_per_step=", FEW_TOKENS),
    "prophet": over("prophet:steps=", FEW_STEPS, ",block_length=all"),
    "rcr": over("rcr:steps=", FEW_STEPS, ",block_length=all"),
    "p2": over("p2:steps=", FEW_STEPS, ",block_length=all"),
    "proseco": over("proseco:steps=", FEW_STEPS),
    "remdm": over("remdm:steps=", FEW_STEPS, ",block_length=all"),
    "core": over("core:steps=", FEW_STEPS, ",block_length=all"),
    "tolerator": tuple(f"tolerator:steps={n},rounds={n},block_length=all" for n in (48, 32, 16, 8)),
}
"""The cells of each series, from slow to fast. The first six are measured first, of base and adapter."""

FIRST = 6
COMPARED = ("unmask-threshold", "t2m")
"""What the objective ``certainty`` is trained for."""
AGAIN = 3.0


def plan(adapter: str | None, chosen: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(checkpoint, series, policy): what the papers of this package are about first, then the others.

    A correction head reads the base's hidden states, so DSC has no cells of an adapter.
    """
    names = [name for name in SERIES if name in chosen]
    first = [name for name in names if list(SERIES).index(name) < FIRST]
    owners = ["base", *([adapter] if adapter else [])]
    for part in (first, [name for name in names if name not in first]):
        for owner in owners:
            for name in part:
                if owner == "base" or name != "dsc":
                    yield from ((owner, name, policy) for policy in SERIES[name])


def packed(problems: Problems) -> str:
    """What a cell did on each problem, as text of a few thousand characters."""
    return base64.b64encode(zlib.compress(np.stack(problems).astype("<u2").tobytes(), 9)).decode()


def unpacked(text: str) -> Problems:
    """:func:`packed` undone.

    Example:
        >>> ones = np.ones(2, dtype=np.int64)
        >>> unpacked(packed(Problems(ones, 300 * ones, ones))).tokens.tolist()
        [300, 300]
    """
    flat = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").astype(np.int64)
    return Problems(*flat.reshape(3, -1))


def cell(
    model: ds.Denoiser, task: ds.tasks.Task, examples: Sequence[Any], policy: str, batch_size: int, new: int
) -> dict[str, Any]:
    """Decode all problems under a policy, twice where that is quick; the last run counts."""
    rule, block_length = parse_policy(policy)
    sampler = ds.Sampler(model, rule, block_length=block_length, batch_size=batch_size)
    prompts = [example.prompt for example in examples]
    runs: list[float] = []
    while True:
        begun = time.perf_counter()
        out = sampler.generate(prompts, max_new_tokens=new)  # the texts are on the host: nothing is left to wait for
        runs.append(time.perf_counter() - begun)
        if len(runs) == 2 or runs[0] >= AGAIN:
            break
    right = [task.score(e, text).correct for e, text in zip(examples, out.texts, strict=True)]
    tokens, nfe = ([getattr(s, name) for s in out.stats] for name in ("tokens", "nfe"))
    low, high = wilson(sum(right) / len(right), len(right))
    return {
        "policy": policy,
        "accuracy": sum(right) / len(right),
        "low": round(low, 4),
        "high": round(high, 4),
        "tokens_per_forward": round(sum(tokens) / max(sum(nfe), 1), 4),
        "nfe": sum(nfe) / len(nfe),
        "tokens": sum(tokens) / len(tokens),
        "tokens_per_wall_s": round(sum(tokens) / runs[-1], 1),
        "wall_seconds": [round(seconds, 3) for seconds in runs],
        "timed_runs": len(runs),
        "problems": packed(Problems(*(np.array(v, dtype=np.int64) for v in (right, tokens, nfe)))),
    }


def summarised(cells: Sequence[dict[str, Any]], adapter: str | None) -> dict[str, Any]:
    """AUP of every series, and the comparisons at equal accuracy."""
    if not cells:
        return {"aup": [], "equal_accuracy": []}
    rho, accuracy = resampled([unpacked(c["problems"]) for c in cells])
    series: dict[tuple[str, str], list[int]] = {}
    for at, found in enumerate(cells):
        series.setdefault((found["checkpoint"], found["series"]), []).append(at)
    names = [found["policy"] for found in cells]
    compared = equal_accuracy(series, names, rho, accuracy, adapter) if adapter else []
    return {"aup": areas(series, rho, accuracy), "equal_accuracy": compared}


def measure(
    load: Callable[[str, bool], ds.Denoiser],
    examples: Sequence[Any],
    task: ds.tasks.Task,
    wanted: Sequence[tuple[str, str, str]],
    cells: list[dict[str, Any]],
    save: Callable[[], None],
    batch_size: int,
    new: int,
    until: float,
) -> bool:
    """Measure what is wanted and not in ``cells`` yet; whether all of it is there now.

    Args:
        load: the model of a checkpoint, with the head or without.
        examples: the problems.
        task: scores them.
        wanted: as :func:`plan` gives it.
        cells: grows.
        save: called after every cell.
        batch_size: problems decoded together.
        new: new tokens of an answer.
        until: ``time.perf_counter()`` after which no further cell begins.
    """
    done = {(c["checkpoint"], c["policy"]) for c in cells}
    opened: tuple[tuple[str, bool], ds.Denoiser] | None = None
    whole = True
    for checkpoint, series, policy in wanted:
        if (checkpoint, policy) in done:
            continue
        if time.perf_counter() > until:
            return False
        key = (checkpoint, series == "dsc")
        if opened is None or opened[0] != key:
            opened = None  # its memory goes before the next one's comes
            opened = (key, load(*key))
        try:
            found = cell(opened[1], task, examples, policy, batch_size, new)
        except RuntimeError as error:  # out of memory, say: the cells that follow are worth having
            print(f"left out: {checkpoint} {policy}: {error}", flush=True)
            whole = False
            continue
        cells.append({"checkpoint": checkpoint, "series": series, **found})
        shown = {name: cells[-1][name] for name in ("checkpoint", "policy", "accuracy", "tokens_per_forward")}
        print(json.dumps({**shown, "tokens_per_wall_s": found["tokens_per_wall_s"]}), flush=True)
        save()
    return whole


def digest(folder: Path) -> str:
    """Of the weights in a folder: results of other weights are never mixed in."""
    total = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def adapter_name(folder: Path) -> str:
    """The objective an adapter was trained with, else the folder's name."""
    try:
        return json.loads((folder / "training.json").read_text(encoding="utf-8"))["config"]["objective"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--adapter", type=Path, default=None, help="folder of an adapter, compared with the base")
    parser.add_argument("--split", default="test", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=1000, help="problems")
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--series", action="append", choices=list(SERIES), default=None, help="only these (repeatable)")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further cell after so long")
    parser.add_argument("--json", type=Path, default=None, help="write the results here, and go on from them")
    args = parser.parse_args()
    begun = time.perf_counter()
    if args.adapter is not None and not (args.adapter / "adapter_config.json").is_file():
        parser.error(f"no adapter in {args.adapter}: give the folder 'final' of a run")
    adapter = None if args.adapter is None else adapter_name(args.adapter)
    where = folder_of(args.model) if args.model in EMBEDDED else Path(args.model)

    def load(checkpoint: str, head: bool) -> ds.Denoiser:
        added = None if checkpoint == "base" else str(args.adapter)
        return ds.load(args.model, added, "fca" if head else None, device=args.device, dtype=args.dtype)

    model = load("base", False)
    same: dict[str, Any] = {
        "model": args.model,
        "weights": digest(Path(str(where))),
        "adapter": adapter,
        "adapter_weights": None if args.adapter is None else digest(args.adapter),
        **{"task": "wordproblems", "split": args.split, "problems": args.limit, "new_tokens": args.max_new_tokens},
        **{"batch_size": args.batch_size, "device": device_name(model), "dtype": str(model.dtype)},
        "dlmsample": ds.__version__,
        **{name: version(name) for name in ("torch", "transformers")},
    }
    del model
    cells: list[dict[str, Any]] = []
    if args.json is not None and args.json.exists():
        old = json.loads(args.json.read_text(encoding="utf-8"))
        if changed := [key for key in same if old.get(key) != same[key]]:
            parser.error(f"{args.json} holds results of another {', '.join(changed)}: remove it, or name another file")
        cells = old["cells"]
    task = ds.tasks.load("wordproblems", split=args.split, limit=args.limit)
    wanted = list(plan(adapter, args.series or list(SERIES)))

    def save(summary: bool = False) -> None:
        if args.json is None:
            return
        command = "python -m benchmarks.parallel " + " ".join(sys.argv[1:])
        there = {(c["checkpoint"], c["policy"]) for c in cells}
        record = {"command": command, **same, "complete": all((c, p) in there for c, _, p in wanted)}
        record["not_measured"] = [series for series in SERIES if all(c["series"] != series for c in cells)]
        record |= summarised(cells, adapter) if summary else {"aup": [], "equal_accuracy": []}
        with atomic_write(args.json) as file:
            file.write(json.dumps({**record, "cells": cells}, indent=1) + "\n")

    size = (args.batch_size, args.max_new_tokens)
    whole = measure(load, list(task), task, wanted, cells, save, *size, begun + 60 * args.minutes)
    save(summary=True)
    for found in summarised(cells, adapter)["equal_accuracy"]:
        if found["series"] in COMPARED:
            print(json.dumps(found), flush=True)
    print("complete" if whole else "not complete: run the same command again", flush=True)


if __name__ == "__main__":
    main()
