"""``predict`` on CUDA: the launch of the one-read reduction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from dlmsample import rng
from dlmsample.kernels import scan
from dlmsample.kernels.support import power_of_two
from dlmsample.support.keys import MASK64
from dlmsample.types import Prediction

MANY = 128
"""So many positions keep a GPU's memory busy with a program each."""
PROGRAMS, MOST_SPLITS = 512, 32
"""For fewer positions the vocabulary is split until there are about so many."""
LARGE, MIDDLE, SMALL = (8192, 16), (4096, 8), (2048, 4)
"""Ids that a program looks at in one go, and its warps. Few positions take the small ones; samples and excluded ids,
which need more registers, the middle ones."""


def reduce(
    logits: Tensor,
    current: Tensor,
    mask_id: int,
    *,
    key: Tensor | None = None,
    counter: int = 0,
    temperature: float = 0.0,
    top_k: int | None = None,
    excluded: tuple[Tensor, Tensor] | None = None,
    needs: Collection[str] = (),
    block: int | None = None,
    warps: int | None = None,
    splits: int | None = None,
) -> Prediction:
    """What :func:`dlmsample.predict.plain` says, without ``top_p``, from one read of the logits.

    Probabilities agree to 1e-5 and greedy candidates exactly. A sample agrees unless its two best scores
    ``(l − max) / temperature + gumbel`` are closer than their float32 rounding (about 1e-6 of the larger): the
    maximum is not known yet when they are first compared, and logarithms differ in their last bit between libraries.
    With ``top_k`` the k-th logit is found by ``torch.topk`` first: a second read. Nothing waits for the GPU and the
    launch depends on shapes only, so it can be captured in a CUDA graph, after one call that compiles.

    Args:
        logits: bfloat16, float16 or float32 ``[row, pos, vocab]``, the last dimension contiguous, the others anyhow.
        current: int64 ``[row, pos]``.
        mask_id: never a candidate.
        key: int64 ``[row]``, needed when ``temperature > 0``.
        counter: which draw of the key the noise is.
        temperature: 0 is greedy.
        top_k: keep the k largest logits (and whatever ties with the k-th); None keeps all.
        excluded: (bool ``[row]`` or ``[row, k]``, int64 ids ``[k]``): rows in which these ids are no candidates.
        needs: any of ``entropy``, ``margin``.
        block: ids looked at in one go, a power of two; None chooses from the shape, as for the next two.
        warps: of a program.
        splits: programs per position, a power of two.

    Returns:
        :class:`~dlmsample.types.Prediction`, every field ``[row, pos]``, without ``error``.
    """
    launch = _opaque if torch.compiler.is_compiling() else _launch
    token, results, margin = launch(
        logits,
        current,
        mask_id,
        key if temperature > 0 else None,
        counter,
        temperature,
        top_k,
        *(excluded or (None, None)),
        "entropy" in needs,
        "margin" in needs,
        block,
        warps,
        splits,
    )
    prob, odds, current_prob, current_odds, entropy = results.unbind()
    return Prediction(
        token=token,
        prob=prob,
        odds=odds,
        current_prob=current_prob,
        current_odds=current_odds,
        entropy=entropy if "entropy" in needs else None,
        margin=margin if "margin" in needs else None,
    )


def _launch(
    logits: Tensor,
    current: Tensor,
    mask_id: int,
    key: Tensor | None,
    counter: int,
    temperature: float,
    top_k: int | None,
    rows: Tensor | None,
    ids: Tensor | None,
    entropy: bool,
    margin: bool,
    block: int | None,
    warps: int | None,
    splits: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """int64 ``[row, pos]`` tokens; float32 ``[5, row, pos]``; float64 ``[row, pos]`` margins; unasked for is unset."""
    height, width, vocab = logits.shape
    count = height * width
    sample = temperature > 0
    usual = SMALL if count < MANY else MIDDLE if sample or ids is not None else LARGE
    block, warps = block or usual[0], warps or usual[1]
    splits = splits or split_count(count, vocab, block)
    filtered = sample and top_k is not None and top_k < vocab
    excluded = None if rows is None or ids is None else (rows, ids)
    assert key is not None or not sample, "sampling needs a key per row"
    shifts = _shifts(logits, mask_id, excluded, top_k) if filtered and top_k is not None else None
    if excluded is not None:
        rows, ids = _flags(*excluded).contiguous().view(torch.uint8), excluded[1].contiguous()

    token = torch.empty(height, width, dtype=torch.int64, device=logits.device)
    results = torch.empty(5, height, width, dtype=torch.float32, device=logits.device)
    margins = torch.empty(height, width, dtype=torch.float64, device=logits.device)
    parts = part_ids = None
    if splits > 1:
        parts = torch.empty(6, count, splits, dtype=torch.float32, device=logits.device)
        part_ids = torch.empty(2, count, splits, dtype=torch.int32, device=logits.device)

    inputs = (logits, current, key.contiguous() if sample and key is not None else None, rows, ids, shifts)
    outputs = (token, results, margins if margin else None, parts, part_ids)
    strides = (logits.stride(0), logits.stride(1), current.stride(0), current.stride(1))
    scale = max(1 / max(temperature, 1e-30), 1e-37) if sample else 1.0
    options = {
        "SPLITS": splits,
        "STEP": ((counter + 1) * rng._GOLDEN) & MASK64,
        "EXCLUDED": 0 if ids is None else ids.numel(),
        "SAMPLE": sample,
        "TOP_K": filtered,
        "ENTROPY": entropy,
        "MARGIN": margin,
    }
    # Whole multiples of 64: every program's stretch then starts where wide loads may.
    chunk = -(-vocab // (splits * 64)) * 64
    # Any: Triton adds the launch's own arguments, such as num_warps, to a kernel's.
    first: Any = scan.scan[(count * splits,)]
    then: Any = scan.combine[(count,)]
    wide = 16 // logits.element_size()  # ids in one load
    with torch.cuda.device_of(logits):
        if count:
            numbers = (count, width, vocab, chunk, mask_id, scale)
            blocks = {"LANES": block // wide, "WIDE": wide, "DEPTH": power_of_two(-(-chunk // block))}
            first(*inputs, *outputs, *numbers, *strides, **blocks, **options, num_warps=warps)
        if count and splits > 1:
            then(*inputs, *outputs, count, width, mask_id, scale, *strides, **options, num_warps=1)
    return token, results, margins


# What compiles the update around it takes this for one operation and leaves the kernels as they are tested.
_opaque = torch.library.custom_op("dlmsample::vocabulary", _launch, mutates_args=())


@_opaque.register_fake
def _shapes(logits: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    height, width, _ = logits.shape
    return (
        logits.new_empty(height, width, dtype=torch.int64),
        logits.new_empty(5, height, width, dtype=torch.float32),
        logits.new_empty(height, width, dtype=torch.float64),
    )


def split_count(count: int, vocab: int, block: int) -> int:
    """Programs per position: a power of two, so that few variants are compiled."""
    splits = 1
    while count < MANY and splits < MOST_SPLITS and count * splits < PROGRAMS and 2 * splits * block <= vocab:
        splits *= 2
    return splits


def _flags(rows: Tensor, ids: Tensor) -> Tensor:
    """bool ``[row, k]``: whether each id is excluded in each row."""
    return rows if rows.dim() == 2 else rows[:, None].expand(-1, ids.numel())


def _shifts(logits: Tensor, mask_id: int, excluded: tuple[Tensor, Tensor] | None, top_k: int) -> Tensor:
    """float32 ``[2, row, pos]``: the largest allowed logit, and the k-th largest minus it.

    Banned ids may be among the largest, so as many more are asked for.
    """
    ids = torch.full((1,), mask_id, device=logits.device)
    rows = torch.ones(logits.shape[0], 1, dtype=torch.bool, device=logits.device)
    if excluded is not None:
        ids = torch.cat([ids, excluded[1]])
        rows = torch.cat([rows, _flags(*excluded)], dim=1)
    low = -torch.inf
    found = logits.nan_to_num(nan=low, posinf=torch.inf, neginf=low)  # NaN would count as the largest
    values, index = found.topk(min(top_k + ids.numel(), logits.shape[-1]), dim=-1)
    banned = ((index[..., None] == ids) & rows[:, None, None]).any(-1)
    values = values.float().nan_to_num(posinf=1e30, neginf=-1e30).masked_fill(banned, low)
    values = values.sort(dim=-1, descending=True).values
    return torch.stack([values[..., 0], values[..., top_k - 1] - values[..., 0]])
