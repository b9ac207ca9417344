"""A run's result as folders that ``dlmsample.load`` reads: a model, a PEFT adapter, a correction head."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dlmsample.models.embedded import RECOMMENDED
from dlmsample.objectives.base import objective
from dlmsample.train import calibrate, checkpoint
from dlmsample.train.card import card
from dlmsample.train.config import TrainConfig, TrainError, parse
from dlmsample.train.config.sections import LoraSection
from dlmsample.train.data.encoder import make_encoder
from dlmsample.train.folder import RECORD, remove_result
from dlmsample.train.lora import peft_json, peft_tensors
from dlmsample.train.model import StreamModel, build_model, pad_id, token_ids
from dlmsample.train.optimizer import named_trainable

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_HEAD = "head."


def write_result(
    out: Path, config: TrainConfig, model: StreamModel, tensors: Mapping[str, Tensor], record: dict[str, Any]
) -> Path:
    """Write what was trained, float16, with ``training.json`` and a model card, in place of an older result.

    A backbone's weights give a model folder, adapters a PEFT folder, a head alone a head folder; a head that
    was trained together with the others lies in ``head/`` below them. Beside them (the head, where there is one)
    ``decoding_config.json`` says how to decode, for ``--policy auto``.

    Args:
        out: the folder.
        config: the run.
        model: gives configurations and the head's offset; its numbers are not read.
        tensors: what trained (and a model's buffers), whole, on the CPU.
        record: for ``training.json``.

    Raises:
        TrainError: ``out`` holds something that is no result of a run.
    """
    draft = out.with_name(out.name + ".writing")
    remove_result(draft)
    draft.mkdir(parents=True)
    _json(draft / RECORD, record)
    head = {name.removeprefix(_HEAD): t for name, t in tensors.items() if name.startswith(_HEAD)}
    body = {name.removeprefix("module."): t for name, t in tensors.items() if not name.startswith(_HEAD)}
    if head:
        _head(draft / "head" if config.trains_backbone else draft, model, head, record)
    if config.trains_backbone and config.lora is not None:
        _adapter(draft, config, config.lora, model, body)
    elif config.trains_backbone:
        _model(draft, config, model.module, body)
    if trained_for := recommendation(config):
        _json((draft / "head" if head and config.trains_backbone else draft) / RECOMMENDED, trained_for)
    (draft / "README.md").write_text(card(config, record), encoding="utf-8")
    remove_result(out)
    draft.rename(out)
    return out


def export(folder: Path, out: Path) -> Path:
    """Turn a complete ``checkpoint-<step>`` into such a folder; a head is calibrated, on the CPU.

    Raises:
        TrainError: no complete checkpoint there, or ``out`` exists.
    """
    if not (folder / checkpoint.MARKER).exists():
        raise TrainError(f"{folder} is no complete checkpoint (no {checkpoint.MARKER} in it)")
    if out.exists():
        raise TrainError(f"{out} exists: choose another folder")
    saved = checkpoint.read(folder)
    config = parse(saved.state["config"], str(folder / "state.json"))
    model = build_model(config).eval()
    named = named_trainable(model)
    checkpoint.restore_model(named, saved.average or saved.model)
    found = {}
    if config.head is not None:
        rule = objective(config.objective.name, **config.objective.options)
        ids, pad = token_ids(config, model, make_encoder(config).outer), pad_id(model.module)
        logits, wrong = calibrate.measure(config, model, rule, ids, pad, torch.device("cpu"))
        found = calibrate.calibrate(config, model, logits, wrong)
    tensors = checkpoint.model_state(result_tensors(config, model, named))
    return write_result(out, config, model, tensors, saved.state["record"] | found)


def recommendation(config: TrainConfig) -> dict[str, Any]:
    """The policy to decode with, as a grid names one: that of the run's samples, else what its objective is made for.

    Example:
        >>> from dlmsample.train.config import load
        >>> recommendation(load("nano_scope"))
        {'policy': 'd3im', 'steps': 48, 'block_length': 'all'}
    """
    if config.sample is None:
        return dict(objective(config.objective.name, **config.objective.options).made_for)
    length = {} if config.sample.block_length is None else {"block_length": config.sample.block_length}
    return {"policy": config.sample.policy, **config.sample.options, **length}


def result_tensors(config: TrainConfig, model: StreamModel, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a result holds: all that trained; of a whole model its stored buffers too."""
    if not config.trains_whole:
        return dict(named)
    stored = model.module.state_dict().keys()
    return {**named, **{name: b for name, b in model.module.named_buffers() if name in stored}}


def _model(folder: Path, config: TrainConfig, module: Any, tensors: Mapping[str, Tensor]) -> None:
    """config.json, model.safetensors and the tokenizer's files."""
    body = module.config.to_dict()
    body.pop("_name_or_path", None)
    body |= {
        "architectures": [type(module).__name__],
        "dtype": "float16",
        "use_cache": True,
        "dlmsample": config.geometry.model_dump(mode="json"),
    }
    _json(folder / "config.json", body)
    _half(folder / "model.safetensors", tensors)
    for name in _TOKENIZER:
        if (config.tokenizer_folder / name).is_file():
            shutil.copyfile(config.tokenizer_folder / name, folder / name)


def _adapter(
    folder: Path, config: TrainConfig, section: LoraSection, model: StreamModel, tensors: Mapping[str, Tensor]
) -> None:
    """A PEFT folder."""
    _json(folder / "adapter_config.json", peft_json(config, section, model.lora_targets, model.reads.kind == "decoder"))
    _half(folder / "adapter_model.safetensors", peft_tensors(tensors))


def _head(folder: Path, model: StreamModel, tensors: Mapping[str, Tensor], record: dict[str, Any]) -> None:
    from dlmsample.heads import CorrectionHead, save_head

    with torch.random.fork_rng(devices=[]):
        head = CorrectionHead(model.head.config)
    head.load_state_dict(dict(tensors))
    save_head(head, folder, record)


def _half(path: Path, tensors: Mapping[str, Tensor]) -> None:
    half = {name: t.to(torch.float16) if t.is_floating_point() else t for name, t in tensors.items()}
    for name, tensor in half.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise TrainError(f"{name} holds numbers that float16 cannot: the run diverged; lower lr, or clip")
    save_file(half, path, metadata={"format": "pt"})


def _json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
