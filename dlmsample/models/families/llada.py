"""LLaDA-8B Base and Instruct, LLaDA 1.5 (GSAI-ML; arXiv:2502.09992, arXiv:2505.19223) in a Llama body.

Bidirectional; answer blocks count from the prompt's end and later blocks stay masked and visible. ``weight_tying``
decides tying, not ``tie_word_embeddings``. Block length 32 is ours: the paper decodes with several.
"""

from __future__ import annotations

from dlmsample.models.families.base import DENSE, Family, Rename, need, take

FAMILY = Family(
    name="llada",
    summary="LLaDA-8B Base and Instruct, LLaDA 1.5",
    architectures=r"LLaDAModel(LM)?",
    model_types=r"llada",
    model="LlamaForCausalLM",
    config="LlamaConfig",
    tokenizer="PreTrainedTokenizerFast",
    fields={
        "vocab_size": need("embedding_size", "vocab_size"),
        "hidden_size": need("d_model"),
        "intermediate_size": need("mlp_hidden_size"),
        "num_hidden_layers": need("n_layers"),
        "num_attention_heads": need("n_heads"),
        "num_key_value_heads": take("n_kv_heads", "n_heads"),
        "max_position_embeddings": need("max_sequence_length"),
        "rms_norm_eps": take("rms_norm_eps", default=1e-5),
        "attention_bias": take("include_qkv_bias", default=False),
        "tie_word_embeddings": take("weight_tying", default=False),
    },
    rope={"rope_theta": take("rope_theta", default=10000.0)},
    only={
        "block_type": ("llama",),
        "block_group_size": (1,),
        "activation_type": ("silu",),
        "layer_norm_type": ("rms",),
        "rope": (True,),
        "alibi": (False,),
        "attention_layer_norm": (False,),
        "input_emb_norm": (False,),
        "include_bias": (False,),
        "include_qkv_bias": (False,),
        "scale_logits": (False,),
    },
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
    lora_targets=DENSE,
)
