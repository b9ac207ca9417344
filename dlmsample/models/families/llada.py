"""LLaDA-8B Base and Instruct, LLaDA 1.5 (GSAI-ML; arXiv:2502.09992, arXiv:2505.19223) in a Llama body.

Bidirectional; answer blocks count from the prompt's end, and later blocks stay masked and visible. ``weight_tying``
decides whether weights are tied, not ``tie_word_embeddings``. The block length of 32 is ours: the paper uses several.
"""

from __future__ import annotations

from dlmsample.models.families.base import Family, Key, Rename

FAMILY = Family(
    name="llada",
    summary="LLaDA-8B Base and Instruct, LLaDA 1.5",
    architectures=r"LLaDAModel(LM)?",
    model_types=r"llada",
    model="LlamaForCausalLM",
    config="LlamaConfig",
    tokenizer="PreTrainedTokenizerFast",
    fields={
        "vocab_size": Key("embedding_size", fallback="vocab_size"),
        "hidden_size": Key("d_model"),
        "intermediate_size": Key("mlp_hidden_size"),
        "num_hidden_layers": Key("n_layers"),
        "num_attention_heads": Key("n_heads"),
        "num_key_value_heads": Key("n_kv_heads", fallback="n_heads"),
        "max_position_embeddings": Key("max_sequence_length"),
        "rms_norm_eps": Key("rms_norm_eps", 1e-5),
        "attention_bias": Key("include_qkv_bias", False),
        "tie_word_embeddings": Key("weight_tying", False),
    },
    rope={"rope_theta": Key("rope_theta", 10000.0)},
    only={
        "block_type": ("llama",),
        "block_group_size": (1,),
        "activation_type": ("silu",),
        "layer_norm_type": ("rms",),
        "layer_norm_with_affine": (True,),
        "bias_for_layer_norm": (False,),
        "rope": (True,),
        "alibi": (False,),
        "attention_layer_norm": (False,),
        "input_emb_norm": (False,),
        "include_bias": (False,),
        "include_qkv_bias": (False,),
        "scale_logits": (False,),
        "multi_query_attention": (False,),  # n_kv_heads says it
        "clip_qkv": (),
        "embedding_layer_norm": (False,),
    },
    harmless=frozenset(
        {
            "alibi_bias_max",  # read with alibi alone
            "attention_layer_norm_with_affine",  # read with attention_layer_norm alone
            "embedding_dropout",
            "flash_attention",
            "init_cutoff_factor",
            "init_device",
            "init_fn",
            "init_std",
            "mlp_ratio",  # mlp_hidden_size is given
            "precision",
            "residual_dropout",
            "rope_full_precision",
            "tie_word_embeddings",  # weight_tying says it
        }
    ),
    weights=(
        Rename(r"^model\.transformer\.ff_out", "lm_head"),
        Rename(r"transformer\.wte", "embed_tokens"),
        Rename(r"transformer\.ln_f", "norm"),
        Rename(r"transformer\.blocks\.", "layers."),
        Rename(r"\.attn_norm", ".input_layernorm"),
        Rename(r"\.ff_norm", ".post_attention_layernorm"),
        Rename(r"(?<=\d)\.q_proj", ".self_attn.q_proj"),
        Rename(r"(?<=\d)\.k_proj", ".self_attn.k_proj"),
        Rename(r"(?<=\d)\.v_proj", ".self_attn.v_proj"),
        Rename(r"(?<=\d)\.attn_out", ".self_attn.o_proj"),
        Rename(r"(?<=\d)\.ff_proj", ".mlp.gate_proj"),
        Rename(r"(?<=\d)\.up_proj", ".mlp.up_proj"),
        Rename(r"(?<=\d)\.ff_out", ".mlp.down_proj"),
    ),
    mask_id=126336,
    eos_ids=(126081, 126348),
    mask_token="<|mdm_mask|>",
    eos_tokens=("<|endoftext|>", "<|eot_id|>"),
)
