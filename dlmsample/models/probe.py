"""Whether a module gives a row the same numbers alone and in a batch: two short forwards when it is loaded.

Masked LMs and foreign code are called with a padding mask, and what they do with it is their own affair: FNet mixes all
positions, padding included; MobileBERT looks at the embedding behind a row's last token. This is measured, not looked
up by name, so that it holds for any architecture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dlmsample.models.interface import ModuleInterface, context_of, text_part
from dlmsample.support.text import one_line

#: Tokens that the row is padded to, at most; it has one less than half of them itself.
_LONG = 24
#: How far a logit may move, as a share of the row's spread of logits: what another shape of a product may do to it.
_NOISE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 6e-2}


@torch.no_grad()
def probe_rows(name: str, module: Any, interface: ModuleInterface, mask_id: int) -> ModuleInterface:
    """The interface, with what the module does to rows of a batch.

    A row of 11 tokens is forwarded alone and beside a row of 24 masks. Where its logits are the same, rows of any
    lengths go through a forward together. Where they are not, it is forwarded once more beside a row of its own length:
    if that leaves it as it is, batches hold rows of equal length only.

    Args:
        name: of the checkpoint, for errors.
        module: in evaluation mode.
        interface: how it is called.
        mask_id: id of the mask.

    Raises:
        ValueError: the module fails, changes itself, or gives a row other numbers even beside one of its own length.
    """
    long = min(_LONG, context_of(module.config, interface))
    row = _row(module, mask_id, max(1, long // 2 - 1))
    before = _parts(module)
    forward = _forward(name, module, interface)
    alone = forward([row])
    if (after := _parts(module)) != before:
        changed = next(new for new, old in zip(after, before, strict=False) if new != old)
        raise ValueError(
            f"{name} changes itself after a short text (its part {changed[0]!r} becomes a {changed[1]}), and its "
            'numbers depend on what came before: set attention_type to "original_full" in its config.json, or take '
            "another checkpoint"
        )
    if alone.isnan().any():
        raise ValueError(
            f"{name} gives no numbers for a text of {len(row)} tokens: its weights or its config are damaged"
        )
    beside = forward([row, [mask_id] * long])
    interface = replace(interface, needs_text=bool(beside[1].isnan().any()))
    if _differ(alone[0], beside[0, : len(row)]) <= 1:
        return interface
    if _differ(alone[0], forward([row, row[::-1]])[0]) <= 1:
        return replace(interface, equal_lengths=True)
    raise ValueError(
        f"{name} ({type(module).__name__}) gives a row other numbers each time, or beside another row of its length: "
        "its answers would depend on their neighbours; take another checkpoint"
    )


def check_padding(name: str, module: Any, interface: ModuleInterface, mask_id: int) -> None:
    """Refuse a module whose rows depend on their padding, for training, which pads the rows of a batch.

    One without weights yet, on the meta device, is let through.

    Raises:
        ValueError: as :func:`probe_rows`, or rows that must not be padded.
    """
    if not interface.padding or any(parameter.is_meta for parameter in module.parameters()):
        return
    training = module.training
    equal = probe_rows(name, module.eval(), interface, mask_id).equal_lengths
    module.train(training)
    if equal:
        raise ValueError(
            f"{name} ({type(module).__name__}) gives a row other numbers when it is padded, and training pads the "
            "rows of a batch: train another masked LM, such as a BERT, a RoBERTa or a ModernBERT"
        )


def _row(module: Any, mask_id: int, length: int) -> list[int]:
    """Ids from all over the vocabulary, and one mask."""
    size = text_part(module.config).vocab_size
    skipped = {mask_id, getattr(module.config, "pad_token_id", None)}
    ids = [size * (2 * n + 1) // (2 * length) for n in range(length)]
    ids = [next(i % size for i in range(first, first + 4) if i % size not in skipped) for first in ids]
    ids[length // 2] = mask_id if length > 1 else ids[0]
    return ids


def _forward(name: str, module: Any, interface: ModuleInterface) -> Callable[[list[list[int]]], Tensor]:
    body, head = interface.body(module), interface.head(module)
    device = next((p.device for p in module.parameters() if p.device.type != "meta"), torch.device("cpu"))

    def forward(rows: list[list[int]]) -> Tensor:
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[row[0]] * (width - len(row))] for row in rows], device=device)
        positions = torch.arange(width, device=device).expand(len(rows), -1)
        valid = positions < torch.tensor([[len(row)] for row in rows], device=device)
        mask = (valid[:, None, None, :]).expand(-1, -1, width, -1)
        try:
            logits = head(body(ids, positions, mask).last_hidden_state)
        except Exception as e:  # it may want images, languages, or lengths of its own
            raise ValueError(
                f"{name} cannot be decoded with: {type(module).__name__} fails on a text of {width} tokens "
                f"({one_line(e, 200)}); take another checkpoint"
            ) from e
        if logits.shape[:2] != ids.shape:
            raise ValueError(
                f"{name} cannot be decoded with: {type(module).__name__} gives logits of {logits.shape[1]} positions "
                f"for a text of {width} tokens; take another checkpoint"
            )
        return logits

    return forward


def _differ(one: Tensor, other: Tensor) -> float:
    """How far two rows of logits are apart at the worst position, in units of what noise may do."""
    noise, digits = _NOISE.get(one.dtype, 1e-3), torch.finfo(one.dtype).eps
    one, other = one.double(), other.double()
    apart = (one - other).square().mean(-1).sqrt().max()
    allowed = noise * one.std() + 8 * digits * one.abs().max() + 1e-30
    return float("inf") if apart.isnan() else (apart / allowed).item()


def _parts(module: Any) -> list[tuple[str, str]]:
    return [(name, type(part).__name__) for name, part in module.named_modules()]
