"""SDAR (JetLM; arXiv:2510.06303) in a Qwen3 body, names unchanged.

Block-causal, blocks counted from the first token; 4 tokens, or ``block_size`` where the config has it. The bodies
with experts are left out: their numbers were never compared.
"""

from __future__ import annotations

from typing import Any

from dlmsample.models.families.base import DENSE, Family, take
from dlmsample.models.families.qwen import FIELDS, ONLY

FACTS: dict[str, Any] = {
    "attention": "block_causal",
    "block_alignment": "absolute",
    "block_length": 4,
    "block_key": "block_size",
    "mask_id": 151669,
    "eos_ids": (151643, 151645),
    "mask_token": "<|MASK|>",
    "eos_tokens": ("<|endoftext|>", "<|im_end|>"),
    "lora_targets": DENSE,
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
    fields={
        **FIELDS,
        "head_dim": take("head_dim", default=128),
        "attention_bias": take("attention_bias", default=False),
    },
    rope={"rope_theta": take("rope_theta", default=1000000.0)},
    only=ONLY,
    **FACTS,
)
