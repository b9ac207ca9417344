"""``dlmsample models --explain``: what a checkpoint is and how it is decoded, from its config and tokenizer alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlmsample.models.families import open_config

#: Whether a module takes a padding mask -> the mask that it is given.
_MASKS = {True: "padding [row, key]", False: "boolean [row, 1, query, key]"}


def explain(
    name: str,
    family: str | None = None,
    trust_remote_code: bool = False,
    mask_id: int | None = None,
    revision: str | None = None,
    ignore_config: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that loading would decide, the size of the model, and what becomes of its config's keys.

    Reads no weights. Keys that loading would refuse are listed here as unknown.

    Raises:
        ValueError: as :func:`~dlmsample.models.families.open_config`.

    Example:
        >>> said = explain("nano")
        >>> said["body"], said["block_length"], said["chat_template"]
        ('Qwen3ForCausalLM', 32, True)
    """
    opened = open_config(
        name,
        family=family,
        trust_remote_code=trust_remote_code,
        mask_id=mask_id,
        revision=revision,
        refuse_unknown=False,
    )
    facts, tokenizer = opened.facts, opened.tokenizer
    shell = opened.shell()
    interface = opened.interface(shell)
    cached = facts.attention == "block_causal" and interface.kind == "decoder"
    return {
        "name": opened.name,
        "family": opened.family.name,
        "recognised_by": opened.told_by,
        "body": type(shell).__name__,
        "remote_code": opened.runs_remote_code,
        "parameters": sum(p.numel() for p in shell.parameters()),
        "vocabulary": opened.vocab_size,
        "context": opened.context(interface),
        "mask_id": facts.mask_id,
        "mask_token": _token(tokenizer, facts.mask_id),
        "eos_ids": list(facts.eos_ids),
        "eos_tokens": [] if tokenizer is None else [_token(tokenizer, i) for i in facts.eos_ids],
        "tokenizer": None if tokenizer is None else type(tokenizer).__name__,
        "chat_template": bool(getattr(tokenizer, "chat_template", None)),
        "attention": facts.attention,
        "block_length": facts.block_length,
        "min_block_length": facts.min_block_length,
        "block_alignment": facts.block_alignment,
        "logit_shift": facts.logit_shift,
        "mask_form": _MASKS[interface.padding],
        "cache": "exact block cache" if cached else "none",
        "lora_targets": list(opened.lora_targets),
        "config_keys_read": list(opened.keys.read),
        "config_keys_harmless": list(opened.keys.harmless),
        "config_keys_unknown": [
            f"{key} ({'ignored' if key in ignore_config else 'refused'})" for key in opened.keys.unknown
        ],
    }


def _token(tokenizer: Any | None, token: int) -> str | None:
    return None if tokenizer is None else tokenizer.convert_ids_to_tokens(token)
