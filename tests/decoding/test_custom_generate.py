"""transformers' ``generate`` with our decoding method gives the Sampler's tokens and obeys its generation config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.generation.stopping_criteria import StopStringCriteria

import dlmsample as ds
from tests.toys import EOS, MASK, random_model

POLICIES = [ds.Unmask(tokens_per_step=2), ds.T2M(), ds.T2T(), ds.D3IM(steps=6), ds.DSC(scorer="random")]
PROMPTS = [[5, 6, 7, 8, 9], [10, 11, 12]]
PROBLEM = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"


class Heard:
    """A streamer that remembers."""

    def __init__(self) -> None:
        self.pieces: list[list[int]] = []
        self.ended = 0

    def put(self, value: Tensor) -> None:
        self.pieces.append(value.flatten().tolist())

    def end(self) -> None:
        self.ended += 1


def padded(prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Prompts with padding on their left, and what is no padding."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    return ids, torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])


def of(model: ds.Denoiser, policy: Any, **options: Any) -> Callable[..., Any]:
    """The decoding method for a module whose config says nothing."""
    facts = {"mask_id": MASK, "attention": model.attention, "block_alignment": model.block_alignment}
    return ds.custom_generate(policy, **{**facts, "block_length": 8, **options})


def rows(out: ds.Output, eos: int = EOS) -> list[list[int]]:
    """What ``generate`` returns behind the prompts, for an output of the Sampler: an EOS where one ended the answer."""
    ended = [ids + [eos] * (s.finish_reason == "eos") for ids, s in zip(out.tokens, out.stats, strict=True)]
    return [row + [0] * (max(map(len, ended)) - len(row)) for row in ended]


@pytest.mark.parametrize("attention", ["bidirectional", "block_causal"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_the_tokens_are_the_sampler_s(attention: str, policy: Any) -> None:
    model = random_model(attention)
    ids, seen = padded(PROMPTS)
    out = model.module.generate(ids, attention_mask=seen, custom_generate=of(model, policy), max_new_tokens=20)
    assert out[:, ids.shape[1] :].tolist() == rows(ds.Sampler(model, policy).generate(PROMPTS, 20))
    assert torch.equal(out[:, : ids.shape[1]], ids)


def test_sampling_options_are_obeyed() -> None:
    model = random_model()
    ids = torch.tensor([PROMPTS[0]])
    options: dict[str, Any] = {"temperature": 0.8, "top_p": 0.9, "top_k": 7}
    decode = of(model, ds.Unmask(), seed=3)
    out = model.module.generate(ids, custom_generate=decode, max_new_tokens=16, do_sample=True, **options)
    sampler = ds.Sampler(model, ds.Unmask(), **options)
    assert out[:, 5:].tolist() == rows(sampler.generate([PROMPTS[0]], 16, 3))
    several = model.module.generate(
        ids, custom_generate=decode, max_new_tokens=16, do_sample=True, num_return_sequences=3, **options
    )
    assert several[:, 5:].tolist() == rows(sampler.generate([PROMPTS[0]] * 3, 16, 3))
    assert len({tuple(row) for row in several.tolist()}) == 3


def test_the_generation_config_says_where_answers_end() -> None:
    model = random_model()
    ids = torch.tensor([PROMPTS[0]])
    whole = ds.Sampler(model, ds.Unmask()).generate([PROMPTS[0]], 16).tokens[0]
    config = GenerationConfig(max_length=21, eos_token_id=[whole[3]], pad_token_id=0, return_dict_in_generate=True)
    out = model.module.generate(ids, generation_config=config, custom_generate=of(model, ds.Unmask()))
    first = whole.index(whole[3])
    assert out.sequences[0, 5:].tolist() == whole[: first + 1]  # the EOS that ended it is there


def test_a_streamer_gets_prompt_answers_and_the_end() -> None:
    model = random_model()
    ids = torch.tensor([PROMPTS[0]])
    theirs, ours = Heard(), Heard()
    out = model.module.generate(ids, custom_generate=of(model, ds.Unmask()), max_new_tokens=12, streamer=theirs)
    model.module.generate(ids, custom_generate=of(model, ds.Unmask(), streamer=ours), max_new_tokens=12)
    for heard in (theirs, ours):
        assert [token for piece in heard.pieces for token in piece] == out[0].tolist()
        assert (heard.pieces[0], heard.ended) == (PROMPTS[0], 1)


def test_stop_strings(nano: ds.Denoiser) -> None:
    ids = torch.tensor([nano.encode(PROBLEM)])
    wanted = ds.Sampler(nano, ds.T2T()).generate([PROBLEM], 64, stop=["####"]).tokens[0]
    decode = ds.custom_generate(ds.T2T(), tokenizer=nano.tokenizer, stop=["####"])
    out = nano.module.generate(ids, custom_generate=decode, max_new_tokens=64)
    assert out[0, ids.shape[1] :].tolist() == wanted
    decode = ds.custom_generate(ds.T2T(), tokenizer=nano.tokenizer)
    criteria = [StopStringCriteria(nano.tokenizer, ["####"])]
    out = nano.module.generate(ids, custom_generate=decode, max_new_tokens=64, stopping_criteria=criteria)
    assert out[0, ids.shape[1] :].tolist() == wanted


def test_what_has_no_meaning_is_refused_by_name() -> None:
    model = random_model()
    ids = torch.tensor([PROMPTS[0]])
    decode = of(model, ds.Unmask())

    def refused(match: str, decode: Any = decode, **options: Any) -> None:
        with pytest.raises(ValueError, match=match):
            model.module.generate(ids, custom_generate=decode, max_new_tokens=8, **options)

    refused("RepetitionPenaltyLogitsProcessor has no meaning", repetition_penalty=1.5)
    refused("MinLengthLogitsProcessor", min_new_tokens=4)
    refused("MaxTimeCriteria", max_time=3.0)
    refused("output_scores", output_scores=True, return_dict_in_generate=True)
    refused("does not say its mask_id: give custom_generate", ds.custom_generate())
    refused("does not say its block_length", ds.custom_generate(mask_id=2, attention="block_causal"))
    refused("mask_id", ds.custom_generate(mask_id="x", attention="bidirectional"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give this to generate"):
        decode(model.module, ids)


def test_attention_that_adds_masks_is_refused() -> None:
    size: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    module: Any = LlamaForCausalLM(
        LlamaConfig(vocab_size=64, num_attention_heads=2, **size, attn_implementation="eager")
    )
    decode = ds.custom_generate(mask_id=2, attention="bidirectional")
    with pytest.raises(ValueError, match="attn_implementation='sdpa'"):
        module.generate(torch.tensor([[5, 6]]), custom_generate=decode, max_new_tokens=4)


def test_a_folder_for_the_hub(nano: ds.Denoiser, tmp_path: Path) -> None:
    nano.module.save_pretrained(tmp_path)
    ds.push_custom_generate(tmp_path, ds.D3IM(steps=12), block_length="all")
    ids = torch.tensor([nano.encode(PROBLEM)])

    def run(module: Any, **options: Any) -> list[int]:
        out = module.generate(ids, max_new_tokens=40, **options)
        return [t for t in out[0, ids.shape[1] :].tolist() if t not in nano.eos_ids]

    trusted: dict[str, Any] = {"custom_generate": str(tmp_path), "trust_remote_code": True}
    recommended = ds.Sampler.from_pretrained(nano, tmp_path)
    assert recommended.policy == ds.D3IM(steps=12)
    wanted = recommended.generate([PROBLEM], 40).tokens[0]
    assert run(nano.module, **trusted) == wanted
    heard = Heard()
    stopped = run(nano.module, **trusted, policy="t2t", streamer=heard, tokenizer=nano.tokenizer, stop_strings=["####"])
    assert stopped == ds.Sampler(nano, ds.T2T()).generate([PROBLEM], 40, stop=["####"]).tokens[0]
    assert heard.ended == 1
    stock = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True)  # its generate is the folder's
    assert run(stock) == wanted


def test_the_eos_that_was_decoded_stands_behind_an_answer() -> None:
    """Where a checkpoint has several, the first of them is not what every answer ended with."""
    nano = ds.load("nano")
    ids = torch.tensor([nano.encode(PROBLEM)])
    decode = ds.custom_generate(policy=ds.T2M())
    ends = [
        nano.module.generate(ids, custom_generate=decode, max_new_tokens=128, eos_token_id=eos)[0, -1].item()
        for eos in ([nano.eos_ids[0]], [700, nano.eos_ids[0]])
    ]
    assert ends == [nano.eos_ids[0]] * 2


def test_an_output_says_what_ended_its_answers() -> None:
    nano = ds.load("nano")
    out = ds.Sampler(nano, ds.T2M()).generate([PROBLEM, PROBLEM], 128, stop=["####"])
    assert out.ended == [None, None]
    assert ds.Sampler(nano, ds.T2M()).generate([PROBLEM], 128).ended == [nano.eos_ids[0]]
    assert ds.Sampler(nano, ds.T2M()).generate([PROBLEM], 8).ended == [None]
