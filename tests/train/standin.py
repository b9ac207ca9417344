"""A tiny task and tokenizer, so that the trainer's tests need no other part of the package."""

from __future__ import annotations

from pathlib import Path

import yaml

from dlmsample.tasks.base import Example


def problem(split: str, index: int, seed: int = 0, digits: int = 1) -> Example:
    a, b = index * 7 % 10**digits, index * 3 % 10**digits
    return Example(f"{a} + {b}?", str(a + b), f"{a} + {b} = {a + b}\n#### {a + b}")


def write_tokenizer(folder: Path) -> Path:
    """A byte-level tokenizer: pad 0, eos 1, mask 2, then the characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {"<pad>": 0, "<eos>": 1, "<mask>": 2}
    for char in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[char] = len(vocab)
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    outer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", mask_token="<mask>")
    outer.chat_template = "{% for m in messages %}Q: {{ m['content'] }}{% endfor %}{{ '\nA:' }}"
    outer.save_pretrained(folder)
    return folder


def recipe(folder: Path, **changes: object) -> Path:
    """A recipe of a few thousand parameters in ``folder``."""
    data: dict[str, object] = {
        "model": {
            "tokenizer": str(write_tokenizer(folder / "tokenizer")),
            "shape": {
                "vocab_size": 260,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "intermediate_size": 64,
                "max_position_embeddings": 256,
                "tie_word_embeddings": False,
                "pad_token_id": 0,
                "bos_token_id": None,
                "eos_token_id": 1,
            },
            "geometry": {"mask_id": 2, "eos_ids": [1], "block_length": 8, "min_block_length": 4},
        },
        "objective": {"name": "mdm"},
        "task": {"name": "tests.train.standin:problem", "mix": [{"share": 0.3, "options": {"digits": 2}}]},
        "windows": {"window_max": 32, "long_window_max": 48},
        "steps": 12,
        "batch_size": 8,
        "micro_batches": 2,
        "lr": 0.005,
        "warmup": 2,
        "checkpoint_every": 2,
        "log_every": 2,
    }
    data |= changes
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path
