"""The torch module, its optimiser and the learning rate of a training run."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from dlmsample.objectives.base import Ids
from dlmsample.train.config import TrainConfig, TrainError


def build_module(config: TrainConfig) -> Any:
    """A stock transformers decoder in float32, new (seeded) or from a checkpoint folder, made ready for
    boolean masks.

    ``is_causal`` is False and attention is SDPA: then a boolean 4-D mask alone decides what is visible (the
    ``eager`` kind would add it as 0/1).
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    section = config.model
    torch.manual_seed(config.seed)
    try:
        if section.init is not None:
            shape = AutoConfig.from_pretrained(section.init, local_files_only=True)
            shape.is_causal = False
            module = AutoModelForCausalLM.from_pretrained(
                section.init,
                config=shape,
                attn_implementation="sdpa",
                dtype=torch.float32,
                local_files_only=True,
            )
        else:
            shape = AutoConfig.for_model(section.type, **(section.shape or {}))
            shape.is_causal = False
            module = AutoModelForCausalLM.from_config(shape, attn_implementation="sdpa", dtype=torch.float32)
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(f"cannot build the model: {' '.join(str(error).split())}") from None
    module.config.use_cache = False
    return module


def token_ids(config: TrainConfig, module: Any) -> Ids:
    """The ids an objective may need."""
    geometry, vocab = config.geometry, module.config.vocab_size
    special = {geometry.mask_id, *geometry.eos_ids, pad_id(module)}
    if max(special) >= vocab:
        raise TrainError(f"special id {max(special)} lies outside the vocabulary of {vocab}")
    return Ids(geometry.mask_id, tuple(sorted(special)), vocab)


def pad_id(module: Any) -> int:
    return module.config.pad_token_id or 0


def compile_layers(module: Any) -> None:
    """Compile each decoder layer in place, for any batch and length: one graph serves all, and names stay."""
    for layer in module.get_decoder().layers:
        layer.compile(dynamic=True)


def named_trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """What the optimiser moves, by name, in the module's order (tied weights once)."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def build_optimizer(config: TrainConfig, module: Any, device: torch.device) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, never on norms, biases or embeddings."""
    embedding = module.get_input_embeddings().weight
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in named_trainable(module).values():
        groups[parameter.ndim >= 2 and parameter is not embedding].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": config.weight_decay},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=config.betas,
        fused=device.type == "cuda",
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of update ``step`` (from 0): a function of the step and of ``steps`` alone.

    Linear warm-up, then constant, or a cosine that reaches ``min_lr_ratio * lr`` at the end.

    Example:
        >>> from dlmsample.train.config import load
        >>> config = load("nano")
        >>> learning_rate(config, config.warmup - 1) == config.lr, learning_rate(config, config.steps) < 1e-9
        (True, True)
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    share = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.lr * (config.min_lr_ratio + (1 - config.min_lr_ratio) * share)
