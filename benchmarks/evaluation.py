"""Rows per second of an evaluation: one row at a time as the published scripts do, against batches through the Sampler.

Two parts on one LLaDA-shaped model with random weights: answers of prompts of many lengths, and log-likelihoods of
answers. The loops are written as LLaDA's paper and its published evaluation state them (arXiv:2502.09992): a row is
decoded alone, every forward runs the LM head on the whole canvas, and a likelihood's maskings are batched for one row.
Both sides must agree: tokens one by one, likelihoods within their standard errors. Random weights never end an answer
early, so what a batch gains from rows that finish is not in these numbers. On a CPU the time is the processor's, of one
thread, so that a machine with other work to do gives the same rates; on a GPU it is the clock's.

    python benchmarks/evaluation.py --rows 12 --json benchmarks/results/evaluation.json
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import dlmsample as ds
from benchmarks.peers.llada import decode
from benchmarks.peers.rule import Job
from dlmsample.evaluation.likelihood import Likelihood, Pair, log_likelihood
from dlmsample.models.denoiser import Facts

MASK, EOS = 2, 1


def llada_shaped(width: int, layers: int, vocabulary: int, block_length: int, device: str = "cpu") -> ds.Denoiser:
    """Random weights in the shape of LLaDA: a Llama body, bidirectional, blocks counted from the prompt's end."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=EOS,
    )
    config._attn_implementation = "sdpa"
    config.is_causal = False  # type: ignore[attr-defined]
    torch.manual_seed(0)
    module: Any = LlamaForCausalLM(config)
    module = module.eval().to(device)
    with torch.no_grad():
        module.lm_head.weight.mul_(6)
        module.lm_head.weight[[MASK, EOS]] = 0  # never the most probable
    return ds.Denoiser("llada-shaped", module, None, Facts(MASK, (EOS,), block_length, "bidirectional", "prompt"))


def prompts(rows: int, longest: int, vocabulary: int) -> list[list[int]]:
    """Ids of many lengths."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.linspace(longest // 4, longest, rows).long()[torch.randperm(rows, generator=generator)]
    return [torch.randint(3, vocabulary, (int(n),), generator=generator).tolist() for n in lengths]


def one_by_one(model: ds.Denoiser, given: list[list[int]], new: int) -> list[list[int]]:
    """Answers, a row at a time."""
    policy = ds.Unmask(tokens_per_step=1)
    return [decode(Job(model, torch.tensor([ids], device=model.device), new, policy)).tokens[0] for ids in given]


@torch.no_grad()
def published_likelihood(model: ds.Denoiser, pair: Pair, samples: int, at_once: int) -> Likelihood:
    """The bound of one row: maskings in batches, logits of every position."""
    ids = torch.tensor([*pair.context, *pair.answer], device=model.device)
    size, first = len(pair.answer), len(pair.context)
    values: list[Tensor] = []
    for _ in range(samples // at_once):
        begin = int(torch.randint(1, size + 1, ()))
        counts = torch.linspace(float(begin), begin + (at_once - 1) * size / at_once, at_once).round().long()
        counts = ((counts - 1) % size + 1).to(ids.device)
        masked = torch.zeros(at_once, len(ids), dtype=torch.bool, device=ids.device)
        for row, count in zip(masked, counts, strict=True):
            row[first + torch.randperm(size, device=ids.device)[:count]] = True
        noisy = torch.where(masked, model.mask_id, ids)
        everything = torch.ones(1, 1, len(ids), len(ids), dtype=torch.bool, device=ids.device)
        places = torch.arange(len(ids), device=ids.device).expand(at_once, -1)
        logits = model.module(noisy, position_ids=places, attention_mask=everything, use_cache=False).logits
        logp = logits.float().log_softmax(-1).gather(-1, ids.expand(at_once, -1)[..., None])[..., 0]
        values.append((logp * masked).sum(-1) * size / counts)
    found = torch.cat(values)
    return Likelihood(float(found.mean()), float(found.std()) / math.sqrt(len(found)))


def timed(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What it gives, and the seconds it took: the clock's on a GPU, the processor's without."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    begun = clock()
    found = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return found, clock() - begun


def measure(model: ds.Denoiser, given: argparse.Namespace) -> dict[str, Any]:
    """Both parts, the two sides of each in turn, as often as asked; the fastest time of each counts."""
    texts = prompts(given.rows, given.prompt_tokens, given.vocabulary)
    pairs = [Pair(ids[: -given.answer_tokens], ids[-given.answer_tokens :]) for ids in texts]
    sampler = ds.Sampler(model, ds.Unmask(tokens_per_step=1), batch_size=given.batch_size)
    sides: dict[str, Callable[[], Any]] = {
        "answers_one_by_one": lambda: one_by_one(model, texts, given.new_tokens),
        "answers_in_batches": lambda: sampler.generate(texts, given.new_tokens).tokens,
        "likelihoods_one_by_one": lambda: [
            published_likelihood(model, pair, given.samples, min(given.samples, given.batch_size)) for pair in pairs
        ],
        "likelihoods_in_batches": lambda: log_likelihood(model, pairs, given.samples, batch_size=given.batch_size),
    }
    found: dict[str, Any] = {}
    best: dict[str, float] = {}
    for _ in range(given.repeats):
        for name, work in sides.items():
            found[name], seconds = timed(work, model.device)
            best[name] = min(seconds, best.get(name, math.inf))
    same = sum(a == b for a, b in zip(found["answers_one_by_one"], found["answers_in_batches"], strict=True))
    both = zip(found["likelihoods_one_by_one"], found["likelihoods_in_batches"], strict=True)
    apart = max(abs(a.value - b.value) / math.hypot(a.error, b.error) for a, b in both)
    rates = {name: given.rows / seconds for name, seconds in best.items()}
    return {
        "rows_per_second": rates,
        "answers_ratio": rates["answers_in_batches"] / rates["answers_one_by_one"],
        "likelihoods_ratio": rates["likelihoods_in_batches"] / rates["likelihoods_one_by_one"],
        "same_answers": f"{same} of {given.rows}",
        "likelihoods_apart_in_standard_errors_at_most": apart,
    }


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    sizes = {"rows": 12, "batch-size": 12, "prompt-tokens": 64, "new-tokens": 16, "answer-tokens": 12, "samples": 12}
    sizes |= {"width": 128, "layers": 2, "vocabulary": 4096, "block-length": 16, "repeats": 3}
    for name, value in sizes.items():
        found.add_argument(f"--{name}", type=int, default=value)
    found.add_argument("--device", default="cpu")
    found.add_argument("--json", help="write the result there")
    return found


def main(words: list[str] | None = None) -> None:
    """Measure, print, and write."""
    given = parser().parse_args(words)
    if given.device == "cpu":
        torch.set_num_threads(1)
    model = llada_shaped(given.width, given.layers, given.vocabulary, given.block_length, given.device)
    cuda = given.device.startswith("cuda")
    machine = torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU, one thread, processor time"
    result = {
        "command": f"python -m benchmarks.evaluation {' '.join(sys.argv[1:] if words is None else words)}".strip(),
        "machine": machine,
        "torch": torch.__version__,
        "settings": {name: value for name, value in vars(given).items() if name not in ("json", "device")},
        **measure(model, given),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.json:
        Path(given.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
