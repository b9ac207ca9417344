"""Multi-block decoding: the next block begins while the active one settles."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmsample import rng
from dlmsample.decoding.step import Rows, Settings, active_block
from dlmsample.models.attention.base import Features, Layout
from dlmsample.models.denoiser import Denoiser
from dlmsample.policies.base import Policy
from dlmsample.policies.chain import Chain, NamedChain
from dlmsample.policies.fill import SCORE_NEEDS, Threshold, ready
from dlmsample.predict import predict
from dlmsample.types import Block, CacheKind


class NextBlock(NamedTuple):
    """When the block behind the active one is filled, too.

    Rule (arXiv:2601.07568, multi-block decoding): a block's progress is the share of its editable positions that hold a
    token before the forward. From progress ``begin`` of the active block on, every masked position of the next one
    whose candidate exceeds the policy's own fill threshold is filled; from ``settle`` on, at least as many as the
    policy fills at least in a step of the active block. 1 is reached only when the block is done: with both at 1 this
    is decoding block by block. Behind a block that holds an EOS nothing begins.

    What was filled ahead stands in the block when it becomes the active one, where the policy may revise it as any
    other token.

    Deviations: one block ahead, not any number. Confidence decides, as in the policy, where the paper has entropy. The
    published code (for LLaDA, without a cache) gives the least number to the first unfinished block alone, which is
    active anyway: there the second threshold changes nothing. That the next block gets it too, from ``settle`` on, is
    ours.
    """

    begin: float
    settle: float


def checked(given: Any, model: Denoiser, policy: Policy, cache: CacheKind, whole: bool) -> NextBlock | None:
    """The option ``next_block`` of a Sampler.

    Args:
        given: None, or the two thresholds.
        model: the checkpoint.
        policy: the Sampler's.
        cache: the Sampler's.
        whole: all of the answer is one block.

    Raises:
        ValueError: not two shares, or a Sampler that cannot do it.

    Example:
        >>> import dlmsample as ds
        >>> checked((0.5, 1), ds.load("nano"), ds.T2M(), "none", False)
        NextBlock(begin=0.5, settle=1.0)
    """
    if given is None:
        return None
    pair = tuple(given) if isinstance(given, (tuple, list)) else ()
    number = [isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1 for x in pair]
    if len(pair) != 2 or not all(number):
        raise ValueError(f"next_block is a pair (begin, settle) of shares from 0 to 1, not {given!r}")
    if pair[1] < pair[0]:
        raise ValueError(f"next_block settles at {pair[1]} before it begins at {pair[0]}: give (begin, settle)")
    if whole:
        raise ValueError('block_length="all" leaves no next block: leave next_block out, or give a block length')
    if cache != "none":
        remedy = "set cache=False" if model.attention == "block_causal" else f"leave cache={cache!r} out"
        raise ValueError(f"next_block reads the whole canvas, which a cache does not: {remedy}")
    if threshold_of(policy) is None:
        raise ValueError(
            f"next_block fills what exceeds the policy's threshold, and {policy.name} fills by another rule: take "
            "Unmask(threshold=...), T2T or T2M"
        )
    if policy.needs & {"error", "loo_prob", "kl"}:
        raise ValueError(
            f"next_block gives {policy.name} no correction head, hidden tokens or earlier logits: leave it out"
        )
    return NextBlock(float(pair[0]), float(pair[1]))


def threshold_of(policy: Policy) -> Threshold | None:
    """The policy's fill rule, if that is a threshold."""
    made = policy.chain if isinstance(policy, NamedChain) else policy
    return made.fill if isinstance(made, Chain) and isinstance(made.fill, Threshold) else None


def split(features: Features, width: int) -> tuple[Features, Tensor]:
    """The active blocks' features, and the logits of the blocks behind them, ``[row, pos, vocab]``."""
    return features._replace(logits=features.logits[:, :width]), features.logits[:, width:]


def fill_ahead(
    before: Rows, after: Rows, layout: Layout, logits: Tensor, settings: Settings, option: NextBlock
) -> Rows:
    """The rows after a forward, with what it fills in the blocks behind the active ones.

    Args:
        before: as the forward saw them.
        after: what :func:`~dlmsample.decoding.step.advance` made of them.
        layout: of the rows.
        logits: ``[row, pos, vocab]``, of the blocks behind the active ones.
        settings: of the run.
        option: the two thresholds.
    """
    rule = threshold_of(settings.policy)
    assert rule is not None
    active, (block, place) = active_block(before, layout, settings), _behind(before, layout, settings)
    logits = logits[..., : settings.vocabulary]
    pred = predict(
        logits,
        block.tokens.clamp(max=logits.shape[-1] - 1),
        settings.mask_id,
        key=block.key,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        never=settings.tokenless,
        needs=SCORE_NEEDS[rule.score],
    )
    filled = active.visible.sum(-1)

    def reached(share: float) -> Tensor:
        if share == 1:
            return torch.zeros_like(before.finished)
        # counts below 2**24: exact in float64, which a share such as 0.3 needs
        return filled.double() >= share * active.size.double()

    ends = (active.is_eos(active.tokens) & active.editable).any(-1)
    begun = reached(option.begin) & ~ends & ~after.finished
    sure = ready(block, pred, rule.eos) & (pred.prob > rule.threshold)
    chosen = torch.where(reached(option.settle)[:, None], rule.choose(block, pred), sure)
    chosen = chosen & block.masked & begun[:, None]
    row = torch.arange(len(place), device=place.device)[:, None]
    tokens = torch.where(chosen, pred.token, after.canvas[row, place])
    counts = after.counts._replace(fills=after.counts.fills + chosen.sum(-1))
    return after._replace(canvas=after.canvas.index_put((row, place), tokens), counts=counts)


def _behind(rows: Rows, layout: Layout, settings: Settings) -> tuple[Block, Tensor]:
    """The block behind each row's active one, and its canvas positions; what a canvas lacks is not editable."""
    last = rows.canvas.shape[1] - 1  # spare: no row has a token there
    start = rows.start + layout.width
    edges = (start[:, None] + torch.arange(layout.width + 1, device=start.device)).clamp(max=last)
    seen = rows.before.gather(1, edges)
    block = Block(
        tokens=rows.canvas.gather(1, edges[:, :-1]),
        editable=(seen[:, 1:] > seen[:, :-1]) & ~rows.finished[:, None],
        step=rows.step,
        start=seen[:, 0],
        stop=seen[:, -1],
        total=rows.before[:, -1],
        # steps of another kind than the block's own, which count from 0
        key=rng.fold(rows.key, (start - layout.first) // layout.width, -1 - rows.step),
        eos_ids=settings.eos_ids,
        mask_id=settings.mask_id,
    )
    return block, edges[:, :-1]
