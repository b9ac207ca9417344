"""The fields that Dream and SDAR share with the Qwen bodies they were made from."""

from __future__ import annotations

from dlmsample.models.families.base import need, take

FIELDS = {
    "vocab_size": need("vocab_size"),
    "hidden_size": need("hidden_size"),
    "intermediate_size": need("intermediate_size"),
    "num_hidden_layers": need("num_hidden_layers"),
    "num_attention_heads": need("num_attention_heads"),
    "num_key_value_heads": need("num_key_value_heads"),
    "max_position_embeddings": need("max_position_embeddings"),
    "hidden_act": take("hidden_act", default="silu"),
    "rms_norm_eps": take("rms_norm_eps", default=1e-6),
    "tie_word_embeddings": take("tie_word_embeddings", default=False),
}
ONLY = {"use_sliding_window": (False,)}
