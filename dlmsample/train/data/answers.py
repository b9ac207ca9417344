"""A model's own answers as training rows: what self-distillation learns from.

    python -m dlmsample.train.data.answers --out runs/nano_answers.jsonl --count 20000 --device cuda --batch-size 1000

The problems are those of a training split, so they meet no validation or test problem. An answer is kept if its result
is right, if the model ended it, and if its text gives the same tokens again; each is one JSON line of ``prompt`` and
``answer``, as ``data.path`` reads them (:mod:`dlmsample.train.data.records`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlmsample.decoding.sampler import Sampler
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.loading import load
from dlmsample.policies.unmask import Unmask
from dlmsample.support.files import atomic_write
from dlmsample.tasks import load as load_task


class Share(NamedTuple):
    """A part of the problems: so much of them from this task, with these options."""

    share: float
    task: str
    options: dict[str, Any]


NANO: tuple[Share, ...] = (
    Share(0.82, "wordproblems", {}),
    Share(0.12, "wordproblems", {"min_steps": 2, "max_steps": 4}),
    Share(0.06, "wordproblems.short", {}),
)
"""Problems like those that nano was trained on."""


def own_answers(
    model: Denoiser, count: int, parts: Sequence[Share] = NANO, batch_size: int = 64, max_new_tokens: int = 160
) -> Iterator[dict[str, str]]:
    """The rows kept of ``count`` problems, each decoded one token a step, greedily.

    Args:
        model: whose answers.
        count: problems asked; some answers are left out.
        parts: where the problems come from; their shares sum to 1.
        batch_size: problems decoded together.
        max_new_tokens: of an answer; longer ones are left out.

    Source: the trajectories of arXiv:2509.26488, Sec. 4.2 and 5.1, wrong results filtered out.
    """
    sampler = Sampler(model, Unmask(tokens_per_step=1), batch_size=batch_size)
    for part in parts:
        task = load_task(part.task, split="train", limit=max(1, round(part.share * count)), **part.options)
        examples = list(task)
        out = sampler.generate([e.prompt for e in examples], max_new_tokens=max_new_tokens, progress=True)
        for example, text, tokens, stats in zip(examples, out.texts, out.tokens, out.stats, strict=True):
            ended = stats.finish_reason == "eos"
            # Another segmentation of the same text would teach tokens that the model never gave.
            if ended and task.score(example, text).correct and model.encode(text, chat=False) == tokens:
                yield {"prompt": example.prompt, "answer": text}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--out", type=Path, required=True, help="the JSON lines")
    parser.add_argument("--count", type=int, default=20_000, help="problems asked")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default=None)
    args = parser.parse_args()
    begun = time.perf_counter()
    model = load(args.model, device=args.device, dtype=args.dtype)
    rows = list(own_answers(model, args.count, NANO, args.batch_size, args.max_new_tokens))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.out) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"kept {len(rows):,} of {args.count:,} answers in {time.perf_counter() - begun:.0f} s: {args.out}")


if __name__ == "__main__":
    main()
