"""Families of checkpoints that are not a published diffusion LM: stock decoders, masked LMs, remote code."""

from __future__ import annotations

from dlmsample.models.families.base import Family

STOCK = Family(
    name="stock",
    must_declare=True,
    summary="any decoder of transformers whose config.json has a dlmsample section that says how it decodes",
    model="AutoModelForCausalLM",
)
MASKED_LM = Family(
    name="masked_lm",
    summary="masked LMs of transformers that keep rows apart: BERT, RoBERTa, ModernBERT, ESM, antibody models",
    model="AutoModelForMaskedLM",
    only={"position_embedding_type": ("absolute",), "inner_group_num": (1,), "hidden_act": ("gelu",)},
    harmless=frozenset(
        {
            "classifier_dropout",
            "classifier_dropout_prob",
            "directionality",
            "down_scale_factor",
            "gap_size",
            "layer_norm_eps",
            "layers_to_keep",
            "net_structure_type",
            "num_memory_blocks",
            "pooler_fc_size",
            "pooler_hidden_act",
            "pooler_hidden_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
            "reference_compile",
            "repad_logits_with_grad",
            "summary_activation",
            "summary_last_dropout",
            "summary_type",
            "summary_use_proj",
            "tie_weights_",
        }
    ),
    module_kind="masked_lm",
)
REMOTE = Family(
    name="remote",
    must_declare=True,
    summary="modelling code that comes with the checkpoint, run only when asked for (--trust-remote-code)",
    module_kind="module",
)
