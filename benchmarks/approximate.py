"""What the approximate caches of a bidirectional checkpoint cost in accuracy and save in work, on word problems.

    dlmsample train --recipe nano_bidirectional --out runs/nano_bidirectional
    python -m benchmarks.approximate runs/nano_bidirectional/final --device cuda --batch-size 500 \
        --json benchmarks/results/approximate.json

Every cache answers the same problems under the same policy, and is compared with no cache on them. Accuracy: Wilson's
95 % interval. Difference: paired bootstrap interval (10,000 resamples) and McNemar's exact test, Holm over all of them.
Forward tokens: positions that the backbone computed, padding included; forwards: its calls, a batch each.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

import dlmsample as ds
from benchmarks.quality import device_name, parse_policy
from dlmsample.ablate.analysis.stats import holm, paired_bootstrap, sign_flip_test, wilson

POLICIES = (*(f"unmask:tokens_per_step={k}" for k in (1, 2, 4)), "t2t", "d3im")
KINDS: tuple[Literal["prefix", "dual"], ...] = ("prefix", "dual")
REFRESH = (None, 1, 2, 4, 8)


class Cache(NamedTuple):
    """How a cell forwards; ``refresh`` as the Sampler's."""

    kind: Literal["none", "prefix", "dual"] = "none"
    refresh: int | None = None

    def options(self) -> dict[str, Any]:
        return {"cache": False} if self.kind == "none" else {"cache": self.kind, "refresh": self.refresh}


CACHES = (Cache(), *(Cache(kind, refresh) for kind in KINDS for refresh in REFRESH))


@dataclass(frozen=True)
class Cell:
    """A policy with a cache on all problems; ``nfe``, ``tokens`` are means of an answer."""

    policy: str
    cache: str
    refresh: int | None
    accuracy: float
    low: float
    high: float
    nfe: float
    tokens: float
    forwards: int
    forward_tokens: int
    wall_seconds: float


class Work:
    """What the backbone did since :meth:`take` was last called."""

    def __init__(self) -> None:
        self.forwards = self.tokens = 0

    def note(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        self.forwards += 1
        self.tokens += hidden.shape[0] * hidden.shape[1]

    def take(self) -> tuple[int, int]:
        """Forwards and their positions."""
        found = self.forwards, self.tokens
        self.forwards = self.tokens = 0
        return found


@contextmanager
def counting(model: ds.Denoiser) -> Iterator[Work]:
    """Count what goes through the first layer."""
    work = Work()
    hook = model.body.layers[0].register_forward_pre_hook(work.note, with_kwargs=True)
    try:
        yield work
    finally:
        hook.remove()


def cell(
    model: ds.Denoiser,
    task: ds.tasks.Task,
    examples: Sequence[Any],
    policy: str,
    cache: Cache,
    work: Work,
    batch_size: int,
    block_length: int,
    new: int,
) -> tuple[Cell, list[bool]]:
    """Decode all problems: the cell, and whether each answer is right."""
    rule, _ = parse_policy(policy)
    # plain forwards, which the hook sees, for all caches alike
    sampler = ds.Sampler(model, rule, block_length, batch_size=batch_size, graphs=False, **cache.options())
    prompts = [example.prompt for example in examples]
    sampler.generate(prompts[:2], new)  # the first time pays for kernels and memory
    work.take()
    begun = time.perf_counter()
    out = sampler.generate(prompts, new)
    seconds = time.perf_counter() - begun
    right = [task.score(e, text).correct for e, text in zip(examples, out.texts, strict=True)]
    n, share = len(examples), sum(right) / len(examples)
    low, high = wilson(share, n)
    nfe, tokens = (sum(getattr(s, name) for s in out.stats) / n for name in ("nfe", "tokens"))
    found = Cell(policy, *cache, share, low, high, nfe, tokens, *work.take(), round(seconds, 3))
    print(json.dumps(asdict(found)), flush=True)
    return found, right


def comparisons(cells: Sequence[Cell], right: Sequence[Sequence[bool]]) -> list[dict[str, Any]]:
    """Every cell with a cache against its policy without one."""
    plain = {cell.policy: at for at, cell in enumerate(cells) if cell.cache == "none"}
    pairs = [(at, plain[cell.policy]) for at, cell in enumerate(cells) if cell.cache != "none"]
    verdicts = np.array(right, dtype=np.int64)
    differences = [verdicts[at] - verdicts[base] for at, base in pairs]
    lows, highs = paired_bootstrap(np.stack(differences, axis=1))
    values = [sign_flip_test(difference) for difference in differences]
    found = []
    for (at, base), delta, low, high, p, adjusted in zip(
        pairs, differences, lows.tolist(), highs.tolist(), values, holm(values), strict=True
    ):
        one, other = cells[at], cells[base]
        found.append(
            {
                **{"policy": one.policy, "cache": one.cache, "refresh": one.refresh},
                **{"difference": float(delta.mean()), "low": low, "high": high, "p": p, "p_holm": adjusted},
                **{"gained": int((delta > 0).sum()), "lost": int((delta < 0).sum())},
                "forward_tokens_ratio": round(one.forward_tokens / other.forward_tokens, 4),
                "nfe_ratio": round(one.nfe / other.nfe, 4),
                "speedup": round(other.wall_seconds / one.wall_seconds, 3),
            }
        )
    return found


def table(cells: Sequence[Cell], compared: Sequence[dict[str, Any]]) -> str:
    """The cells as lines for people."""
    against = {(c["policy"], c["cache"], c["refresh"]): c for c in compared}
    lines = ["policy                    cache   refresh  accuracy   diff   p Holm   nfe  Mtokens  seconds"]
    for cell in cells:
        versus = against.get((cell.policy, cell.cache, cell.refresh))
        tail = "     -        -" if versus is None else f"{100 * versus['difference']:+6.1f}  {versus['p_holm']:7.2g}"
        refresh = "-" if cell.refresh is None else str(cell.refresh)
        lines.append(
            f"{cell.policy:<25} {cell.cache:<7} {refresh:>7}  {100 * cell.accuracy:8.1f} {tail} {cell.nfe:5.1f} "
            f"{cell.forward_tokens / 1e6:8.2f} {cell.wall_seconds:8.2f}"
        )
    return "\n".join(lines)


def measure(
    model: ds.Denoiser,
    limit: int,
    split: str,
    policies: Sequence[str],
    batch_size: int,
    block_length: int,
    new: int,
    caches: Sequence[Cache] = CACHES,
    say: Callable[[str], None] = print,
    save: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """All cells and their comparisons, as plain data; ``save`` gets them after every policy, for a run may be cut."""
    task = ds.tasks.load("wordproblems", split=split, limit=limit)
    examples = list(task)
    cells: list[Cell] = []
    right: list[list[bool]] = []
    found: dict[str, Any] = {}
    with counting(model) as work:
        for policy in policies:
            for cache in caches:
                made, verdicts = cell(model, task, examples, policy, cache, work, batch_size, block_length, new)
                cells.append(made)
                right.append(verdicts)
            compared = comparisons(cells, right)
            found = {"cells": [asdict(made) for made in cells], "comparisons": compared}
            save(found)
    say(table(cells, found["comparisons"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="folder of a bidirectional checkpoint")
    parser.add_argument("--split", default="test", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=500, help="problems")
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--block-length", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--policy", action="append", default=None, help="name:option=value,... (repeatable)")
    parser.add_argument("--json", type=Path, default=None, help="write the results here")
    args = parser.parse_args()
    model = ds.load(args.model, device=args.device, dtype=args.dtype)
    if model.attention != "bidirectional":
        parser.error(f"{args.model} is {model.attention}: train one with dlmsample train --recipe nano_bidirectional")

    def save(found: dict[str, Any]) -> None:
        if args.json is None:
            return
        record = {
            "command": "python -m benchmarks.approximate " + " ".join(sys.argv[1:]),
            "model": args.model,
            "split": args.split,
            "problems": args.limit,
            "device": device_name(model),
            "dtype": str(model.dtype),
            "dlmsample": ds.__version__,
            **{name: version(name) for name in ("torch", "transformers")},
            **found,
        }
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    policies = args.policy or POLICIES
    measure(model, args.limit, args.split, policies, args.batch_size, args.block_length, args.max_new_tokens, save=save)


if __name__ == "__main__":
    main()
