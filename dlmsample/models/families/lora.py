"""Which linear layers LoRA adapters go into by default."""

from __future__ import annotations

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_DENSE = (*_ATTENTION, "gate_proj", "up_proj", "down_proj")

LORA_TARGETS: dict[str, tuple[str, ...]] = {
    "llama": _DENSE,
    "qwen2": _DENSE,
    "qwen3": _DENSE,
    "glm4_moe": _ATTENTION,  # the router and the experts stay as they are
    "bert": ("query", "key", "value"),
    "roberta": ("query", "key", "value"),
    "esm": ("query", "key", "value"),
    "electra": ("query", "key", "value"),
    "modernbert": ("Wqkv", "Wo"),
    "llada_moe": _ATTENTION,
    "sdar_moe": _DENSE,
}
"""Last names of layers, by the ``model_type`` of the stock body; of code that comes with a checkpoint, by family."""
