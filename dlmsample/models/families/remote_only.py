"""Families that no stock body is known to fit: their own published code loads them, with ``trust_remote_code``."""

from __future__ import annotations

from dlmsample.models.families.base import Family
from dlmsample.models.families.sdar import FACTS

LLADA_MOE = Family(
    name="llada_moe",
    summary="LLaDA-MoE 7B-A1B Base and Instruct",
    architectures=r"LLaDAMoE\w*",
    model_types=r"llada_?moe",
    mask_id=156895,
    eos_ids=(156892,),
    mask_token="<|mask|>",
    eos_tokens=("<|endoftext|>", "<|role_end|>"),
    module_kind="module",
)
SDAR_MOE = Family(
    name="sdar_moe",
    summary="SDAR with experts",
    architectures=r"SDARMoeForCausalLM",
    model_types=r"sdar_moe",
    module_kind="module",
    **FACTS,
)
