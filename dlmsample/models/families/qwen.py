"""The config keys that Dream and SDAR share with the Qwen bodies they were made from."""

from __future__ import annotations

from dlmsample.models.families.base import Key

FIELDS = {
    "vocab_size": Key("vocab_size"),
    "hidden_size": Key("hidden_size"),
    "intermediate_size": Key("intermediate_size"),
    "num_hidden_layers": Key("num_hidden_layers"),
    "num_attention_heads": Key("num_attention_heads"),
    "num_key_value_heads": Key("num_key_value_heads"),
    "max_position_embeddings": Key("max_position_embeddings"),
    "hidden_act": Key("hidden_act", "silu"),
    "rms_norm_eps": Key("rms_norm_eps", 1e-6),
    "tie_word_embeddings": Key("tie_word_embeddings", False),
}
ONLY = {"use_sliding_window": (False,)}
#: Read together with ``use_sliding_window`` alone.
HARMLESS = frozenset({"sliding_window", "max_window_layers"})
