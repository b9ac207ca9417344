"""Tokens per second of dlmsample and of other decoders, side by side: same weights, prompts, policy, steps and tokens.

    python -m benchmarks.speed --seconds 420 --repeats 2 --json benchmarks/results/speed.json
    python -m benchmarks.speed --cells approximate --seconds 175 --repeats 1 --json FILE
    python -m benchmarks.speed --profile-summary benchmarks/results/speed_profile.json --shape llada_8b_causal \
        --peer ours_fused --batch 1 --batch 8 --batch 32
    python -m benchmarks.speed --targets benchmarks/results/speed.json
    python -m benchmarks.speed --table benchmarks/results/speed.json
    python -m benchmarks.speed --plot benchmarks/results/speed.json benchmarks/results/speed.svg
    python -m benchmarks.speed --merge benchmarks/results/speed.json part1.json part2.json
    python -m benchmarks.speed --recount benchmarks/results/speed.json

Bodies of published shapes with random weights (see ``benchmarks.shapes``) and nano; all decoders run the same stock
module in the same dtype; its attention is SDPA, or dlmsample's own where dlmsample reads its cache. The policy commits
a fixed number of tokens a step, so that all make the same number of steps; EOS is ignored. Blocks are counted from the
canvas's first token, ``llada_8b_causal`` being ``llada_8b`` made block-causal. How cells are timed:
``benchmarks.cell``.

Without ``--batch``, ``--peer`` and ``--new`` the cells of ``benchmarks.order`` are run, of the shapes asked for, those
most wanted first; with any of them, all combinations. A cell that would not end within ``--seconds`` is left out and
says so; what is left out can be run by itself later, and merged. ``agrees`` is the share of positions with the token of
the job's first decoder: with random weights in bfloat16 rounding decides between many candidates (``--dtype float32``).
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

import dlmsample as ds
from benchmarks import roofline, shapes
from benchmarks.cell import LONG, against, agreement, attempt
from benchmarks.order import BATCHES, ORDERS, Wanted, order, usual_new
from benchmarks.peers import PEERS, Answer, Job
from benchmarks.profiles import profiled, profiles_table, ready, trace
from benchmarks.quality import device_name, parse_policy
from benchmarks.speed_report import merge, new_tokens, plot, table
from benchmarks.speed_targets import targets_table

SHAPES: dict[str, str] = {
    "nano": "nano",
    "sdar_4b": "sdar_4b",
    "llada2_mini": "llada2_mini",
    "llada_8b_causal": "llada_8b",
    "llada_8b": "llada_8b",
}
"""Name -> where its weights come from; neighbours share them."""
POLICY = "unmask:tokens_per_step=4"
_UNKNOWN = 10.0  #: seconds that the first cell of a decoder may take
_BUSY = 8  #: rows that keep a machine busy: a cell with more takes longer in proportion


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


class Known:
    """How long cells took, and what that says of others."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str, str], tuple[int, int, float]] = {}

    def add(self, want: Wanted, policy: str, seconds: float) -> None:
        """Seconds of one run."""
        self._runs[want.shape, policy, want.peer] = want.batch, want.new, seconds

    def expected(self, want: Wanted, policy: str, repeats: int) -> float:
        """Seconds of a whole cell, the first run too."""
        if (want.shape, policy, want.peer) not in self._runs:
            return _UNKNOWN
        batch, new, seconds = self._runs[want.shape, policy, want.peer]
        idle = 2 if batch < _BUSY <= want.batch else 1  # a small batch leaves a machine idle
        one = seconds * want.batch / batch * want.new / new / idle
        runs = next((n for n in range(1, repeats) if n * one >= LONG), repeats)
        return one * (runs + PEERS[want.peer].ours)


def cells(args: argparse.Namespace, begun: float) -> Iterator[dict[str, Any]]:
    """What the machine can do, then every cell asked for; those that cannot be done say why under ``skipped``."""
    dtype = dtype_of(args)
    machine = roofline.measure(torch.device(args.device), dtype)
    yield {"machine": asdict(machine)}
    known, first = Known(), dict[tuple[Any, ...], Answer]()
    weights = Weights(args, dtype)
    for want, text in product(wanted(args), args.policy or [POLICY]):
        head = {"shape": want.shape, "peer": want.peer, "policy": text, "batch": want.batch, "new": want.new}
        if time.perf_counter() + known.expected(want, text, args.repeats) > begun + args.seconds:
            yield head | {"skipped": "no time left"}
            continue
        figures, answer = attempt(want.peer, weights.job(want, text), machine, args.repeats)
        if answer is not None:
            known.add(want, text, figures["seconds"])
            figures["agrees"] = agreement(first.setdefault((want.shape, text, want.batch, want.new), answer), answer)
        yield head | figures


class Weights:
    """The latest body, and jobs on it."""

    def __init__(self, args: argparse.Namespace, dtype: torch.dtype) -> None:
        self._args, self._dtype = args, dtype
        self._base: ds.Denoiser | None = None

    def job(self, want: Wanted, policy: str) -> Job:
        """Random prompts, the same at every call."""
        model = self._model(want.shape)
        draw = torch.Generator().manual_seed(0)
        prompts = torch.randint(10, model.vocab_size // 2, (want.batch, self._args.prompt), generator=draw)
        return Job(model, prompts.to(self._args.device), want.new, parse_policy(policy)[0])

    def _model(self, name: str) -> ds.Denoiser:
        args = self._args
        if self._base is None or self._base.name != SHAPES[name]:
            if self._base is not None:
                self._base = None  # two large bodies need not fit
                torch.compiler.reset()
                gc.collect()
                if args.device != "cpu":
                    torch.cuda.empty_cache()
            self._base = base_model(SHAPES[name], args.device, self._dtype, args.small)
        return open_model(name, self._base)


def wanted(args: argparse.Namespace) -> list[Wanted]:
    """What the command line asks for."""
    if not (args.batch or args.peer or args.new):
        return [want for want in order(args.small, args.cells) if want.shape in (args.shape or SHAPES)]
    batches = args.batch or ((1, 2) if args.small else BATCHES)
    chosen = product(args.shape or SHAPES, batches, args.peer or PEERS, [args.new or usual_new(args.small)])
    return [Wanted(*each) for each in chosen]


def dtype_of(args: argparse.Namespace) -> torch.dtype:
    name = args.dtype or ("float32" if args.device == "cpu" else "bfloat16")
    return getattr(torch, name)


def profile(args: argparse.Namespace) -> None:
    """Where a step's time goes, by kind of kernel; a trace of the first decoder asked for."""
    dtype = dtype_of(args)
    machine, weights = roofline.measure(torch.device(args.device), dtype), Weights(args, dtype)
    text, found = (args.policy or [POLICY])[0], []
    new = args.new or usual_new(args.small)
    chosen = list(product((args.shape or ["sdar_4b"])[:1], args.batch or [1], args.peer or ["ours"], [new]))
    if args.profile:
        print(trace(weights.job(Wanted(*chosen[0]), text), chosen[0][2], args.profile))
    if args.profile_summary:
        subjects = [ready(want.peer, weights.job(want, text)) for want in (Wanted(*each) for each in chosen)]
        for subject in subjects:
            found.append({"policy": text, **profiled(subject, machine)})
            write({**_head(args), "cells": found}, args.profile_summary)
        print(profiles_table(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", choices=list(ORDERS), default="usual", help="which, without batch, peer and new")
    parser.add_argument("--shape", action="append", choices=list(SHAPES), help="default: all")
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="default: all")
    parser.add_argument("--policy", action="append", help=f"default: {POLICY}; also t2t, unmask:threshold=X")
    parser.add_argument("--batch", type=int, action="append", help=f"default: {' '.join(map(str, BATCHES))}")
    parser.add_argument("--prompt", type=int, help="tokens; default: 128 (--small: 32)")
    parser.add_argument("--new", type=int, help=f"tokens; default: {usual_new(False)} (--small: {usual_new(True)})")
    parser.add_argument("--repeats", type=int, help="default: 3 (--small: 1)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="leave out what would end later")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="default: bfloat16 (cpu: float32)")
    parser.add_argument("--small", action="store_true", help="tiny bodies: whether it runs at all")
    parser.add_argument("--json", type=Path, help="write the results here, after every cell")
    parser.add_argument("--profile", type=Path, metavar="TRACE", help="only write a profiler's trace of one short run")
    parser.add_argument("--profile-summary", type=Path, metavar="FILE", help="only write where a step's time goes")
    parser.add_argument("--plot", type=Path, nargs=2, metavar=("RESULTS", "SVG"), help="only draw these results")
    parser.add_argument("--table", type=Path, metavar="RESULTS", help="only print these results as Markdown")
    parser.add_argument(
        "--targets", type=Path, nargs="+", metavar="RESULTS", help="only print which targets these hold"
    )
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="only write the first from the others")
    parser.add_argument("--recount", type=Path, metavar="RESULTS", help="only write anew what steps do at the least")
    args = parser.parse_args()
    args.prompt = args.prompt or (32 if args.small else 128)
    args.repeats = args.repeats or (1 if args.small else 3)
    if args.table:
        record = read(args.table)
        profiles = [cell for cell in record["cells"] if "classes" in cell]
        print(profiles_table(profiles) if profiles else table(record))
    elif args.plot:
        args.plot[1].write_text(plot(read(args.plot[0])), encoding="utf-8")
    elif args.merge:
        write(merge([read(path) for path in args.merge[1:]]), args.merge[0])
    elif args.recount:
        write(recount(read(args.recount)), args.recount)
    elif args.targets:
        print(targets_table(merge([read(path) for path in args.targets])))
    elif args.profile or args.profile_summary:
        profile(args)
    else:
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """All cells, printed and written one by one."""
    record: dict[str, Any] = {**_head(args), "cells": []}
    for found in cells(args, time.perf_counter()):
        print(json.dumps(found), flush=True)
        if "machine" in found:
            record |= found
            continue
        record["cells"].append(found)
        if args.json:
            write(record, args.json)


def recount(record: dict[str, Any]) -> dict[str, Any]:
    """Results with their bounds computed anew: what steps do at the least is a matter of shapes, not of measuring."""
    dtype, prompt = record["dtype"], record["prompt_tokens"]
    bases: dict[str, ds.Denoiser] = {}
    found = []
    for cell in record["cells"]:
        if "skipped" not in cell:
            source = SHAPES[cell["shape"]]
            if source not in bases:
                device = "cpu" if source == "nano" else "meta"
                bases[source] = base_model(source, device, getattr(torch, dtype.removeprefix("torch.")), small=False)
            model, approximate = open_model(cell["shape"], bases[source]), PEERS[cell["peer"]].approximate
            least = roofline.work(model, cell["batch"], prompt, new_tokens(cell, record), cell["steps"], approximate)
            machine = roofline.Machine(**cell.get("machine", record["machine"]))
            cell = cell | against(machine, cell["ms_per_step"] / 1000, least)
        found.append(cell)
    return record | {"cells": found}


def _head(args: argparse.Namespace) -> dict[str, Any]:
    """What was run where."""
    return {
        "command": ["python -m benchmarks.speed " + " ".join(sys.argv[1:])],
        "device": torch.cuda.get_device_name() if args.device != "cpu" else device_name(ds.load("nano")),
        "torch": torch.__version__,
        "versions": {name: version(name) for name in ("transformers", "diffusers")},
        "dtype": str(dtype_of(args)),
        "prompt_tokens": args.prompt,
        "new_tokens": args.new or usual_new(args.small),
    }


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
