"""What a machine can do, and what a decoding step must do at the least: bytes read and multiplications made.

A step of a decoder with an exact cache must read every weight it uses once, and the keys and values of what lies
before the active block; it must multiply the active block's positions with the weights. Logits, activations and
what a loop does beside the forward are not counted: no decoder is charged for a way of doing things.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import dlmsample as ds


@dataclass(frozen=True)
class Machine:
    """Measured, not from a data sheet."""

    bytes_per_s: float  #: of memory, read and written by a large copy
    flops_per_s: float  #: of a large matrix product in the dtype of the weights


@dataclass(frozen=True)
class Work:
    """Of one decoding step, at the least."""

    bytes: float
    flops: float
    cache_bytes: float  #: of the bytes, those of keys and values

    def seconds(self, machine: Machine) -> float:
        """The roofline: whichever takes longer."""
        return max(self.bytes / machine.bytes_per_s, self.flops / machine.flops_per_s)


def measure(device: torch.device, dtype: torch.dtype) -> Machine:
    """The best of several tries each."""
    on_gpu = device.type == "cuda"
    many, side = (1 << 30, 8192) if on_gpu else (1 << 24, 512)
    source = torch.zeros(many, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = 2 * many / _best(lambda: target.copy_(source), device)
    left = torch.randn(side, side, dtype=dtype, device=device)
    multiplied = 2 * side**3 / _best(lambda: left @ left, device)
    return Machine(copied, multiplied)


def _best(act: Callable[[], Any], device: torch.device, tries: int = 5, repeats: int = 10) -> float:
    """Seconds."""
    times = []
    for _ in range(tries):
        synchronize(device)
        begun = time.perf_counter()
        for _ in range(repeats):
            act()
        synchronize(device)
        times.append((time.perf_counter() - begun) / repeats)
    return min(times[1:])


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def work(model: ds.Denoiser, rows: int, prompt: int, new: int) -> Work:
    """Of a step, averaged over the answer's blocks; ``rows`` at once, each with a block of the model's own length.

    Of ``E`` experts of a layer a step reads those that any position was routed to, ``E (1 - (1 - k/E)^positions)``
    where routing is even. A bidirectional checkpoint has no exact cache: its steps forward the whole canvas.
    """
    config: Any = model.module.config
    exact, width = model.attention == "block_causal", model.block_length
    positions = rows * (width if exact else prompt + new)
    reach = prompt + (new + width) / 2 if exact else prompt + new  # positions that a query sees, on average
    experts, chosen = getattr(config, "n_routed_experts", 0), getattr(config, "num_experts_per_tok", 0)
    share = 1 - (1 - chosen / experts) ** positions if experts else 0.0

    dense = routed = 0
    for name, parameter in model.body.named_parameters():
        if ".experts." in name:
            routed += parameter.numel()
        elif parameter.dim() > 1 and "embed_tokens" not in name:
            dense += parameter.numel()
    head: Any = model.lm_head
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    used = head.weight.numel() + dense + share * routed
    kept = 2 * layers * config.num_key_value_heads * head_dim * rows * (reach - width) if exact else 0
    routed_once = routed * chosen / experts if experts else 0
    multiplied = 2 * positions * (dense + routed_once) + 2 * rows * width * head.weight.numel()
    attended = 4 * layers * heads * head_dim * positions * reach
    size = torch.empty(0, dtype=model.dtype).element_size()
    return Work((used + kept) * size, multiplied + attended, kept * size)
