"""Small models with random weights, and stand-ins whose predictions a test dictates."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

import dlmsample as ds
from dlmsample.models.denoiser import Facts

VOCAB, MASK, EOS = 64, 2, 1


def random_model(
    attention: str = "block_causal", alignment: str = "prompt", seed: int = 0, block_length: int = 8
) -> ds.Denoiser:
    """Two layers of random weights, sharpened so that confidences spread over (0, 1)."""
    config = Qwen3Config(
        vocab_size=VOCAB,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=64,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=EOS,
    )
    config._attn_implementation = "sdpa"
    config.is_causal = False
    generator = torch.Generator().manual_seed(seed)
    module = Qwen3ForCausalLM(config).eval()
    with torch.no_grad():
        for p in module.parameters():
            if p.dim() > 1:
                p.copy_(torch.randn(p.shape, generator=generator) * (0.5 if p is module.lm_head.weight else 0.15))
    facts = Facts(MASK, (EOS,), block_length, attention, alignment)  # type: ignore[arg-type]
    return ds.Denoiser("random", module, None, facts)


class _Scripted(nn.Module):
    """A body and an LM head in one: hidden states *are* logits, from a function of (ids, positions)."""

    def __init__(self, rule: Callable[[Tensor, Tensor], Tensor], vocab: int) -> None:
        super().__init__()
        self.rule = rule
        self.anchor = nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(vocab_size=vocab, max_position_embeddings=4096)
        self.calls = 0

    def get_decoder(self) -> Any:
        return self

    def get_output_embeddings(self) -> Any:
        return lambda hidden: hidden

    def forward(self, input_ids: Tensor, position_ids: Tensor, **_: Any) -> Any:
        self.calls += 1
        hidden = self.rule(input_ids, position_ids)
        return SimpleNamespace(last_hidden_state=hidden, logits=hidden, hidden_states=(hidden, hidden, hidden))


def scripted_model(
    rule: Callable[[Tensor, Tensor], Tensor],
    *,
    vocab: int = 16,
    block_length: int = 8,
    eos_ids: tuple[int, ...] = (EOS,),
    attention: str = "bidirectional",
) -> ds.Denoiser:
    """A model whose logits ``[row, pos, vocab]`` are ``rule(ids, positions)``; it ignores its cache and masks."""
    facts = Facts(MASK, eos_ids, block_length, attention, "prompt")  # type: ignore[arg-type]
    return ds.Denoiser("scripted", _Scripted(rule, vocab), None, facts)
