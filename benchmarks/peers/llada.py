"""A plain loop as LLaDA's paper and its published sampler state it (arXiv:2502.09992, low-confidence remasking).

Every step forwards the whole canvas, runs the LM head and a float64 softmax on every position of it, and commits the
step's quota of most confident masks in the active block, row by row. Left out: the Gumbel noise that the published
code computes at temperature 0 too, where it changes nothing.
"""

from __future__ import annotations

import torch

from benchmarks.peers.rule import Answer, Job, Unfit


@torch.no_grad()
def decode(job: Job) -> Answer:
    """Blocks counted from the prompt's end, a fixed number of tokens a step.

    Raises:
        Unfit: another kind of checkpoint or policy, or an answer that is not made of whole blocks.
    """
    model, width, quota = job.model, job.width, job.rule.per_step
    if model.attention != "bidirectional":
        raise Unfit("is for bidirectional checkpoints")
    if quota is None or width % quota or job.new % width:
        raise Unfit("takes equal numbers of tokens a step and whole blocks")
    x, prompt, forwards = job.canvas(), job.prompts.shape[1], 0
    positions = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    everything = torch.ones(1, 1, x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
    for begin in range(prompt, x.shape[1], width):
        for _ in range(width // quota):
            masked = x == model.mask_id
            logits = model.module(x, position_ids=positions, attention_mask=everything, use_cache=False).logits
            forwards += 1
            candidate = logits.argmax(-1)
            p = torch.softmax(logits.to(torch.float64), dim=-1)
            confidence = p.gather(-1, candidate[..., None])[..., 0]
            confidence[:, begin + width :] = -torch.inf
            confidence = torch.where(masked, confidence, -torch.inf)
            chosen = torch.zeros_like(masked)
            for row in range(len(x)):
                chosen[row, confidence[row].topk(quota).indices] = True
            x = torch.where(chosen, candidate, x)
    return Answer(x[:, prompt:].tolist(), forwards, forwards)
