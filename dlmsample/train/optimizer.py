"""What the optimiser moves, AdamW with its two groups, and the learning rate of each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from dlmsample.train.config import TrainConfig
from dlmsample.train.model import StreamModel


def named_trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """What the optimiser moves, by name, in the model's order (tied weights once).

    Names are the backbone's own; those of a correction head begin with ``head.``, and a backbone's own ``head.`` (of
    ModernBERT) is ``module.head.``.
    """
    return {_name(name): p for name, p in model.named_parameters() if p.requires_grad}


def _name(path: str) -> str:
    path = path.replace("_checkpoint_wrapped_module.", "")
    return path if path.startswith("module.head.") else path.removeprefix("module.")


def build_optimizer(config: TrainConfig, model: StreamModel, device: torch.device) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, never on norms, biases or embeddings."""
    embedding = model.module.get_input_embeddings().weight
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in named_trainable(model).values():
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
        >>> config = load("nano_mdm")
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
