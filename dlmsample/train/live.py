"""The model of a run as decoding takes it: for samples during training, and for a head's operating point."""

from __future__ import annotations

from dlmsample.models.denoiser import Denoiser, Facts
from dlmsample.train.config import TrainConfig
from dlmsample.train.model import StreamModel


def denoiser_of(config: TrainConfig, model: StreamModel) -> Denoiser:
    """The same module, head and tokenizer, with the geometry that the run's checkpoint will say.

    Args:
        config: the run.
        model: the unwrapped, unsharded model.
    """
    from transformers import AutoTokenizer

    facts = Facts(**config.geometry.model_dump())
    tokenizer = AutoTokenizer.from_pretrained(str(config.tokenizer_folder))
    return Denoiser(config.model.init or "model", model.module, tokenizer, facts, model.head, interface=model.reads)
