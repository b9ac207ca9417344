"""A checkpoint of a few thousand random weights on disk, and small grids that use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.train.standin import write_tokenizer


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """A random Qwen3 of 260 bytes with its tokenizer; decoding a problem with it takes milliseconds."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    write_tokenizer(folder)
    config = Qwen3Config(
        vocab_size=260,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=32,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
    )
    config.dlmsample = {
        "mask_id": 2,
        "eos_ids": [1],
        "block_length": 8,
        "min_block_length": 4,
        "attention": "block_causal",
        "block_alignment": "prompt",
    }
    generator = torch.Generator().manual_seed(seed)
    module = Qwen3ForCausalLM(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    module.save_pretrained(folder)
    return folder


def grid(model: Path, **changes: Any) -> dict[str, Any]:
    """Four cells of six problems, two of them with random draws."""
    return {
        "name": "toy",
        "tasks": [{"name": "wordproblems", "limit": 6, "options": {"max_steps": 5}}],
        "checkpoints": [{"model": str(model), "name": "tiny"}],
        "policies": [{"policy": "unmask", "tokens_per_step": [4, 8]}, {"policy": "t2m", "temperature": 0.9}],
        "seeds": [0],
        "max_new_tokens": 16,
        "batch_size": 2,
        **changes,
    }


def write(path: Path, data: dict[str, Any]) -> Path:
    """The grid as a file."""
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
