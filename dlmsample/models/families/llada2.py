"""LLaDA2.0 and 2.1, mini and flash (inclusionAI; arXiv:2512.15745, arXiv:2602.08676) in a Glm4Moe body.

Block-causal, blocks of 32 counted from the first token: the prompt's tail stands in the first active block. The config
class of the published code has a wrong ``pad_token_id``, so ids are read from the file and the tokenizer.

Not served: LLaDA2.2, whose routing has an ``expert_capacity`` and whose decoding deletes and splits tokens; and
LLaDA2-Uni, which also reads images.
"""

from __future__ import annotations

from dlmsample.models.families.base import Family, Join, Key, Rename, Split, Stack

FAMILY = Family(
    name="llada2",
    summary="LLaDA2.0 and 2.1, mini and flash",
    architectures=r"LLaDA2Moe(ModelLM|ForCausalLM)",
    model_types=r"llada2\d?_moe(_veomni)?",
    model="Glm4MoeForCausalLM",
    config="Glm4MoeConfig",
    tokenizer="PreTrainedTokenizerFast",
    fields={
        "vocab_size": Key("vocab_size"),
        "hidden_size": Key("hidden_size"),
        "intermediate_size": Key("intermediate_size"),
        "moe_intermediate_size": Key("moe_intermediate_size"),
        "num_hidden_layers": Key("num_hidden_layers"),
        "num_attention_heads": Key("num_attention_heads"),
        "num_key_value_heads": Key("num_key_value_heads"),
        "head_dim": Key("head_dim", None),
        "hidden_act": Key("hidden_act", "silu"),
        "max_position_embeddings": Key("max_position_embeddings"),
        "rms_norm_eps": Key("rms_norm_eps", 1e-6),
        "tie_word_embeddings": Key("tie_word_embeddings", False),
        "attention_bias": Key("use_qkv_bias", False),
        "use_qk_norm": Key("use_qk_norm", True),
        "norm_topk_prob": Key("norm_topk_prob", True),
        "n_routed_experts": Key("num_experts"),
        "n_shared_experts": Key("num_shared_experts", 1),
        "num_experts_per_tok": Key("num_experts_per_tok"),
        "n_group": Key("n_group", 8),
        "topk_group": Key("topk_group", 4),
        "routed_scaling_factor": Key("routed_scaling_factor", 2.5),
        "first_k_dense_replace": Key("first_k_dense_replace", 1),
    },
    rope={
        "rope_theta": Key("rope_theta", 600000.0),
        "partial_rotary_factor": Key("partial_rotary_factor", 0.5),
    },
    only={
        "use_bias": (False,),
        "norm_head": (False,),
        "norm_softmax": (False,),
        "use_rmsnorm": (True,),
        "use_sliding_window": (False,),
        "score_function": ("sigmoid",),
        "router_dtype": ("fp32",),
        "moe_router_enable_expert_bias": (True,),
        "num_nextn_predict_layers": (0,),
        "use_fp8_experts": (False,),
        "using_split_qkv_in_self_attention": (False,),  # the published weights are fused
    },
    harmless=frozenset(
        {
            "embedding_dropout",
            "max_window_layers",  # read with use_sliding_window alone, as sliding_window
            "moe_shared_expert_intermediate_size",  # not read: moe_intermediate_size times num_shared_experts is
            "mtp_loss_scaling_factor",
            "output_dropout",
            "output_router_logits",
            "rotary_dim",  # not read: head_dim times partial_rotary_factor is
            "router_aux_loss_coef",
            "sliding_window",
        }
    ),
    weights=(
        Rename(r"word_embeddings", "embed_tokens"),
        Rename(r"\.attention\.dense", ".self_attn.o_proj"),
        Rename(r"\.attention\.query_layernorm", ".self_attn.q_norm"),
        Rename(r"\.attention\.key_layernorm", ".self_attn.k_norm"),
        Rename(r"gate\.expert_bias", "gate.e_score_correction_bias"),
        Split("attention.query_key_value", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        Stack(("mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"), "mlp.experts.gate_up_proj"),
        Stack(("mlp.experts.*.down_proj.weight",), "mlp.experts.down_proj"),
        # some files hold the experts of a layer stacked already
        Rename(r"mlp\.experts\.(gate_proj|up_proj|down_proj|gate_up_proj)\.weight", r"mlp.experts.\1"),
        Join((r"mlp\.experts\.gate_proj$", r"mlp\.experts\.up_proj$"), "mlp.experts.gate_up_proj"),
    ),
    attention="block_causal",
    block_alignment="absolute",
    mask_id=156895,
    eos_ids=(156892,),
    mask_token="<|mask|>",
    eos_tokens=("<|endoftext|>",),
)
