"""What a machine can do, and what a decoding step must do at the least: bytes read and multiplications made.

A step of a decoder with an exact cache must read every weight it uses once, and the keys and values of what lies
before the active block; it must multiply the active block's positions with the weights. Logits, activations and
what a loop does beside the forward are not counted: no decoder is charged for a way of doing things.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
    parts: tuple[tuple[float, Work], ...] = ()  #: where steps differ in kind: the share of each kind, and its own work

    def seconds(self, machine: Machine) -> float:
        """The roofline: whichever takes longer; of steps of several kinds the mean over these."""
        if self.parts:
            return sum(share * part.seconds(machine) for share, part in self.parts)
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


class Forward(NamedTuple):
    """A kind of forward that a decoder makes, of one row."""

    times: float  #: in the whole answer
    positions: float  #: forwarded
    keys: float  #: that each of them sees
    kept: float  #: of the keys, those that are read from a cache


def forwards(model: ds.Denoiser, prompt: int, new: int, steps: int, approximate: str = "") -> list[Forward]:
    """The forwards of an answer's steps, by kind; what a prompt or a finished block costs beside them is not counted.

    With an exact cache a step forwards the active block, which sees what lies before it. Without one it forwards the
    canvas. Of the approximate caches (arXiv:2505.22618, Sec. 3.2) the first step of a block forwards the canvas, the
    others the block alone ("dual") or all from the block's start on ("prefix"), and see the whole canvas. Where logits
    predict the next position, these forward the one before the block as well.

    Args:
        model: the checkpoint; blocks have its own length.
        prompt: tokens, whole blocks of them.
        new: tokens.
        steps: policy updates of the answer.
        approximate: "prefix", "dual", or nothing.

    Example:
        >>> from benchmarks.shapes import build
        >>> [tuple(kind) for kind in forwards(build("llada_8b", "meta", torch.float32, True), 32, 64, 16, "dual")]
        [(2, 96.0, 96, 0.0), (14, 32.0, 96, 64.0)]
    """
    whole, width = prompt + new, model.block_length
    starts = range(prompt, whole, width)
    if model.attention == "block_causal":
        sizes = [min(width, whole - start) for start in starts]
        size, before = sum(sizes) / len(sizes), sum(starts) / len(starts)
        return [Forward(steps, size, before + size, before)]
    if not approximate:
        return [Forward(steps, whole, whole, 0)]
    ahead = int(model.facts.logit_shift)
    anew = [(width if approximate == "dual" else whole - start) + ahead for start in starts]
    rest = sum(anew) / len(anew)
    entered = len(starts)
    return [Forward(entered, float(whole), whole, 0.0), Forward(steps - entered, rest, whole, whole - rest)]


def work(model: ds.Denoiser, rows: int, prompt: int, new: int, steps: int = 0, approximate: str = "") -> Work:
    """Of a step, averaged over the answer's; ``rows`` at once, each with a block of the model's own length.

    Of ``E`` experts of a layer a step reads those that any position was routed to, ``E (1 - (1 - k/E)^positions)``
    where routing is even.

    Args:
        model: the checkpoint.
        rows: of the batch.
        prompt: tokens of a row.
        new: tokens of a row.
        steps: policy updates of an answer, which an approximate cache needs; 0: one for each token.
        approximate: as for :func:`forwards`.
    """
    kinds = forwards(model, prompt, new, steps or new, approximate)
    total = sum(kind.times for kind in kinds)
    parts = [(kind.times / total, forwarded(model, rows, kind)) for kind in kinds]

    def mean(name: str) -> float:
        return sum(share * getattr(part, name) for share, part in parts)

    return Work(mean("bytes"), mean("flops"), mean("cache_bytes"), tuple(parts) if len(parts) > 1 else ())


def forwarded(model: ds.Denoiser, rows: int, kind: Forward) -> Work:
    """Of one forward."""
    config: Any = model.module.config
    positions = rows * kind.positions
    experts, chosen = getattr(config, "n_routed_experts", 0), getattr(config, "num_experts_per_tok", 0)
    share = 1 - (1 - chosen / experts) ** positions if experts else 0.0

    dense = routed = saved = 0
    size = torch.empty(0, dtype=model.dtype).element_size()
    for name, parameter in model.body.named_parameters():
        if ".experts." in name:
            routed += parameter.numel()
        elif parameter.dim() > 1 and "embed_tokens" not in name:
            dense += parameter.numel()
            saved += parameter.numel() * max(0, size - parameter.element_size())  # weights in eight bits
    head: Any = model.lm_head
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    used = head.weight.numel() + dense + share * routed
    kept = 2 * layers * config.num_key_value_heads * head_dim * rows * kind.kept
    routed_once = routed * chosen / experts if experts else 0
    multiplied = 2 * positions * (dense + routed_once) + 2 * rows * model.block_length * head.weight.numel()
    attended = 4 * layers * heads * head_dim * positions * kind.keys
    return Work((used + kept) * size - saved, multiplied + attended, kept * size)
