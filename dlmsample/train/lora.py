"""Low-rank adapters inside a frozen stock module, and the PEFT folder that they are written as."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.sections import LoraSection

_NAME = "default"
_FACTORS = ("lora_A", "lora_B")


def linear_names(module: nn.Module) -> list[str]:
    """The last names of a module's linear layers (those inside adapters left out), each once, without the
    vocabulary's head."""
    paths = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    names = {path.removesuffix(".base_layer").rpartition(".")[2] for path in paths if ".lora_" not in path}
    return sorted(names - {"lm_head"})


def lora_targets(section: LoraSection, module: Any, usual: tuple[str, ...]) -> tuple[str, ...]:
    """The layers to adapt: the section's own, or the ``usual`` ones of the model's family.

    Raises:
        TrainError: neither names any, or a name that no linear layer has.
    """
    known = linear_names(module)
    targets = section.targets or usual
    if not targets:
        raise TrainError(
            f"lora.targets: no default for {module.config.model_type}; name some of its layers: {', '.join(known)}"
        )
    if missing := [name for name in targets if name.rpartition(".")[2] not in known]:
        raise TrainError(f"lora.targets: no linear layer {missing[0]!r}; there are: {', '.join(known)}")
    return targets


def lora_config(config: TrainConfig, section: LoraSection, targets: tuple[str, ...], generates: bool = True) -> Any:
    """The PEFT configuration of a run; ``generates``: PEFT may wrap the module as a causal LM."""
    from peft import LoraConfig, TaskType

    return LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,  # type: ignore[arg-type]  # a float serves as well
        lora_dropout=section.dropout,
        target_modules=list(targets),
        task_type=TaskType.CAUSAL_LM if generates else None,
        base_model_name_or_path=config.model.init,
        inference_mode=True,
    )


def add_lora(config: TrainConfig, section: LoraSection, module: Any, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Freeze ``module``, put adapters into its linear layers, in place, and say which; the module's class stays.

    The adapters are float32 whatever the base is. Their start is PEFT's (A uniform after Kaiming with a = sqrt 5,
    B zero), drawn on the CPU from the run's seed in the module's order: the same on every device.
    """
    from peft import inject_adapter_in_model

    targets = lora_targets(section, module, usual)
    module.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(lora_config(config, section, targets), module, adapter_name=_NAME)
    generator = torch.Generator().manual_seed(config.seed)
    for name, parameter in module.named_parameters():
        adapter = any(f".{factor}." in name for factor in _FACTORS)
        parameter.requires_grad_(adapter)
        if not adapter:
            continue
        parameter.data = parameter.data.float()
        if ".lora_A." in name:
            start = torch.empty(parameter.shape)
            nn.init.kaiming_uniform_(start, a=math.sqrt(5), generator=generator)
            parameter.data.copy_(start)
    return targets


def peft_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Trained tensors under the names of a PEFT folder's ``adapter_model.safetensors``."""
    return {f"base_model.model.{name.replace(f'.{_NAME}.', '.')}": tensor for name, tensor in tensors.items()}


def peft_json(config: TrainConfig, section: LoraSection, targets: tuple[str, ...], generates: bool) -> dict[str, Any]:
    """``adapter_config.json`` as plain data, sets in a fixed order."""
    data = lora_config(config, section, targets, generates).to_dict()
    return {key: sorted(value) if isinstance(value, set) else value for key, value in data.items()}
