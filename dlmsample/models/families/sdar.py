"""SDAR (JetLM; arXiv:2510.06303) in a Qwen3 body, names unchanged.

Block-causal, blocks counted from the first token; 4 tokens, or ``block_size`` where the config has it. The bodies
with experts are left out, because their numbers were never compared.
"""

from __future__ import annotations

from typing import Any

from dlmsample.models.families.base import Family, Key
from dlmsample.models.families.qwen import FIELDS, HARMLESS, ONLY

FACTS: dict[str, Any] = {
    "attention": "block_causal",
    "block_alignment": "absolute",
    "block_length": 4,
    "block_key": "block_size",
    "mask_id": 151669,
    "eos_ids": (151643, 151645),
    "mask_token": "<|MASK|>",
    "eos_tokens": ("<|endoftext|>", "<|im_end|>"),
}
"""How SDAR decodes, with experts or without."""

FAMILY = Family(
    name="sdar",
    summary="SDAR, the dense ones",
    architectures=r"SDARForCausalLM",
    model_types=r"sdar",
    model="Qwen3ForCausalLM",
    config="Qwen3Config",
    tokenizer="PreTrainedTokenizerFast",
    tokenizer_of_parts="Qwen2Tokenizer",
    fields={
        **FIELDS,
        "head_dim": Key("head_dim", 128),
        "attention_bias": Key("attention_bias", False),
    },
    rope={"rope_theta": Key("rope_theta", 1000000.0)},
    only=ONLY,
    harmless=HARMLESS
    | {"debug", "ep_size", "fuse_cross_entropy", "micro_forward", "skip_checkpoint", "use_deepep"},  # for training
    **FACTS,
)
