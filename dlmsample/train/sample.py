"""Answers to validation prompts under the policy that a run trains for: what the numbers look like as text."""

from __future__ import annotations

from typing import Any

import torch

from dlmsample.decoding.sampler import Sampler
from dlmsample.policies.registry import policy
from dlmsample.train.calibrate import validation
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.sections import SampleSection
from dlmsample.train.live import denoiser_of
from dlmsample.train.model import StreamModel, pad_id


class Samples:
    """The first validation prompts, answered with the present weights whenever asked.

    Args:
        config: the run.
        section: its ``sample``.
        model: the unwrapped, unsharded model.

    Raises:
        TrainError: a policy or block length that the model cannot do.
    """

    def __init__(self, config: TrainConfig, section: SampleSection, model: StreamModel) -> None:
        self.section, self.seed, self.model = section, config.seed, model
        self.every, self.precision = section.every, config.precision
        self.denoiser = denoiser_of(config, model)
        (rows,) = validation(config, pad_id(model.module), section.count)
        order = rows.keys.argsort()
        ends = zip(rows.tokens[order].tolist(), rows.prompt[order], rows.answer[order], strict=True)
        self.pairs = [(line[:start], line[start : start + length]) for line, start, length in ends]
        try:
            self.sampler = Sampler(
                self.denoiser, policy(section.policy, **section.options), block_length=section.block_length
            )
        except ValueError as error:
            raise TrainError(f"sample: {error}") from None

    def __call__(self) -> list[dict[str, Any]]:
        """One entry per prompt: prompt, reference and answer as texts, and the answer's forwards."""
        device = self.denoiser.device
        training = self.model.training
        self.model.eval()
        # The cached forward has other shapes than the training: compiling for it would cost more than it brings.
        with (
            torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"),
            torch.compiler.set_stance("force_eager"),
        ):
            out = self.sampler.generate([p for p, _ in self.pairs], self.section.max_new_tokens, seed=self.seed)
        self.model.train(training)
        decode = self.denoiser.decode
        return [
            {"prompt": decode(prompt), "reference": decode(gold), "text": decode(tokens), "nfe": stats.nfe}
            for (prompt, gold), tokens, stats in zip(self.pairs, out.tokens, out.stats, strict=True)
        ]
