"""diffusers' LLaDA2Pipeline, given the same body, its padding mask made into the block-causal one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

import dlmsample as ds
from benchmarks.peers.rule import Answer, Job, Rule, Unfit
from dlmsample.models.attention import masks

_NEARLY_OFF = 1e-30  # what it takes for an edit threshold of 0: 0 itself switches editing off


class Prefix(nn.Module):
    """The model as the pipeline calls it. Nothing is padded here, so a mask is a corner of one made beforehand."""

    def __init__(self, model: ds.Denoiser, length: int) -> None:
        super().__init__()
        self.module, self.device, self.forwards = model.module, model.device, 0
        positions = torch.arange(length, device=model.device)[None]
        self._visible = masks.block_causal(
            positions // model.block_length, torch.ones_like(positions, dtype=torch.bool)
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor) -> Any:
        self.forwards += 1
        end = input_ids.shape[1]
        visible = self._visible[:, :, :end, :end]
        out = self.module(input_ids, position_ids=position_ids, attention_mask=visible, use_cache=False)
        return SimpleNamespace(logits=out.logits)


def decode(job: Job) -> Answer:
    """Its own loop and scheduler.

    Raises:
        Unfit: it is not installed, or another kind of checkpoint or policy.
    """
    try:
        from diffusers import BlockRefinementScheduler, LLaDA2Pipeline  # type: ignore[attr-defined]
    except ImportError as e:
        raise Unfit(f"is not installed ({e}): pip install 'diffusers>=0.42'") from e
    model = job.model
    if model.attention != "block_causal" or model.block_alignment != "absolute":
        raise Unfit("is for block-causal checkpoints with blocks counted from the first token")
    prefix = Prefix(model, job.canvas().shape[1])
    pipe: Any = LLaDA2Pipeline(model=prefix, scheduler=BlockRefinementScheduler(block_length=job.width))
    pipe.set_progress_bar_config(disable=True)
    out = pipe(
        input_ids=job.prompts,
        gen_length=job.new,
        block_length=job.width,
        mask_token_id=model.mask_id,
        eos_early_stop=False,
        output_type="seq",
        **_settings(job.rule, job.width),
    )
    return Answer(out.sequences.tolist(), prefix.forwards, prefix.forwards)


def _settings(rule: Rule, width: int) -> dict[str, Any]:
    """A threshold above 1 leaves its schedule alone: as many steps as fill a block with equal numbers."""
    if rule.per_step is not None:
        if width % rule.per_step:
            raise Unfit("spreads a block over its steps: the block length must be a multiple of tokens_per_step")
        return {"threshold": 2.0, "num_inference_steps": width // rule.per_step, "editing_threshold": None}
    settings = {"threshold": rule.fill, "num_inference_steps": 2 * width, "editing_threshold": None}
    if rule.edit is not None:
        settings |= {"editing_threshold": max(rule.edit, _NEARLY_OFF), "max_post_steps": rule.post - 1}
    return settings
