"""A run's result as a folder that ``dlmsample.load`` reads: stock config, float16 weights, tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dlmsample.train import checkpoint
from dlmsample.train.build import build_module
from dlmsample.train.config import TrainConfig, TrainError, parse

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def write_folder(
    out: Path, config: TrainConfig, module: Any, tensors: dict[str, Tensor], record: dict[str, Any]
) -> Path:
    """Write config.json, model.safetensors, tokenizer files and training.json; replaces ``out`` whole."""
    draft = out.with_name(out.name + ".writing")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    body = module.config.to_dict()
    body.pop("_name_or_path", None)
    body |= {
        "architectures": [type(module).__name__],
        "dtype": "float16",
        "use_cache": True,
        "dlmsample": config.geometry.model_dump(mode="json"),
    }
    _json(draft / "config.json", body)
    half = {name: t.to(torch.float16) if t.is_floating_point() else t for name, t in tensors.items()}
    save_file(half, draft / "model.safetensors", metadata={"format": "pt"})
    for name in _TOKENIZER:
        if (config.tokenizer_folder / name).is_file():
            shutil.copyfile(config.tokenizer_folder / name, draft / name)
    _json(draft / "training.json", record)
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    return out


def export(folder: Path, out: Path) -> Path:
    """Turn a complete ``checkpoint-<step>`` into such a folder.

    Raises:
        TrainError: no complete checkpoint there, or ``out`` exists.
    """
    if not (folder / checkpoint.MARKER).exists():
        raise TrainError(f"{folder} is no complete checkpoint (no {checkpoint.MARKER} in it)")
    if out.exists():
        raise TrainError(f"{out} exists: choose another folder")
    tensors, _, state = checkpoint.read(folder)
    config = parse(state["config"], str(folder / "state.json"))
    return write_folder(out, config, build_module(config), tensors, state["record"])


def _json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
