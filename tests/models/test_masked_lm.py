"""Masked LMs of transformers: their own special tokens, and what sets their bodies apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertTokenizer

import dlmsample as ds
from dlmsample.decoding.arguments import encode_prompt
from dlmsample.models.families import open_config
from tests.models import checkpoints as tiny

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *["the", "capital", "of", "rome", "is", "a", "b", "c", "d", "e"]]


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A tiny BERT with a tokenizer."""
    folder = tiny.save("bert", tmp_path / "bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_ids_come_from_the_tokenizer(bert: Path) -> None:
    model = ds.load(bert)
    assert (model.mask_id, model.eos_ids) == (WORDS.index("[MASK]"), (WORDS.index("[SEP]"),))
    assert (model.attention, model.block_alignment) == ("bidirectional", "prompt")
    ids = model.encode("the capital")
    assert ids == [WORDS.index(w) for w in ("[CLS]", "the", "capital")]
    assert model.closing == [WORDS.index("[SEP]")], "which comes behind the answer"
    assert model.decode(ids) == "the capital"
    with pytest.raises(ValueError, match="no chat template"):
        model.encode([{"role": "user", "content": "the capital"}])


def test_texts(bert: Path) -> None:
    model = ds.load(bert)
    out = ds.Sampler(model, ds.T2T()).generate(["the capital", "rome is a"], max_new_tokens=6)
    assert len(out.texts) == 2
    with pytest.raises(ValueError, match="fill"):
        ds.Sampler(model, ds.T2T()).generate(["the [MASK] of"])


@pytest.mark.parametrize(("name", "context"), [("bert", 96), ("roberta", 94), ("esm-absolute", 94), ("esm-rotary", 96)])
def test_the_context_counts_positions_that_exist(name: str, context: int, tmp_path: Path) -> None:
    """RoBERTa's table of positions begins behind its padding id; the last position must still be in it."""
    model = tiny.opened(name, tmp_path / "c")
    assert model.context == context
    out = ds.Sampler(model, ds.Unmask(steps=1), block_length="all").generate([[5] * (context - 4)], max_new_tokens=4)
    assert out.stats[0].steps == 1
    with pytest.raises(ValueError, match="context"):
        ds.Sampler(model, ds.Unmask()).generate([[5] * (context - 3)], max_new_tokens=4)


@pytest.mark.parametrize("name", tiny.MASKED)
def test_rows_do_not_see_their_neighbours(name: str, tmp_path: Path) -> None:
    """Canvases are padded with masks, which ESM would count."""
    sampler = ds.Sampler(tiny.opened(name, tmp_path / "c"), ds.T2M(threshold=0.2), block_length=4)
    prompts = [[5, 6, 7], list(range(5, 25)), [9]]
    together = sampler.generate(prompts, max_new_tokens=10).tokens
    assert together == [sampler.generate([p], max_new_tokens=10).tokens[0] for p in prompts]


def test_a_folder_says_it_all(tmp_path: Path) -> None:
    folder = tiny.save("modernbert", tmp_path / "c")
    path = folder / "config.json"
    raw: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "dlmsample": {"mask_id": 7, "eos_ids": [], "block_length": 5}}))
    facts = open_config(folder).facts
    assert (facts.mask_id, facts.eos_ids, facts.block_length) == (7, (), 5)


def test_the_head_runs_on_the_block_alone(tmp_path: Path) -> None:
    model = tiny.opened("modernbert", tmp_path / "c")
    seen: list[torch.Size] = []
    hook = model.module.decoder.register_forward_hook(lambda _m, given, _o: seen.append(given[0].shape))
    ds.Sampler(model, ds.Unmask(), block_length=4).generate([[5] * 20], max_new_tokens=4)
    hook.remove()
    assert {shape[1] for shape in seen} == {4}


def test_an_answer_stands_before_the_separator(bert: Path) -> None:
    """[CLS] prompt answer [SEP], as a BERT reads a text; alone, in a batch, and as they come."""
    model, seen = ds.load(bert), list[list[int]]()
    hook = model.module.bert.register_forward_pre_hook(
        lambda _m, _a, given: seen.append(given["input_ids"][0].tolist()), with_kwargs=True
    )
    sampler = ds.Sampler(model, ds.Unmask(tokens_per_step=9), block_length="all")
    alone = sampler.generate(["the capital"], 3)
    hook.remove()
    separator = WORDS.index("[SEP]")
    assert seen[0] == [*model.encode("the capital"), *[model.mask_id] * 3, separator]
    for length in (None, 2, "all"):
        sampler = ds.Sampler(model, ds.Unmask(), block_length=length)  # type: ignore[arg-type]
        prompts = ["the capital", "rome is a", "a", ""]
        out = sampler.generate(prompts, 5)
        assert all(len(tokens) <= 5 and separator not in tokens for tokens in out.tokens)
        assert out.tokens == [sampler.generate([prompt], 5).tokens[0] for prompt in prompts]
        assert {a.number: a.tokens for a in sampler.stream(prompts, 5)} == dict(enumerate(out.tokens))
        encoded: list[Any] = [encode_prompt(model, prompt, None, 5) for prompt in prompts]
        assert sampler.generate(encoded, 5).tokens == out.tokens, "as a grid gives them"
    assert len(alone.tokens[0]) <= 3
    room = model.context - len(model.encode("a")) - 1
    sampler.generate(["a"], room)
    with pytest.raises(ValueError, match="exceed the context"):
        sampler.generate(["a"], room + 1)


def test_masks_alone_give_no_numbers_with_esm(tmp_path: Path) -> None:
    """It divides by the share of tokens that are no masks."""
    sampler = ds.Sampler(tiny.opened("esm-rotary", tmp_path / "c"), ds.Unmask())
    for call in (lambda: sampler.generate([[5], []], 4), lambda: sampler.fill([[5, tiny.MASK], [tiny.MASK] * 2])):
        with pytest.raises(ValueError, match=r"\[1\]: a canvas of masks alone gives no numbers"):
            call()
    other = ds.Sampler(tiny.opened("bert", tmp_path / "d"), ds.Unmask())
    assert other.generate([[]], 4).tokens
