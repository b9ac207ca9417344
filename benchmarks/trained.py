"""Ablations and seeds of training on nano: each variant under the sampler it is trained for, beside the shipped member.

    benchmarks/train_ablations.sh train OUT      # benchmarks/ablations, benchmarks/seeds and five more
    python -m benchmarks.trained --device cuda --batch-size 1000 --json benchmarks/results/ablations.json

A variant's weights are taken from RUNS/NAME/final; one that is not there is left out. Cells that the JSON file has from
an earlier run of the same kind are kept, unless their weights are measured again; ``--also`` adds those of other files,
so that parts can be measured on several GPUs, and ``--merge`` measures nothing and only puts them together.

A comparison is a difference on the same problems: a paired bootstrap interval over problems, and McNemar's exact test,
corrected after Holm for all of them. Each variant is one training run: its interval is about these weights. What
another run of the same recipe gives, the seeds say (benchmarks/seeds); they are cells without a comparison.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import dlmsample as ds
from benchmarks.family import write
from benchmarks.quality import cell, device_name
from dlmsample.ablate.analysis.stats import holm, paired_bootstrap, sign_flip_test

ABLATIONS = Path(__file__).parent / "ablations"
SEEDS = Path(__file__).parent / "seeds"
WHOLE = tuple(f"{policy},block_length=all" for policy in ("d3im:steps=24", "d3im:steps=48", "unmask:steps=24"))
EDITED = tuple(f"t2t:fill_threshold={t}" for t in (0.3, 0.5, 0.7))
DSC = tuple(f"dsc:tokens_per_step={k}" for k in (2, 3, 4, 5))
CORRECTED = (  # 30 and 32 forwards at most, and a plain budget of as many
    "proseco:steps=24,every=4,max_corrections=1,block_length=all",
    "proseco:steps=16,every=2,max_corrections=2,block_length=all",
    "unmask:steps=32,block_length=all",
)


class Variant(NamedTuple):
    """A run beside the shipped member that it is compared with."""

    name: str  #: of the run's folder
    adapter: bool
    head: str | None  #: folder of the run that holds a head
    member: tuple[str | None, str | None]  #: adapter and head that are shipped
    policies: tuple[str, ...]


# The beginning of a recipe's name: the adapter or head that is shipped, and what both are decoded with.
ADAPTERS = {
    "mdm": ("mdm", WHOLE),
    "scope": ("scope", WHOLE),
    "random_t2t": ("random_t2t", EDITED),
    "sgt2t": ("self_generated_t2t", EDITED),
    "self_generated_t2t": ("self_generated_t2t", EDITED),
}
HEADS = {"fca": ("fca", DSC), "uniform": ("uniform", DSC)}


def variants() -> Iterator[Variant]:
    """Every recipe of the two folders by its name's beginning, then the heads, joint training and ProSeCo."""
    for recipe in sorted([*ABLATIONS.glob("*.yaml"), *SEEDS.glob("*.yaml")]):
        name = next(name for name in (*ADAPTERS, *HEADS) if recipe.stem.startswith(name))
        if name in HEADS:
            head, policies = HEADS[name]
            yield Variant(recipe.stem, False, "final", (None, head), policies)
        else:
            adapter, policies = ADAPTERS[name]
            yield Variant(recipe.stem, True, None, (adapter, None), policies)
    yield Variant("nano_prism", False, "final", (None, "fca"), DSC)
    yield Variant("nano_uniform", False, "final", (None, "fca"), DSC)  # RemeDi's errors
    yield Variant("nano_joint", True, "final/head", (None, "fca"), DSC)
    yield Variant("nano_proseco", True, None, ("mdm", None), CORRECTED)
    for member, policies in (("scope", WHOLE), ("self_generated_t2t", EDITED)):  # is it copying, or correcting?
        yield Variant("nano_copying", True, None, (member, None), policies)
    for member in ("random_t2t", "self_generated_t2t"):  # are they the errors, or the higher mask ratios?
        yield Variant("nano_masks", True, None, (member, None), EDITED)


def is_seed(name: str) -> bool:
    """Whether a variant is a member's recipe with another seed."""
    return (SEEDS / f"{name}.yaml").exists()


def comparisons(cells: Sequence[dict[str, Any]], problems: int) -> list[dict[str, Any]]:
    """Each variant but the seeds against its member under each policy."""
    named = {(c["checkpoint"], c["policy"]): c for c in cells}
    done, chances = [], []
    for variant in variants():
        for policy in () if is_seed(variant.name) else variant.policies:
            ours, shipped = named.get((variant.name, policy)), named.get((_label(variant.member), policy))
            if ours is None or shipped is None:
                continue
            one, two = (
                np.unpackbits(np.frombuffer(bytes.fromhex(c["correct"]), np.uint8))[:problems].astype(np.int64)
                for c in (ours, shipped)
            )
            low, high = (100 * float(bound[0]) for bound in paired_bootstrap((one - two)[:, None]))
            points = {"points": round(100 * float((one - two).mean()), 1), "low": round(low, 1), "high": round(high, 1)}
            forwards = {"forwards": ours["nfe"], "member_forwards": shipped["nfe"]}
            done.append(
                {"variant": variant.name, "member": shipped["checkpoint"], "policy": policy} | forwards | points
            )
            chances.append(sign_flip_test(one - two))
    return [{**row, "p_holm": p} for row, p in zip(done, holm(chances), strict=True)]


def _label(member: tuple[str | None, str | None]) -> str:
    adapter, head = member
    return (adapter or "base") + (f"+{head}" if head else "")


def earlier(paths: Sequence[Path], facts: dict[str, Any], again: set[str]) -> list[dict[str, Any]]:
    """Cells of records made from the same problems, but for the checkpoints measured again.

    Of another device only a record that gives every answer of the shipped members alike: its cells name it.
    """
    shipped = {_label(variant.member) for variant in variants()}
    found = dict[tuple[str, str], dict[str, Any]]()
    for path in filter(Path.exists, paths):
        record = json.loads(path.read_text(encoding="utf-8"))
        differs = [name for name, value in facts.items() if record.get(name) != value]
        named = {(c["checkpoint"], c["policy"]): c for c in record["cells"] if c["checkpoint"] not in again}
        both = [key for key in named if key in found and key[0] in shipped]
        if differs == ["device"] and both and all(found[key]["correct"] == named[key]["correct"] for key in both):
            named = {key: {"device": record["device"], **c} for key, c in named.items() if key not in both}
        elif differs:
            print(f"{path} is not gone on from: another {', '.join(differs)}", flush=True)
            continue
        found |= named
    return list(found.values())


def devices(record: dict[str, Any]) -> str:
    """Where a record's cells were measured, in words."""
    return " and ".join(dict.fromkeys(cell.get("device", record["device"]) for cell in record["cells"]))


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="take variants from RUNS/NAME/final")
    parser.add_argument("--split", default="test", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None)
    parser.add_argument("--only", action="append", default=[], help="one variant (repeatable)")
    parser.add_argument("--json", type=Path, default=None, help="write the results here, beside those that it has")
    parser.add_argument("--also", type=Path, action="append", default=[], help="a file with more cells (repeatable)")
    parser.add_argument(
        "--merge", action="store_true", help="measure nothing: put the files of --also and --json together"
    )
    given = parser.parse_args(args)
    command = "python -m benchmarks.trained " + " ".join(sys.argv[1:] if args is None else args)
    files = [*([given.json] if given.json else []), *given.also]
    if given.merge:
        records = [json.loads(path.read_text(encoding="utf-8")) for path in files if path.exists()]
        facts = {name: records[0][name] for name in ("split", "problems", "device", "torch")}
        cells = earlier(files, facts, set())
        write(given.json, command, facts, cells, comparisons(cells, facts["problems"]))
        return

    task = ds.tasks.load("wordproblems", split=given.split, limit=given.limit)
    examples = list(task)
    wanted = [v for v in variants() if not given.only or v.name in given.only]
    for name in dict.fromkeys(variant.name for variant in wanted):
        if not (given.runs / name / "final").exists():
            print(f"no {given.runs / name / 'final'}: {name} is left out", flush=True)
    wanted = [variant for variant in wanted if (given.runs / variant.name / "final").exists()]
    where = device_name(ds.load("nano", device=given.device))
    facts = {"split": given.split, "problems": len(examples), "device": where, "torch": torch.__version__}
    cells = earlier(files, facts, {variant.name for variant in wanted})
    known = {(c["checkpoint"], c["policy"]) for c in cells}
    for variant in wanted:
        run = given.runs / variant.name
        head = None if variant.head is None else run / variant.head
        sides = (
            (variant.name, run / "final" if variant.adapter else None, head),
            (_label(variant.member), *variant.member),
        )
        for label, adapter, corrector in sides:
            left = [policy for policy in variant.policies if (label, policy) not in known]
            if not left:
                continue
            model = ds.load("nano", adapter, corrector, device=given.device, dtype="float32")
            print(label, flush=True)
            for text in left:
                known.add((label, text))
                found, correct = cell(model, task, examples, text, given.batch_size, given.max_new_tokens)
                cells.append({"checkpoint": label, **found, "correct": np.packbits(correct).tobytes().hex()})
    compared = comparisons(cells, len(examples))
    for line in compared:
        print(
            "{variant} against {member}, {policy}: {points:+.1f} [{low:+.1f}, {high:+.1f}]".format(**line), flush=True
        )
    if given.json is not None:
        write(given.json, command, facts, cells, compared)


if __name__ == "__main__":
    main()
