"""Exact-answer accuracy of a checkpoint on word problems, over tokens per step or any list of policies.

    python benchmarks/quality.py --model nano --split test --limit 1000 --policy unmask:tokens_per_step=1 \
        --policy unmask:tokens_per_step=4 --json benchmarks/results/nano_quality.json
    python benchmarks/quality.py --task wordproblems.short --limit 200 --policy t2m --answers answers.jsonl
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from contextlib import nullcontext
from typing import IO, Any, Literal

import torch

import dlmsample as ds
from dlmsample.support import yamlfile


def parse_policy(text: str) -> tuple[ds.Policy, int | Literal["all"] | None]:
    """``name:option=value,...``; the option ``block_length`` is the sampler's."""
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        options[key] = yamlfile.load(value, key)[0]
    block_length = options.pop("block_length", None)
    return ds.policy(name, **options), block_length


def cell(
    model: ds.Denoiser,
    task: ds.tasks.Task,
    examples: list[Any],
    text: str,
    batch_size: int,
    max_new_tokens: int = 160,
    answers: IO[str] | None = None,
) -> tuple[dict[str, Any], list[bool]]:
    """Decode the examples under the policy ``text``: the figures of the cell, and whether each answer is right.

    Every answer goes to ``answers`` as a line of JSON, where it is given.
    """
    policy, block_length = parse_policy(text)
    sampler = ds.Sampler(model, policy, block_length=block_length, batch_size=batch_size)
    begun = time.perf_counter()
    out = sampler.generate([e.prompt for e in examples], max_new_tokens=max_new_tokens, progress=True)
    seconds, n = time.perf_counter() - begun, len(examples)
    right = [task.score(e, t).correct for e, t in zip(examples, out.texts, strict=True)]
    figures = {
        name: sum(getattr(s, name) for s in out.stats) / n for name in ("nfe", "steps", "tokens", "edits_per_100")
    }
    found = {"policy": text, "accuracy": sum(right) / n, **figures, "wall_seconds": round(seconds, 1)}
    print(json.dumps(found), flush=True)
    if answers is not None:
        for example, said, good in zip(examples, out.texts, right, strict=True):
            row = {
                "policy": text,
                "correct": good,
                "prompt": example.prompt,
                "gold": example.answer,
                "text": said.strip(),
            }
            answers.write(json.dumps(row, ensure_ascii=False) + "\n")
    return found, right


def device_name(model: ds.Denoiser) -> str:
    """What the numbers were measured on."""
    return torch.cuda.get_device_name() if model.device.type == "cuda" else f"{platform.machine()} CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--adapter", default=None, help="short name of a shipped adapter, or a folder")
    parser.add_argument("--head", default=None, help="short name of a shipped head, or a folder")
    parser.add_argument("--task", default="wordproblems", help="wordproblems, wordproblems.plain, wordproblems.short")
    parser.add_argument("--split", default="valid", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--policy", action="append", default=None, help="name:option=value,... (repeatable)")
    parser.add_argument("--json", default=None, help="write the results here")
    parser.add_argument("--answers", default=None, help="write every answer here, a line of JSON each")
    args = parser.parse_args()

    model = ds.load(args.model, args.adapter, args.head, device=args.device, dtype=args.dtype)
    task = ds.tasks.load(args.task, split=args.split, limit=args.limit)
    examples = list(task)
    policies = args.policy or [f"unmask:tokens_per_step={k}" for k in (1, 2, 3, 4, 8)]
    size = (args.batch_size, args.max_new_tokens)
    with open(args.answers, "w", encoding="utf-8") if args.answers else nullcontext() as answers:
        cells = [cell(model, task, examples, text, *size, answers)[0] for text in policies]
    if args.json:
        record = {
            "command": "python -m benchmarks.quality " + " ".join(sys.argv[1:]),
            "model": args.model,
            "adapter": args.adapter,
            "head": args.head,
            "task": args.task,
            "split": args.split,
            "problems": len(examples),
            "device": device_name(model),
            "dtype": str(model.dtype),
            "torch": torch.__version__,
            "cells": cells,
        }
        with open(args.json, "w") as file:
            json.dump(record, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
