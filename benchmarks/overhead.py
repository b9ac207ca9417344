"""What a decoding step costs beside the model's forward, and whether time per token stays flat with length.

    python benchmarks/overhead.py --json benchmarks/results/overhead.json

Forward time is measured around the body and the LM head inside the run itself, so both figures come from the same
process, the same steps and the same load. Each setting is repeated; medians are printed with minimum and maximum.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from typing import Any

import torch

import dlmsample as ds


class Timed:
    """Seconds spent inside a module, between its forward hooks."""

    def __init__(self, *modules: Any) -> None:
        self.seconds, self._begun = 0.0, 0.0
        for module in modules:
            module.register_forward_pre_hook(self._start)
            module.register_forward_hook(self._stop)

    def _start(self, *_: Any) -> None:
        self._begun = time.perf_counter()

    def _stop(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._begun


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def overhead(model: ds.Denoiser, timed: Timed, repeats: int) -> list[dict[str, Any]]:
    """Share of a step that is not the forward: batch 16, block 32, 96 new tokens, EOS ignored."""
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=16)]
    cells = []
    policies = [
        ds.Unmask(tokens_per_step=2),
        ds.Unmask(threshold=0.9),
        ds.T2T(),
        ds.T2M(),
        ds.D3IM(steps=48),
        ds.DSC(scorer="random"),
    ]
    for policy in policies:
        sampler = ds.Sampler(model, policy, batch_size=16)
        sampler.generate(prompts[:2], max_new_tokens=32)
        ratios = []
        for _ in range(repeats):
            timed.seconds, begun = 0.0, time.perf_counter()
            sampler.generate(prompts, max_new_tokens=96)
            ratios.append((time.perf_counter() - begun - timed.seconds) / timed.seconds)
        cells.append({"policy": repr(policy), "outside_over_forward": spread(ratios)})
        print(json.dumps(cells[-1]), flush=True)
    return cells


def flatness(model: ds.Denoiser, attention: Timed, repeats: int, batch: int) -> list[dict[str, Any]]:
    """Milliseconds per generated token against the number of new tokens, one token per step, EOS ignored.

    Beside it the share of that time spent in the attention modules (projections included), the only part of a
    cached step whose work grows with the canvas.
    """
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=batch)]
    sampler = ds.Sampler(model, ds.Unmask(), batch_size=batch)
    sampler.generate(prompts, max_new_tokens=32)
    lengths, times, shares = (64, 128, 256, 512), {}, {}
    for _ in range(repeats):  # interleaved, so that a drift of the machine meets every length
        for new in lengths:
            attention.seconds, begun = 0.0, time.perf_counter()
            sampler.generate(prompts, max_new_tokens=new)
            seconds = time.perf_counter() - begun
            times.setdefault(new, []).append(1000 * seconds / (new * batch))
            shares.setdefault(new, []).append(attention.seconds / seconds)
    rows = []
    for new in lengths:
        ratio = [t / first for t, first in zip(times[new], times[lengths[0]], strict=True)]
        row = {"batch": batch, "new_tokens": new, "ms_per_token": spread(times[new]), "over_64": spread(ratio)}
        rows.append(row | {"attention_share": spread(shares[new])})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", default=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = ds.load("nano", eos_ids=[])
    timed = Timed(model.body, model.lm_head)
    attention = Timed(*(layer.self_attn for layer in model.module.get_decoder().layers))
    record = {
        "command": "python -m benchmarks.overhead " + " ".join(sys.argv[1:]),
        "machine": f"{platform.machine()} CPU, {args.threads} threads",
        "torch": torch.__version__,
        "overhead": overhead(model, timed, args.repeats),
        "flat_batch_1": flatness(model, attention, args.repeats, 1),
        "flat_batch_16": flatness(model, attention, max(1, args.repeats // 3), 16),
    }
    if args.json:
        with open(args.json, "w") as file:
            json.dump(record, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
