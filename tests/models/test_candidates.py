"""Ids that no token has are no candidates: a vocabulary is often padded beyond the tokenizer, and may have holes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from torch import Tensor
from transformers import PreTrainedTokenizerFast

import dlmsample as ds
from tests.test_protocol import CASES
from tests.toys import EOS, MASK, scripted_model

VOCAB, HOLES = 64, (10, 11, 30)


def tokenizer() -> Any:
    """Letters at most ids below 40."""
    names = {i: chr(0x4E00 + i) for i in range(40) if i not in HOLES}
    names |= {0: "<pad>", EOS: "<eos>", MASK: "<mask>"}
    backend = Tokenizer(models.BPE(vocab={name: i for i, name in names.items()}, merges=[]))
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", mask_token="<mask>")


def padded() -> ds.Denoiser:
    """It wants ids without a token everywhere."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        mixed = ((ids.sum(-1, keepdim=True) + 7 * positions)[..., None] + 13 * torch.arange(VOCAB)) * 2654435761 % 97
        wanted = (torch.arange(VOCAB) >= 40) | torch.isin(torch.arange(VOCAB), torch.tensor(HOLES))
        return mixed / 20 + 5.0 * wanted

    return replace(scripted_model(rule, vocab=VOCAB), tokenizer=tokenizer())


def test_what_has_a_token() -> None:
    model = padded()
    assert model.vocabulary == (40, HOLES)
    assert replace(model, tokenizer=None).vocabulary == (None, ())
    named = replace(model, facts=replace(model.facts, eos_ids=(50,)))
    assert named.vocabulary == (51, (*HOLES, *range(40, 50))), "an EOS that a config names counts"
    assert ds.load("nano").vocabulary == (None, ())


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("policy", CASES, ids=repr)
def test_an_id_without_a_token_is_never_placed(policy: ds.Policy, temperature: float) -> None:
    """Answers and texts alike; ids of a prompt that have no token are taken as they are."""
    model = padded()
    sampler = ds.Sampler(model, policy, temperature=temperature, top_k=20)
    out = sampler.generate([[5, 60, 10], [7] * 9], max_new_tokens=12, record=True)
    filled = sampler.fill([[5, MASK, 60, MASK], [MASK, 11, MASK]])
    known = {*range(40)} - {*HOLES, MASK}
    assert {token for row in (*out.tokens, *filled.tokens) for token in row} <= known
    assert out.trace is not None
    assert {e.new for row in out.trace for e in row if e.kind != "remask"} <= known
    for text, tokens in zip(out.texts, out.tokens, strict=True):
        assert len(text) == len(tokens) - tokens.count(0), "every token but <pad> is seen in the text"
