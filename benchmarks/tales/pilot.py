"""Whether a model trained on sampled texts is worth a family: does it err, keep what is right, and pay for speed?

    python -m benchmarks.tales.pilot runs/tales_model/final --held runs/tales/data/held.jsonl --teacher runs/teacher \
        --json runs/results/pilot.json

On held-out rows that continue a beginning, in blocks of the model's own length after right blocks:

* ``infill``: at several mask rates, from one forward: accuracy of the masked tokens; how many are predicted with a
  probability of at least 0.9, and how many of those are wrong; how many visible tokens the argmax keeps, all of them
  right.
* ``steps``: accuracy of the masked tokens when 1, 2, 4 or 8 of each block are committed a step.
* ``stress``: the wrong-commit stress test of ``dlmsample diagnose``.
* ``texts``: held-out beginnings continued under each policy, and as they went on: forwards, perplexity of the
  continuations under the teacher, shares of different groups of 1, 2 and 3 words among all, and of groups of four words
  that stood in the same text before. Perplexity alone rewards circles.
* ``worth``: whether at half masks at least 1 % of the confident tokens are wrong and 95 % of the visible ones are kept,
  and whether four tokens a step cost accuracy.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import dlmsample as ds
from benchmarks.quality import device_name, parse_policy
from benchmarks.tales.fluency import Judge, variety
from dlmsample.diagnose import diagnose
from dlmsample.diagnose.canvas import Canvas
from dlmsample.diagnose.examples import Gold, encode
from dlmsample.diagnose.stress import hidden
from dlmsample.objectives.draws import Draws
from dlmsample.predict import predict

RATES, COMMITS = (0.15, 0.3, 0.5), (1, 2, 4, 8)
CONFIDENT = 0.9
ERRING, KEEPING = 0.01, 0.95  #: what ``worth`` asks for


def read(path: Path, limit: int) -> list[dict[str, str]]:
    """The first rows that have a prompt."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "prompt" in row][:limit]


def canvases(model: ds.Denoiser, golds: Sequence[Gold], size: int) -> Iterator[Canvas]:
    """Batches of rows of about one length."""
    ordered = sorted(golds, key=lambda gold: gold.length)
    for first in range(0, len(ordered), size):
        yield Canvas(model, ordered[first : first + size], seed=0)


def share(part: Tensor, of: Tensor) -> float | None:
    """The share of counts ``[batch]`` in others."""
    return float(part.sum() / of.sum()) if of.sum() else None


def infill(model: ds.Denoiser, golds: Sequence[Gold], rate: float, size: int) -> dict[str, float | None]:
    """What one forward says at one mask rate."""
    counts = []
    for canvas in canvases(model, golds, size):
        masked = hidden(canvas, rate)
        tokens = canvas.clean.masked_fill(masked, model.mask_id)
        found = predict(canvas.logits(tokens), tokens, model.mask_id)
        right, visible, sure = (
            found.token == canvas.clean,
            canvas.editable & ~masked,
            masked & (found.prob >= CONFIDENT),
        )
        sets = (masked, masked & right, sure, sure & ~right, visible, visible & right)
        counts.append(torch.stack([one.sum() for one in sets]))
    masks, hits, confident, wrong, visible, kept = torch.stack(counts).double().unbind(1)
    return {
        "mask_rate": rate,
        "masked": int(masks.sum()),
        "accuracy": share(hits, masks),
        "confident": share(confident, masks),
        "confident_wrong": share(wrong, confident),
        "visible_kept": share(kept, visible),
    }


def stepped(model: ds.Denoiser, golds: Sequence[Gold], rate: float, commits: int, size: int) -> dict[str, Any]:
    """Masked tokens of every block filled by confidence, so many a step, behind right blocks."""
    hits, masks = [], []
    for canvas in canvases(model, golds, size):
        draws, masked = Draws(canvas.keys, canvas.clean, canvas.blocks), hidden(canvas, rate)
        left, tokens = masked, canvas.clean.masked_fill(masked, model.mask_id)
        while left.any():
            found = predict(canvas.logits(tokens), tokens, model.mask_id)
            chosen = left & (draws.rank(found.odds, left) < commits)
            tokens, left = torch.where(chosen, found.token, tokens), left & ~chosen
        hits.append((masked & (tokens == canvas.clean)).sum())
        masks.append(masked.sum())
    return {"mask_rate": rate, "tokens_per_step": commits, "accuracy": share(torch.stack(hits), torch.stack(masks))}


def continued(
    model: ds.Denoiser, rows: Sequence[dict[str, str]], text: str, judge: Judge, given: Any
) -> dict[str, Any]:
    """Beginnings continued under the policy ``text``."""
    policy, block_length = parse_policy(text)
    sampler = ds.Sampler(
        model, policy, block_length=block_length, batch_size=given.batch_size, temperature=given.temperature
    )
    beginnings = [row["prompt"] for row in rows]
    out = sampler.generate(beginnings, max_new_tokens=given.new, progress=True)
    sampler.release()
    counts = {name: sum(getattr(one, name) for one in out.stats) / len(rows) for name in ("nfe", "tokens")}
    figures = counts | {"perplexity": judge.perplexity(beginnings, out.texts)} | variety(out.texts)
    return {"policy": text, "temperature": given.temperature, **figures, "example": beginnings[0] + " |" + out.texts[0]}


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--held", type=Path, required=True, help="rows of benchmarks.tales.rows")
    parser.add_argument("--teacher", type=Path, required=True, help="its folder")
    parser.add_argument("--limit", type=int, default=1000, help="rows with masks")
    parser.add_argument("--texts", type=int, default=200, help="beginnings that are continued")
    parser.add_argument("--new", type=int, default=128, help="tokens at most")
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument(
        "--policy", action="append", help="instead of unmask at 1, 2, 4 and 8 tokens a step (repeatable)"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args(args)
    model = ds.load(given.model, device=given.device, dtype="float32")
    rows = read(given.held, max(given.limit, given.texts))
    tokens: Any = model.tokenizer
    pairs = [
        (model.encode(row["prompt"]), [*tokens.encode(row["answer"], add_special_tokens=False), *model.eos_ids[:1]])
        for row in rows
    ]
    pairs, begun, size = pairs[: given.limit], rows[: given.texts], given.batch_size
    golds = encode(model, pairs)
    with torch.inference_mode():
        filled = [infill(model, golds, rate, size) for rate in RATES]
        steps = [stepped(model, golds, 0.5, commits, size) for commits in COMMITS]
    half, paid = filled[RATES.index(0.5)], [one["accuracy"] for one in steps]
    worth = {
        "errs": (half["confident_wrong"] or 0) >= ERRING,
        "keeps": (half["visible_kept"] or 0) >= KEEPING,
        "pays": paid[COMMITS.index(4)] < paid[0],
    }
    record = {
        "command": "python -m benchmarks.tales.pilot " + " ".join(sys.argv[1:] if args is None else args),
        "device": device_name(model),
        "torch": torch.__version__,
        "rows": len(golds),
        "worth": worth,
        "infill": filled,
        "steps": steps,
        "stress": asdict(diagnose(model, pairs, batch_size=size).stress),
        "texts": [],
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)

    def write() -> None:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    write()
    judge = Judge(given.teacher, given.device, min(size, 64))
    prompts, rest = ([row[key] for row in begun] for key in ("prompt", "answer"))
    record["texts"] = [{"policy": "held-out text", "perplexity": judge.perplexity(prompts, rest), **variety(rest)}]
    for text in given.policy or [f"unmask:tokens_per_step={commits}" for commits in COMMITS]:
        record["texts"].append(continued(model, begun, text, judge, given))
        write()
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    sys.exit(main())
