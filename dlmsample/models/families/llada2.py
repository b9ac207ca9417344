"""LLaDA2.0, 2.1 and 2.2, mini and flash (inclusionAI; arXiv:2602.08676) in a Glm4Moe body.

Block-causal, blocks of 32 counted from the first token: the prompt's tail stands in the first active block. The
config class of the published code has a wrong ``pad_token_id``, so ids are read from the file and the tokenizer.
"""

from __future__ import annotations

from dlmsample.models.families.base import ATTENTION, Family, Rename, Split, Stack, need, take

FAMILY = Family(
    name="llada2",
    summary="LLaDA2.0, 2.1 and 2.2, mini and flash",
    architectures=r"LLaDA2\w*",
    model_types=r"llada2\w*",
    model="Glm4MoeForCausalLM",
    config="Glm4MoeConfig",
    tokenizer="PreTrainedTokenizerFast",
    fields={
        "vocab_size": need("vocab_size"),
        "hidden_size": need("hidden_size"),
        "intermediate_size": need("intermediate_size"),
        "moe_intermediate_size": need("moe_intermediate_size"),
        "num_hidden_layers": need("num_hidden_layers"),
        "num_attention_heads": need("num_attention_heads"),
        "num_key_value_heads": need("num_key_value_heads"),
        "head_dim": take("head_dim"),
        "hidden_act": take("hidden_act", default="silu"),
        "max_position_embeddings": need("max_position_embeddings"),
        "rms_norm_eps": take("rms_norm_eps", default=1e-6),
        "tie_word_embeddings": take("tie_word_embeddings", default=False),
        "attention_bias": take("use_qkv_bias", default=False),
        "use_qk_norm": take("use_qk_norm", default=True),
        "norm_topk_prob": take("norm_topk_prob", default=True),
        "n_routed_experts": need("num_experts"),
        "n_shared_experts": take("num_shared_experts", default=1),
        "num_experts_per_tok": need("num_experts_per_tok"),
        "n_group": take("n_group", default=8),
        "topk_group": take("topk_group", default=4),
        "routed_scaling_factor": take("routed_scaling_factor", default=2.5),
        "first_k_dense_replace": take("first_k_dense_replace", default=1),
    },
    rope={
        "rope_theta": take("rope_theta", default=600000.0),
        "partial_rotary_factor": take("partial_rotary_factor", default=0.5),
    },
    only={
        "use_bias": (False,),
        "norm_head": (False,),
        "use_sliding_window": (False,),
        "score_function": ("sigmoid",),
        "moe_router_enable_expert_bias": (True,),
        "num_nextn_predict_layers": (0,),
    },
    weights=(
        Rename(r"word_embeddings", "embed_tokens"),
        Rename(r"\.attention\.dense", ".self_attn.o_proj"),
        Rename(r"\.attention\.query_layernorm", ".self_attn.q_norm"),
        Rename(r"\.attention\.key_layernorm", ".self_attn.k_norm"),
        Rename(r"gate\.expert_bias", "gate.e_score_correction_bias"),
        Split("attention.query_key_value", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        Stack(("mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"), "mlp.experts.gate_up_proj"),
        Stack(("mlp.experts.*.down_proj.weight",), "mlp.experts.down_proj"),
    ),
    attention="block_causal",
    block_alignment="absolute",
    mask_id=156895,
    eos_ids=(156892,),
    mask_token="<|mask|>",
    eos_tokens=("<|endoftext|>",),
    lora_targets=ATTENTION,
)
