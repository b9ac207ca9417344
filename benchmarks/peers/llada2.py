"""A plain loop as LLaDA2.x states it: block by block, no cache (threshold fill, token editing; arXiv:2602.08676).

Every step forwards everything up to the active block's end under a block-causal mask, LM head included, and reads
the logits of the active block. Masks are filled, and tokens replaced, by the confidence of a float32 softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.peers.rule import Answer, Job, Rule, Unfit
from dlmsample.models.attention import masks


@torch.no_grad()
def decode(job: Job) -> Answer:
    """Blocks counted from the first token; a block goes on until it is done in every row.

    Raises:
        Unfit: another kind of checkpoint or policy, or a short last block.
    """
    model, width, rule = job.model, job.width, job.rule
    if model.attention != "block_causal" or model.block_alignment != "absolute":
        raise Unfit("is for block-causal checkpoints with blocks counted from the first token")
    x, prompt, forwards = job.canvas(), job.prompts.shape[1], 0
    positions = torch.arange(x.shape[1], device=x.device)[None]
    visible = masks.block_causal(positions // width, torch.ones_like(positions, dtype=torch.bool))
    for begin in range(prompt // width * width, x.shape[1], width):
        end, post = begin + width, 0
        editable = (positions >= prompt)[:, begin:end]
        while True:
            block = x[:, begin:end]
            masked = block == model.mask_id
            full = not bool(masked.any())
            if full and post == rule.post:
                break
            post += full
            logits = model.module(
                x[:, :end],
                position_ids=positions[:, :end].expand(len(x), -1),
                attention_mask=visible[:, :, :end, :end],
                use_cache=False,
            ).logits[:, begin:end]
            forwards += 1
            p = torch.softmax(logits.float(), dim=-1)
            confidence, candidate = p.max(-1)
            replaced = torch.zeros_like(masked)
            if rule.edit is not None:
                replaced = editable & ~masked & (confidence > rule.edit) & (candidate != block)
            filled = _filled(rule, torch.where(masked, confidence, -torch.inf), masked)
            x[:, begin:end] = torch.where(filled | replaced, candidate, block)
            if full and not bool(replaced.any()):
                break
            if forwards > 4 * x.shape[1]:
                raise Unfit("does not end: the mask is its own best candidate")
    return Answer(x[:, prompt:].tolist(), forwards, forwards)


def _filled(rule: Rule, confidence: Tensor, masked: Tensor) -> Tensor:
    """Which masks become tokens, bool ``[row, pos]``: those above the threshold, else the most confident."""
    chosen = torch.zeros_like(masked)
    for row in range(len(masked)):
        sure = confidence[row] > rule.fill
        left = int(masked[row].sum())
        if rule.per_step is None and bool(sure.any()):
            chosen[row] = sure
        elif left:
            chosen[row, confidence[row].topk(min(rule.per_step or 1, left)).indices] = True
    return chosen
