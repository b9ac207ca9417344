"""Two GPUs of one machine: a model spread over both gives the tokens that it gives on one, and a grid's work is shared.

    python -m benchmarks.two_gpus --json benchmarks/results/two_gpus.json
    python -m benchmarks.two_gpus --places cpu cpu --small --limit 4    # whether it runs at all, on a CPU, 3 minutes

Three parts. *Same*: nano and random weights of a published shape, in float32, on the first GPU and spread over both by
``device_map="balanced"``, under every kind of policy and in a ragged batch: how many answers differ. *Spread*: tokens
per second of that shape in bfloat16 on one GPU and over both, which says what a model pays that fits on one and is
spread all the same. *Grid*: the seconds of an ablation grid with one worker and with one a GPU, and whether every
answer is the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import dlmsample as ds
from benchmarks import shapes
from benchmarks.quality import device_name, parse_policy

POLICIES = (
    *("unmask:tokens_per_step=2", "unmask:threshold=0.6", "t2t", "t2m", "d3im:steps=24", "wino"),
    "d3im:steps=24,block_length=all",
)
DSC = "dsc:tokens_per_step=2"
SHAPE = "sdar_4b"  #: its checkpoint has the names of its stock body, so that a folder with it can be written here
GRID = """
name: two_gpus
tasks: [{name: wordproblems, split: test}]
checkpoints: [{model: nano}, {model: nano, adapter: scope}]
policies:
  - {policy: unmask, tokens_per_step: [1, 2, 3, 4]}
  - {policy: t2m, threshold: [0.1, 0.3]}
  - {policy: d3im, steps: [24, 48]}
"""


def write_shape(folder: Path, small: bool, dtype: torch.dtype, device: str) -> None:
    """A checkpoint of ``SHAPE`` with random weights."""
    built = shapes.build(SHAPE, device, dtype, small)
    built.module.save_pretrained(folder)
    shapes.write_config(folder, SHAPE, small)


def both(name: str, places: Sequence[str], **options: Any) -> Iterator[tuple[str, ds.Denoiser]]:
    """The model on the first place, and spread over all."""
    yield "one", ds.load(name, device=places[0], **options)
    spread = {"": "cpu"} if set(places) == {"cpu"} else "balanced"
    yield "spread", ds.load(name, device_map=spread, **options)


def devices(model: ds.Denoiser) -> list[str]:
    """Where its weights are."""
    return sorted({str(weight.device) for weight in model.module.parameters()})


def answers(model: ds.Denoiser, text: str, prompts: Sequence[Any], new: int) -> list[Any]:
    """Tokens and figures of every row; batches of fewer rows than there are, so that slots are filled again."""
    policy, block_length = parse_policy(text)
    out = ds.Sampler(model, policy, block_length, batch_size=max(2, len(prompts) * 2 // 3)).generate(list(prompts), new)
    return list(zip(out.tokens, out.stats, strict=True))


def same(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Answers that differ between one place and all, under every policy."""
    problems = [example.prompt for example in ds.tasks.load("wordproblems", split="test", limit=given.limit)]
    draw = torch.Generator().manual_seed(0)
    ids = [torch.randint(10, 250, (5 + 7 * n,), generator=draw).tolist() for n in range(min(given.limit, 8))]
    for name, prompts, options in (("nano", problems, {"head": "fca"}), (str(folder), ids, {"eos_ids": []})):
        found = dict[str, list[Any]]()
        where = dict[str, list[str]]()
        policies = [*POLICIES, *([DSC] if "head" in options else [])]
        for place, model in both(name, given.places, dtype="float32", **options):
            where[place] = devices(model)
            found[place] = [answers(model, text, prompts, given.new) for text in policies]
        for text, one, two in zip(policies, found["one"], found["spread"], strict=True):
            differ = sum(a != b for a, b in zip(one, two, strict=True))
            model_name = name if name == "nano" else f"{SHAPE}, random weights"
            yield {"model": model_name, "policy": text, "answers": len(one), "different": differ, "on": where["spread"]}


def spread(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Tokens per second of the shape in half precision."""
    dtype = torch.float32 if given.small else torch.bfloat16
    for place, model in both(str(folder), given.places, dtype=dtype, eos_ids=[]):
        for batch in (1, 8):
            draw = torch.Generator().manual_seed(0)
            prompts = torch.randint(10, model.vocab_size // 2, (batch, 128), generator=draw).tolist()
            sampler, rates = ds.Sampler(model, ds.Unmask(tokens_per_step=4), batch_size=batch), list[float]()
            for _ in range(4):  # the first warms up, and captures where that can be done
                begun = time.perf_counter()
                out = sampler.generate(prompts, given.new)
                rates.append(sum(map(len, out.tokens)) / (time.perf_counter() - begun))
            rate = round(statistics.median(rates[1:]), 1)
            yield {"place": place, "on": devices(model), "batch": batch, "tokens_per_s": rate}


def grid(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of a grid with one worker and with one on each place, and answers that differ."""
    from dlmsample.ablate.storage.store import Store

    found, seconds = list[list[Any]](), list[float]()
    for places in (given.places[:1], given.places):
        with tempfile.TemporaryDirectory() as out:
            path = Path(out) / "grid.yaml"
            path.write_text(GRID, encoding="utf-8")
            begun = time.perf_counter()
            ds.ablate(
                *(path, Path(out) / "run"),
                **{"device": ",".join(places), "limit": given.problems, "batch_size": given.problems, "isolate": True},
                report=False,
            )
            seconds.append(time.perf_counter() - begun)
            with Store(Path(out) / "run") as store:
                found.append([e.text for cell in store.cells() for e in store.examples(cell.key)])
    differ = sum(a != b for a, b in zip(*found, strict=True))
    ratio = {"seconds": [round(s, 1) for s in seconds], "times_faster": round(seconds[0] / seconds[1], 2)}
    yield {"workers": [1, len(given.places)], **ratio, "answers": len(found[0]), "different": differ}


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--places", nargs=2, default=["cuda:0", "cuda:1"])
    parser.add_argument("--limit", type=int, default=24, help="problems of the first part")
    parser.add_argument("--new", type=int, default=None, help="tokens; default: 128, with --small 32")
    parser.add_argument("--problems", type=int, default=1000, help="of the grid")
    parser.add_argument("--small", action="store_true", help="a tiny body and eight problems: whether it runs at all")
    parser.add_argument("--part", action="append", choices=["same", "spread", "grid"], help="default: all (repeatable)")
    parser.add_argument("--json", type=Path, default=None, help="write the results here, after every part")
    given = parser.parse_args(args)
    given.new = given.new or (32 if given.small else 128)
    if given.small:
        given.problems = 8
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        write_shape(folder, given.small, torch.float32 if given.small else torch.bfloat16, given.places[0])
        torch.cuda.empty_cache()
        record: dict[str, Any] = {
            "command": "python -m benchmarks.two_gpus " + " ".join(sys.argv[1:] if args is None else args),
            "device": device_name(ds.load("nano", device=given.places[0])),
            **{name: version(name) for name in ("torch", "transformers")},
            "dlmsample": ds.__version__,
        }
        for name, part in (("same", same), ("spread", spread), ("grid", grid)):
            if given.part and name not in given.part:
                continue
            record[name] = []
            for row in part(given, folder):
                record[name].append(row)
                print(json.dumps(row), flush=True)
            if given.json is not None:
                given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    finally:
        shutil.rmtree(folder)
    return int(any(row["different"] for name in ("same", "grid") for row in record.get(name, [])))


if __name__ == "__main__":
    sys.exit(main())
