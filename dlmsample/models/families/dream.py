"""Dream-7B (HKU; arXiv:2508.15487) and DiffuCoder (Apple; arXiv:2506.20639) in a Qwen2 body.

Bidirectional; the logits of position i predict the token at i + 1. The papers decode the whole answer as one block
(``block_length="all"``); the default of 32 is ours. Not served: DreamOn, which inserts and deletes tokens
(``expand_token_id``), and models of this architecture with a ``block_size``, which are block-causal.
"""

from __future__ import annotations

from dlmsample.models.families.base import Family, Key
from dlmsample.models.families.qwen import FIELDS, HARMLESS, ONLY

FAMILY = Family(
    name="dream",
    summary="Dream-7B, DiffuCoder",
    architectures=r"DreamModel|DreamForCausalLM",
    model_types=r"(?i)dream",
    model="Qwen2ForCausalLM",
    config="Qwen2Config",
    tokenizer="Qwen2Tokenizer",  # the published class is a copy of it
    fields=FIELDS,
    rope={"rope_theta": Key("rope_theta", 1000000.0)},
    only={**ONLY, "use_mrope": (False,)},
    harmless=HARMLESS | {"attention_bias"},  # not read: queries, keys and values always have a bias
    logit_shift=True,
    mask_id=151666,
    eos_ids=(151643, 151645),
    mask_token="<|mask|>",
    eos_tokens=("<|endoftext|>", "<|im_end|>"),
)
