"""Decoding with random weights of the published models' shapes: tokens per second, time per forward, memory.

    python -m benchmarks.shapes --json benchmarks/results/shapes.json

The weights are random, so the answers mean nothing; the LM head is scaled until the confidences spread over (0, 1), so
that threshold policies commit several tokens a step, as they do on trained weights. How many forwards a policy takes is
therefore not comparable with a trained model's; time per forward and memory are. EOS is ignored.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import dlmsample as ds
from benchmarks.quality import device_name, parse_policy
from dlmsample.models.attention.in_place import attention_for
from dlmsample.models.families import open_config

POLICIES = ["unmask:tokens_per_step=4", "t2t", "t2m", "d3im:steps=64"]
LOGIT_STD = 8.0
"""Of the random logits: the likeliest of some 100,000 then has a probability of about a half, in the middle."""
SHAPES: dict[str, dict[str, Any]] = {
    "llada2_mini": {
        "architectures": ["LLaDA2MoeModelLM"],
        "vocab_size": 157184,
        "hidden_size": 2048,
        "intermediate_size": 5120,
        "moe_intermediate_size": 512,
        "num_hidden_layers": 20,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "num_experts": 256,
        "num_shared_experts": 1,
        "num_experts_per_tok": 8,
        "mask_token_id": 156895,
    },
    "llada_8b": {
        "architectures": ["LLaDAModelLM"],
        "embedding_size": 126464,
        "d_model": 4096,
        "mlp_hidden_size": 12288,
        "n_layers": 32,
        "n_heads": 32,
        "n_kv_heads": 32,
        "max_sequence_length": 4096,
        "rope_theta": 500000.0,
        "mask_token_id": 126336,
    },
    "sdar_4b": {
        "architectures": ["SDARForCausalLM"],
        "vocab_size": 151936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "block_size": 32,
        "mask_token_id": 151669,
    },
}
SMALL = {"vocab_size": 512, "embedding_size": 512, "hidden_size": 128, "d_model": 128, "mask_token_id": 500}
SMALL |= {"num_hidden_layers": 2, "n_layers": 2, "num_experts": 16, "intermediate_size": 64, "mlp_hidden_size": 64}
SMALL |= {"n_heads": 4, "n_kv_heads": 4, "num_attention_heads": 4, "head_dim": 32, "moe_intermediate_size": 32}
SMALL |= {"num_key_value_heads": 4}


def write_config(folder: Path, name: str, small: bool) -> None:
    """The published config of a shape, as a checkpoint's folder has it."""
    config = SHAPES[name] if not small else {key: SMALL.get(key, value) for key, value in SHAPES[name].items()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def build(name: str, device: str, dtype: torch.dtype, small: bool) -> ds.Denoiser:
    """A stock body of that shape with random weights, made where it runs."""
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        write_config(Path(folder), name, small)
        opened = open_config(folder, eos_ids=[])
    torch.manual_seed(0)
    kind: Any = transformers.AutoModelForCausalLM
    with torch.device(device):
        module = kind.from_config(opened.config, dtype=dtype, attn_implementation=attention_for(opened.config)).eval()
    with torch.no_grad():
        module.lm_head.weight.normal_(0, LOGIT_STD / opened.config.hidden_size**0.5)
    return ds.Denoiser(name, module, None, opened.facts, interface=opened.interface(module))


def measure(model: ds.Denoiser, text: str, batch: int, prompt: int, new: int) -> dict[str, Any]:
    """One cell: a batch of random prompts, after a shorter run that warms the kernels up."""
    policy, block_length = parse_policy(text)
    draw = torch.Generator().manual_seed(0)
    prompts = torch.randint(10, model.vocab_size // 2, (batch, prompt), generator=draw)
    sampler = ds.Sampler(model, policy, block_length=block_length, batch_size=batch)
    sampler.generate(prompts.tolist(), max_new_tokens=model.block_length)
    on_gpu = model.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    begun = time.perf_counter()
    out = sampler.generate(prompts.tolist(), max_new_tokens=new)
    seconds = time.perf_counter() - begun
    forwards = max(row.nfe for row in out.stats)
    return {
        "shape": model.name,
        "policy": text,
        "batch": batch,
        "tokens_per_s": sum(row.tokens for row in out.stats) / seconds,
        "seconds": seconds,
        "nfe": sum(row.nfe for row in out.stats) / batch,
        "edits_per_100": sum(row.edits_per_100 for row in out.stats) / batch,
        "ms_per_forward": 1000 * seconds / forwards,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", action="append", choices=list(SHAPES), help="default: all")
    parser.add_argument("--policy", action="append", help=f"default: {' '.join(POLICIES)}")
    parser.add_argument("--batch", type=int, action="append", help="default: 1 8 32")
    parser.add_argument("--prompt", type=int, default=128, help="tokens")
    parser.add_argument("--new", type=int, default=256, help="tokens")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny bodies: whether it runs at all")
    parser.add_argument("--json", type=Path, help="write the results here, after every cell")
    args = parser.parse_args()
    dtype = torch.float32 if args.device == "cpu" else torch.bfloat16
    cells: list[dict[str, Any]] = []
    for name in args.shape or SHAPES:
        model = build(name, args.device, dtype, args.small)
        for batch in args.batch or (1, 8, 32):
            for text in args.policy or POLICIES:
                cells.append(measure(model, text, batch, args.prompt, args.new))
                print(json.dumps(cells[-1]), flush=True)
                record = {
                    "command": "python -m benchmarks.shapes " + " ".join(sys.argv[1:]),
                    "device": device_name(model),
                    "dtype": str(dtype),
                    "torch": torch.__version__,
                    "transformers": importlib.metadata.version("transformers"),
                    "prompt_tokens": args.prompt,
                    "new_tokens": args.new,
                    "cells": cells,
                }
                if args.json:
                    args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        del model
        if args.device != "cpu":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
