"""The torch module, its optimiser and the learning rate of a training run."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from dlmsample.models.hub import one_line
from dlmsample.objectives.base import Ids
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.origin import open_published
from dlmsample.train.config.sections import HeadSection
from dlmsample.train.data.layout import StreamModel
from dlmsample.train.lora import add_lora


def build_module(config: TrainConfig, device: torch.device | str = "cpu") -> Any:
    """A stock transformers decoder, new (seeded) or from weights, made ready for boolean masks.

    ``is_causal`` is False and attention is SDPA: then a boolean 4-D mask alone decides what is visible (the
    ``eager`` kind would add it as 0/1). Weights go straight to ``device``, in ``model.dtype``. So does a new
    module that stays frozen (random weights, to measure a large shape); one that trains is made on the CPU in
    float32, so that every device starts from the same numbers.

    Raises:
        TrainError: no such weights, or a shape that the stock body refuses.
    """
    from transformers import AutoModelForCausalLM

    section, on_cpu = config.model, torch.device(device).type == "cpu"
    place = None if on_cpu else {"": device}
    try:
        if (opened := open_published(section)) is not None:
            module = opened.load(getattr(torch, section.dtype), device_map=place)
        elif section.init is not None:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                section.where,
                config=_shape(config),
                attn_implementation="sdpa",
                dtype=getattr(torch, section.dtype),
                device_map=place,
                local_files_only=Path(section.where).is_dir(),
                output_loading_info=True,
            )
            module, report = loaded
            if missing := sorted(report["missing_keys"]):  # transformers would fill them with random numbers
                raise TrainError(
                    f"the weights of {section.init} do not fit the stock body: {len(missing)} tensors like {missing[0]}"
                    " are missing; write them in its layout first: dlmsample.load(NAME).module.save_pretrained(FOLDER)"
                )
        else:
            dtype = torch.float32 if config.trains_whole else getattr(torch, section.dtype)
            with _seeded(config.seed, device), torch.device("cpu" if config.trains_whole else device):
                module = AutoModelForCausalLM.from_config(_shape(config), attn_implementation="sdpa", dtype=dtype)
    except TrainError:
        raise
    except (RuntimeError, SafetensorError) as error:
        raise TrainError(
            f"cannot read the weights of {section.init}: {one_line(error)} (needed: a model.safetensors that fits "
            "config.json)"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(f"cannot build the model: {' '.join(str(error).split())}") from None
    module.config.use_cache = False
    return module


def build_model(config: TrainConfig, device: torch.device | str = "cpu") -> StreamModel:
    """The module to train with its adapters and its head: what trains is float32 and requires gradients.

    Raises:
        TrainError: as :func:`build_module`; unknown LoRA targets; a head that does not fit.
    """
    model = complete(config, build_module(config, device))
    # Where accelerate has one process read the weights for all, the others hold none yet.
    return model._apply(lambda t: torch.empty_like(t, device=device) if t.is_meta else t.to(device))


def skeleton(config: TrainConfig) -> StreamModel:
    """The same on the meta device: every name and shape, no number, no memory."""
    from transformers import AutoModelForCausalLM

    section = config.model
    try:
        opened = open_published(section, skip_hub=section.shape is not None)
        shape = _shape(config) if opened is None else opened.config
        with torch.device("meta"):
            module = AutoModelForCausalLM.from_config(shape, attn_implementation="sdpa", dtype=torch.float32)
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(f"cannot build the model: {' '.join(str(error).split())}") from None
    return complete(config, module)


def complete(config: TrainConfig, module: Any) -> StreamModel:
    """Adapters, head and gradients of a run around a built module."""
    if not config.trains_backbone:
        module.requires_grad_(False)
    elif config.lora is not None:
        add_lora(config, config.lora, module)
    else:
        module.float()
    if config.gradient_checkpointing:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # its new name is not in transformers 5.0 yet
            module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    head = None if config.head is None else build_head(config, config.head, module)
    return StreamModel(module, head)


def build_head(config: TrainConfig, section: HeadSection, module: Any) -> Any:
    """A new correction head for ``module``, float32, seeded."""
    from dlmsample.heads import CorrectionHead, HeadConfig

    body = module.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            shape = HeadConfig(
                hidden_size=body.hidden_size,
                max_positions=body.max_position_embeddings,
                **section.model_dump(exclude={"calibration_rows"}),
            )
        except ValueError as error:
            raise TrainError(f"head: {' '.join(str(error).split())}") from None
        return CorrectionHead(shape).float()


@contextmanager
def _seeded(seed: int, device: torch.device | str) -> Iterator[None]:
    """Draw from ``seed`` and leave torch's generators as they were."""
    with torch.random.fork_rng(devices=[device] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _shape(config: TrainConfig) -> Any:
    """The configuration of a body in a stock layout."""
    from transformers import AutoConfig

    section = config.model
    if section.init is not None and (Path(section.where).is_dir() or section.shape is None):
        shape = AutoConfig.from_pretrained(section.where, local_files_only=Path(section.where).is_dir())
    else:
        shape = AutoConfig.for_model(section.type, **(section.shape or {}))
    shape.is_causal = False
    return shape


def token_ids(config: TrainConfig, module: Any) -> Ids:
    """The ids an objective may need."""
    geometry, vocab = config.geometry, module.config.vocab_size
    special = {geometry.mask_id, *geometry.eos_ids, pad_id(module)}
    if max(special) >= vocab:
        raise TrainError(f"special id {max(special)} lies outside the vocabulary of {vocab}")
    return Ids(geometry.mask_id, tuple(sorted(special)), vocab)


def pad_id(module: Any) -> int:
    return module.config.pad_token_id or 0


def compile_layers(model: StreamModel) -> None:
    """Compile each decoder layer in place, for any batch and length: one graph serves all, and names stay."""
    bodies = [model.module.get_decoder()] + ([] if model.head is None else [model.head.body])
    for body in bodies:
        for layer in body.layers:
            layer.compile(dynamic=True)


def named_trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """What the optimiser moves, by name, in the model's order (tied weights once).

    Names are the backbone's own; a head's begin with ``head.``.
    """
    return {
        name.removeprefix("module.").replace("_checkpoint_wrapped_module.", ""): p
        for name, p in model.named_parameters()
        if p.requires_grad
    }


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
