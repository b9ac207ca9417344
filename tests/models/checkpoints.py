"""Tiny checkpoints of every family, and the plain whole-sequence forward that they are compared with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from torch import Tensor

import dlmsample as ds

OFFICIAL = Path(__file__).parent.parent / "data" / "official_tiny"
#: Masked LMs: small, but with what makes them differ (offset positions, token dropout, sliding windows, ...).
_SIZE: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 96,
}
MASK, EOS = 32, 2
_ESM = {"pad_token_id": 1, "mask_token_id": MASK, "token_dropout": True}
_MODERN = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
MASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertConfig", {**_SIZE, "pad_token_id": 0}),
    "roberta": ("RobertaConfig", {**_SIZE, "pad_token_id": 1}),
    "esm-rotary": ("EsmConfig", {**_SIZE, **_ESM, "position_embedding_type": "rotary"}),
    "esm-absolute": ("EsmConfig", {**_SIZE, **_ESM, "position_embedding_type": "absolute"}),
    "modernbert": ("ModernBertConfig", {**_SIZE, **_MODERN, "local_attention": 8, "global_attn_every_n_layers": 3}),
    "distilbert": ("DistilBertConfig", {"vocab_size": 40, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}),
    "electra": ("ElectraConfig", {**_SIZE, "embedding_size": 16}),
    "albert": ("AlbertConfig", {**_SIZE, "embedding_size": 16}),
    "deberta-v2": ("DebertaV2Config", {**_SIZE, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
}
FAMILIES = ("llada", "dream", "llada2", "sdar")


def save(family: str, folder: Path) -> Path:
    """A tiny checkpoint in the family's published format."""
    if (OFFICIAL / family).is_dir():
        shutil.copytree(OFFICIAL / family, folder)
        (folder / "expected.safetensors").unlink()
    elif family == "sdar":
        _save_sdar(folder)
    else:
        kind, options = MASKED[family]
        config = getattr(transformers, kind)(**options)
        _random(transformers.AutoModelForMaskedLM.from_config(config), 0.2).save_pretrained(folder)
    return folder


def opened(family: str, folder: Path, sharp: float = 6.0) -> ds.Denoiser:
    """The same, loaded; ``sharp`` makes confidences spread over (0, 1)."""
    own: dict[str, Any] = {"llada2": {"mask_id": 254}, "dream": {"eos_ids": [249]}}
    ids = own.get(family, {} if family in FAMILIES else {"mask_id": MASK, "eos_ids": [EOS]})
    model = ds.load(save(family, folder), **ids)
    if family in FAMILIES:
        with torch.no_grad():
            model.module.get_output_embeddings().weight.mul_(sharp)
    return model


def logits(model: ds.Denoiser, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """``[pos, vocab]``, the prediction of every position of one unpadded row, from the module as it is."""
    options: dict[str, Any] = {}
    if model.interface.kind == "decoder":
        every = torch.ones(1, 1, len(ids), len(ids), dtype=torch.bool)
        options = {"attention_mask": every if mask is None else mask, "position_ids": torch.arange(len(ids))[None]}
    with torch.no_grad():
        out = model.module(input_ids=ids[None], **options).logits[0]
    return torch.cat([out[:1], out[:-1]]) if model.facts.logit_shift else out


def plain(model: ds.Denoiser) -> Any:
    """The model as the oracle takes it: a module whose logits stand where they predict."""

    def module(input_ids: Tensor, attention_mask: Tensor, **_: Any) -> Any:
        return SimpleNamespace(logits=logits(model, input_ids[0], attention_mask)[None])

    names = ("mask_id", "eos_ids", "block_length", "block_alignment", "attention")
    return SimpleNamespace(module=module, source=model, **{name: getattr(model, name) for name in names})


def _save_sdar(folder: Path) -> None:
    config = transformers.Qwen3Config(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=512,
        eos_token_id=249,
        pad_token_id=249,
    )
    _random(transformers.Qwen3ForCausalLM(config), 0.1).save_pretrained(folder)
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    raw |= {"model_type": "sdar", "architectures": ["SDARForCausalLM"], "mask_token_id": 250, "block_size": 8}
    raw["auto_map"] = {"AutoModelForCausalLM": "modeling_sdar.SDARForCausalLM"}
    path.write_text(json.dumps(raw))


def _random(module: Any, scale: float) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return module.eval()
