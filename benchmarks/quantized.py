"""What weights in eight bits cost and bring: nano's exact answers, logits and tokens per second of published shapes.

    python -m benchmarks.quantized answers --limit 1000 --batch-size 1000 --device cuda \
        --json benchmarks/results/quantized_answers.json
    python -m benchmarks.quantized shapes --json benchmarks/results/quantized_shapes.json

``fp8`` is ``load(..., quantization="fp8")`` in bfloat16: its difference to ``bfloat16`` is that of the weights;
``fp8_dynamic`` rounds activations as well. What putting the LM head into eight bits, too, would cost is measured in the
logits. Cells that the JSON file has from an earlier run with the same options, machine and versions are not run again.

Answers are compared on the same problems: a paired bootstrap interval (10,000 resamples, seed 0), and McNemar's exact
test, corrected after Holm. Logits are those of a block of masks behind a prompt, which sees it as one block. Their
relative error is taken at every position, ``|a - b| / |b|`` over the vocabulary, each without its mean, on which no
probability depends. The published shapes have random weights (``benchmarks.shapes``), so their answers mean nothing;
how cells are timed: ``benchmarks.cell``.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dlmsample as ds
from benchmarks import roofline
from benchmarks.cell import attempt, held
from benchmarks.peers import Job
from benchmarks.quality import cell, device_name, parse_policy
from benchmarks.speed import SHAPES, base_model, open_model, version
from dlmsample.ablate.analysis.stats import holm, paired_bootstrap, sign_flip_test
from dlmsample.models.attention.masks import block_causal
from dlmsample.models.fusion.fp8 import Fp8Linear, narrow_layers

FORMS: dict[str, dict[str, Any]] = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "fp8": {"dtype": "bfloat16", "quantization": "fp8"},
    "fp8_dynamic": {"dtype": "bfloat16", "quantization": "fp8_dynamic"},
}
AGAINST = (
    ("fp8", "bfloat16"),
    ("fp8_dynamic", "bfloat16"),
    ("bfloat16", "float32"),
    ("fp8", "float32"),
    ("fp8_dynamic", "float32"),
)
POLICIES = ("unmask:tokens_per_step=1", "unmask:tokens_per_step=4", "t2m", "d3im:steps=48,block_length=all")
PUBLISHED = ("llada_8b_causal", "sdar_4b")
BATCHES = (1, 8, 32)
SPEED_POLICY = "unmask:tokens_per_step=4"


class Record:
    """The results of a run, written after every cell; those of an earlier run under the same head are kept."""

    def __init__(self, head: dict[str, Any], command: str, path: Path | None) -> None:
        self.content: dict[str, Any] = {"command": [command], **head, "cells": []}
        self._path = path
        if path is not None and path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if all(known.get(key) == json.loads(json.dumps(value)) for key, value in head.items()):
                self.content = known
                self.content["command"] += [] if command in known["command"] else [command]

    def cell(self, name: dict[str, Any], measured: Callable[[], dict[str, Any]]) -> None:
        """Measure a cell, unless it is there already; one that failed is tried again."""
        others = [each for each in self.content["cells"] if not name.items() <= each.items() or "skipped" not in each]
        if any(name.items() <= each.items() for each in others):
            return
        self.content["cells"] = others
        found = {**name, **measured()}
        print(json.dumps({key: value for key, value in found.items() if key != "correct"}), flush=True)
        self.content["cells"].append(found)
        self.write()

    def write(self) -> None:
        if self._path is not None:
            self._path.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")


def sizes(model: ds.Denoiser) -> dict[str, int]:
    """Bytes of all weights, and of those that are in eight bits, with their scales."""
    narrow = [p for part in model.module.modules() if isinstance(part, Fp8Linear) for p in (part.weight, part.scale)]
    return {"weight_bytes": held(model), "narrow_bytes": sum(p.numel() * p.element_size() for p in narrow)}


@torch.no_grad()
def block_logits(model: ds.Denoiser, prompt: Tensor) -> Tensor:
    """Logits of a block of masks behind every prompt: float32 ``[row, pos, vocabulary]``, for ``prompt [row, pos]``."""
    masks = prompt.new_full((len(prompt), model.block_length), model.mask_id)
    ids = torch.cat([prompt, masks], 1)
    positions = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
    mask = block_causal((positions >= prompt.shape[1]).long(), torch.ones_like(ids, dtype=torch.bool))
    hidden = model.body(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).last_hidden_state
    return model.lm_head(hidden[:, prompt.shape[1] :]).float()


def errors(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> dict[str, float]:
    """Logits ``[..., vocabulary]`` against others: relative error over the positions, and how often the best agrees."""
    relative, same = [], []
    for one, two in zip(found, wanted, strict=True):
        a, b = (logits - logits.mean(-1, keepdim=True) for logits in (one, two))
        relative.append(((a - b).norm(dim=-1) / b.norm(dim=-1)).flatten())
        same.append((a.argmax(-1) == b.argmax(-1)).flatten())
    off = torch.cat(relative)
    return {
        "relative_error": float(off.mean()),
        "largest_relative_error": float(off.max()),
        "same_best": float(torch.cat(same).float().mean()),
    }


def comparisons(cells: Sequence[dict[str, Any]], problems: int) -> list[dict[str, Any]]:
    """A form against another under every policy that both were measured with."""
    right = {
        (c["form"], c["policy"]): np.unpackbits(np.frombuffer(bytes.fromhex(c["correct"]), np.uint8))[:problems]
        for c in cells
        if "correct" in c
    }
    done, chances = [], []
    for one, two in AGAINST:
        for policy in dict.fromkeys(policy for _, policy in right):
            if (one, policy) not in right or (two, policy) not in right:
                continue
            off = right[one, policy].astype(np.int64) - right[two, policy].astype(np.int64)
            low, high = (round(100 * float(bound[0]), 1) for bound in paired_bootstrap(off[:, None]))
            points = {"points": round(100 * float(off.mean()), 1), "low": low, "high": high}
            flips = {"gained": int((off > 0).sum()), "lost": int((off < 0).sum())}
            done.append({"form": one, "against": two, "policy": policy, **points, **flips})
            chances.append(sign_flip_test(off))
    return [{**row, "p_holm": p} for row, p in zip(done, holm(chances), strict=True)]


def answers(args: argparse.Namespace, command: str) -> dict[str, Any]:
    """nano in every form: its size, its logits against those in float32, and its answers under every policy."""
    examples = list(task := ds.tasks.load("wordproblems", split=args.split, limit=args.limit))
    machine = device_name(ds.load("nano", device=args.device))
    counts = {"problems": len(examples), "max_new_tokens": args.max_new_tokens, "batch_size": args.batch_size}
    head = {"checkpoint": "nano", "split": args.split, **counts, "device": machine, **versions()}
    record, exact = Record(head, command, args.json), list[Tensor]()
    encode = ds.load("nano").encode
    prompts = [torch.tensor([encode(e.prompt)]) for e in examples]

    def compared(form: str, model: ds.Denoiser) -> None:
        found = [block_logits(model, prompt.to(model.device)).cpu() for prompt in prompts]
        exact.extend([] if exact else found)
        record.cell({"form": form, "what": "logits"}, lambda: sizes(model) | errors(found, exact))

    for form, options in FORMS.items():
        model = ds.load("nano", device=args.device, **options)
        compared(form, model)
        for policy in args.policy or POLICIES:

            def answered(model: ds.Denoiser = model, policy: str = policy) -> dict[str, Any]:
                found, correct = cell(model, task, examples, policy, args.batch_size, args.max_new_tokens)
                return {**found, "correct": np.packbits(correct).tobytes().hex()}

            record.cell({"form": form, "policy": policy}, answered)
    model = ds.load("nano", device=args.device, **FORMS["fp8"])
    model.module.lm_head = Fp8Linear(model.module.lm_head)
    compared("fp8, LM head too", model)
    record.content["comparisons"] = comparisons(record.content["cells"], len(examples))
    for row in record.content["comparisons"]:
        print("{form} against {against}, {policy}: {points:+.1f} [{low:+.1f}, {high:+.1f}]".format(**row), flush=True)
    record.write()
    return record.content


def published(args: argparse.Namespace, command: str) -> dict[str, Any]:
    """Each shape in half precision and with weights in eight bits: sizes, logits, and tokens per second by batch."""
    dtype = torch.float32 if args.device == "cpu" else torch.bfloat16
    device = torch.device(args.device)
    machine = roofline.measure(device, dtype)
    counts = {"prompt_tokens": args.prompt, "new_tokens": args.new, "policy": SPEED_POLICY, "small": args.small}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    record = Record({"device": name, "dtype": str(dtype), **counts, **versions()}, command, args.json)
    record.content["machine"] = asdict(machine)
    for shape in args.shape or PUBLISHED:
        full = open_model(shape, base_model(SHAPES[shape], args.device, dtype, args.small))
        shared = {id(weight): weight for weight in full.module.parameters()}
        forms = {"full": full}
        for form, dynamic in (("fp8", False), ("fp8_dynamic", True)):
            layers = narrow_layers(copy.deepcopy(full.module, dict(shared)), dynamic=dynamic)
            forms[form] = replace(full, module=layers)
        draw = torch.Generator().manual_seed(0)
        ids = torch.randint(10, full.vocab_size // 2, (max(BATCHES), args.prompt), generator=draw).to(device)
        for form, model in forms.items():

            def compared(model: ds.Denoiser = model, full: ds.Denoiser = full, ids: Tensor = ids) -> dict[str, Any]:
                found, wanted = ([block_logits(m, ids[n : n + 1]) for n in range(4)] for m in (model, full))
                return sizes(model) | errors(found, wanted)

            record.cell({"shape": shape, "form": form, "what": "logits"}, compared)
        for batch in args.batch or BATCHES:
            for form, model in forms.items():

                def timed(model: ds.Denoiser = model, ids: Tensor = ids[:batch]) -> dict[str, Any]:
                    job = Job(model, ids, args.new, parse_policy(SPEED_POLICY)[0])
                    return attempt(args.peer, job, machine, args.repeats)[0]

                record.cell({"shape": shape, "form": form, "peer": args.peer, "batch": batch}, timed)
    record.write()
    return record.content


def versions() -> dict[str, Any]:
    """What the figures were measured with."""
    return {"torch": torch.__version__, "versions": {name: version(name) for name in ("transformers", "triton")}}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(required=True)
    nano = parts.add_parser("answers", help="nano's exact answers and logits")
    nano.add_argument("--split", default="test", choices=["valid", "test"])
    nano.add_argument("--limit", type=int, default=1000)
    nano.add_argument("--max-new-tokens", type=int, default=160)
    nano.add_argument("--batch-size", type=int, default=100)
    nano.add_argument("--policy", action="append", help=f"default: {' '.join(POLICIES)}")
    nano.add_argument("--device", default="cpu")
    nano.set_defaults(run=answers)
    shapes = parts.add_parser("shapes", help="logits and tokens per second of published shapes")
    shapes.add_argument("--shape", action="append", choices=[n for n in SHAPES if n != "llada2_mini"])
    shapes.add_argument("--batch", type=int, action="append", help=f"default: {' '.join(map(str, BATCHES))}")
    shapes.add_argument("--prompt", type=int, default=128, help="tokens")
    shapes.add_argument("--new", type=int, default=256, help="tokens")
    shapes.add_argument("--peer", default="ours_fused", choices=["ours", "ours_fused", "ours_plain"])
    shapes.add_argument("--repeats", type=int, default=3)
    shapes.add_argument("--small", action="store_true", help="tiny bodies: whether it runs at all")
    shapes.add_argument("--device", default="cuda")
    shapes.set_defaults(run=published)
    for part in (nano, shapes):
        part.add_argument("--json", type=Path, help="write the results here, and go on from those that are there")
    args = parser.parse_args(words)
    args.run(args, "python -m benchmarks.quantized " + " ".join(sys.argv[1:] if words is None else words))


if __name__ == "__main__":
    main()
