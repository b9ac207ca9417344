"""Families of checkpoints that are not a published diffusion LM: stock decoders, masked LMs, remote code."""

from __future__ import annotations

from dlmsample.models.families.base import Family

STOCK = Family(
    name="stock",
    summary="any decoder of transformers whose config.json has a dlmsample section that says how it decodes",
    model="AutoModelForCausalLM",
)
MASKED_LM = Family(
    name="masked_lm",
    summary="any masked LM of transformers: BERT, RoBERTa, ModernBERT, ESM, antibody models",
    model="AutoModelForMaskedLM",
    module_kind="masked_lm",
)
REMOTE = Family(
    name="remote",
    summary="modelling code that comes with the checkpoint, run only when asked for (--trust-remote-code)",
    module_kind="module",
)
