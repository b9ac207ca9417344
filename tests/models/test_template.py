"""Texts with masks -> ids, for tokenizers that know their mask and for those that do not."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertTokenizer, PreTrainedTokenizerFast

import dlmsample as ds
from dlmsample.decoding.arguments import row_keys
from dlmsample.models.template import open_template
from tests.models import checkpoints as tiny
from tests.oracle import fill as oracle_fill
from tests.test_protocol import CASES
from tests.toys import random_model

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *["the", "capital", "of", "rome", "is", "a", "b", "c", ".", ","]]
LETTERS = "abcdefghijklmnopqrstuvwxyz .,\n0123456789▁"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> ds.Denoiser:
    """A tiny BERT of random weights with a tokenizer."""
    folder = tiny.save("bert", tmp_path_factory.mktemp("bert") / "bert")
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return ds.load(folder)


def ids(words: str) -> list[int]:
    return [WORDS.index(word) for word in words.split()]


def spoken(tokenizer: Any, mask_id: int = 2) -> ds.Denoiser:
    model = random_model()
    return replace(model, tokenizer=tokenizer, facts=replace(model.facts, mask_id=mask_id))


def letters(prefix: str, mask: AddedToken | None = None, frame: bool = False) -> PreTrainedTokenizerFast:
    """One token a letter. ``prefix``: "first" or "always" as Metaspace says it, "prepend" the old way, "" none."""
    vocabulary = {c: i for i, c in enumerate(["<pad>", "<eos>", "<mask>", *LETTERS])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="."))
    if prefix == "prepend":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif prefix:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prefix, split=False)  # type: ignore[arg-type]
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    if frame:
        backend.post_processor = processors.TemplateProcessing(
            single="<pad> $A <eos>", special_tokens=[("<pad>", 0), ("<eos>", 1)]
        )
    options: dict[str, Any] = {} if mask is None else {"mask_token": mask}
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", **options)


def said(tokenizer: Any, found: list[int]) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(found)).replace("<mask>", "_")


def test_bert_s_own_mask_and_frame(bert: ds.Denoiser) -> None:
    assert open_template(bert, "The capital of [MASK] is [MASK].").ids == ids(
        "[CLS] the capital of [MASK] is [MASK] . [SEP]"
    )
    assert open_template(bert, "[MASK]").ids == ids("[CLS] [MASK] [SEP]")
    assert open_template(bert, "[MASK][MASK]s").ids == [
        *ids("[CLS] [MASK] [MASK]"),
        WORDS.index("[UNK]"),
        *ids("[SEP]"),
    ]
    assert open_template(bert, "the rome").ids == [*bert.encode("the rome"), *bert.closing]
    assert set(bert.special_ids) == set(range(5))


@pytest.mark.parametrize("policy", CASES, ids=repr)
def test_bert_is_filled(bert: ds.Denoiser, policy: ds.Policy) -> None:
    """Every policy: words at the masks and no special token; what was given stays, and the frame is not shown."""
    given = ["The capital of [MASK] is [MASK].", "the [MASK]", "[MASK] [MASK] [MASK] rome [MASK] a", "no, the rome is"]
    out = ds.Sampler(bert, policy).fill(given)
    for text, tokens, filled in zip(given, out.tokens, out.texts, strict=True):
        assert len(tokens) == text.count("[MASK]")
        assert not set(tokens) & set(range(5))
        pieces = text.split("[MASK]")
        words = [bert.decode([token]) for token in tokens]
        assert filled == pieces[0] + "".join(w + p for w, p in zip(words, pieces[1:], strict=True))
    for text, tokens in zip(given, out.tokens, strict=True):
        assert ds.Sampler(bert, policy).fill([text]).tokens[0] == tokens


def test_masked_language_models_against_the_oracle(tmp_path: Path) -> None:
    draw = random.Random(4)
    for name in ("bert", "roberta", "esm-rotary", "modernbert", "deberta-v2"):
        model = tiny.opened(name, tmp_path / name)
        given = [[3, *(draw.choice([tiny.MASK, 5, 9, 21]) for _ in range(n)), 2] for n in (6, 15)]
        for policy, options in (("t2m", {"threshold": 0.2}), ("d3im", {"steps": 7}), ("dsc", {"scorer": "random"})):
            out = ds.Sampler(model, ds.policy(policy, **options)).fill(given, seed=[3, 4])
            for row, key in enumerate((3, 4)):
                row_key = row_keys([key], given[row : row + 1])[0]
                run = oracle_fill(
                    tiny.plain(model),
                    given[row],
                    policy,
                    options,
                    block_length=None,
                    special_ids=model.special_ids,
                    row_key=row_key,
                )
                assert out.tokens[row] == run.tokens, name
                assert out.stats[row].steps == len(run.steps)


@pytest.mark.parametrize("prefix", ["", "first", "always", "prepend"])
@pytest.mark.parametrize("frame", [False, True])
def test_pieces_behind_a_mask_begin_no_word(prefix: str, frame: bool) -> None:
    """A tokenizer that puts a space before any text must not put one behind a mask."""
    tokenizer = letters(prefix, frame=frame)
    model = spoken(tokenizer)
    start, space = "▁" if prefix else "", "▁" if prefix else " "
    for text, expected in (
        ("of [MASK]ing b", f"{start}of{space}_ing{space}b"),
        ("of[MASK] is", f"{start}of_{space}is"),
        ("[MASK][MASK], a", f"__,{space}a"),
        ("a[MASK]", f"{start}a_"),
        ("a[MASK]\nb", f"{start}a_\nb"),
    ):
        framed = f"<pad>{expected}<eos>" if frame else expected
        assert said(tokenizer, open_template(model, text).ids) == framed, text


@pytest.mark.parametrize("prefix", ["", "first", "prepend"])
def test_a_tokenizer_s_own_rule_about_its_mask(prefix: str) -> None:
    """A mask that takes the space before it, as RoBERTa's does, takes it for either name of the mask."""
    space = "▁" if prefix else " "
    for strip, expected in ((True, f"of_{space}is"), (False, f"of{space}_{space}is")):
        tokenizer = letters(prefix, AddedToken("<mask>", lstrip=strip, special=True), frame=True)
        model = spoken(tokenizer)
        for mark in ("[MASK]", "<mask>"):
            found = open_template(model, f"of {mark} is").ids
            assert found.count(2) == 1
            assert (found[0], found[-1]) == (0, 1)
            if prefix != "prepend":  # which begins a word behind every special token
                assert said(tokenizer, found[1:-1]).removeprefix("▁") == expected


def test_another_mask_id_than_the_tokenizer_s() -> None:
    tokenizer = letters("", AddedToken("<mask>", special=True))
    model = spoken(tokenizer, mask_id=3)
    assert open_template(model, "b[MASK]b").ids.count(3) == 1
    assert open_template(model, "b<mask>b").ids.count(3) == 1, "whoever writes it means a mask"


def test_an_ordinary_word_for_a_mask_id_is_no_mask() -> None:
    """Where the caller names an ordinary id, its word in a text stays that word."""
    model = spoken(letters(""), mask_id=3 + LETTERS.index("9"))
    found = open_template(model, "a[MASK]b").ids
    assert found == [3, model.mask_id, 4]


def test_nano(nano: ds.Denoiser) -> None:
    """No frame; its mask string is text to its tokenizer; other special strings stay text."""
    for mask in ("[MASK]", "<|mask|>"):
        found = open_template(nano, f"3 + {mask} = 7<|eos|>").ids
        at = found.index(nano.mask_id)
        assert found.count(nano.mask_id) == 1
        assert not {0, 1} & set(found)
        assert (nano.decode(found[:at]), nano.decode(found[at + 1 :])) == ("3 + ", " = 7<|eos|>")
    assert open_template(nano, [5, nano.mask_id, 6]).ids == [5, nano.mask_id, 6]
    assert open_template(nano, "").ids == open_template(nano, []).ids == []


def test_messages(nano: ds.Denoiser) -> None:
    turns = [{"role": "user", "content": "3 + 4?"}, {"role": "assistant", "content": "It is [MASK]."}]
    assert nano.render(turns) == "Q: 3 + 4?\nA: It is [MASK].\nA:"
    assert open_template(nano, turns).ids == open_template(nano, "Q: 3 + 4?\nA: It is [MASK].\n").ids
    with pytest.raises(ValueError, match="no chat template"):
        open_template(spoken(letters("")), turns)
    for wrong in ([{"role": "user"}], [5, "a"], 7, torch.tensor([5])):
        with pytest.raises(ValueError, match="a prompt is"):
            open_template(nano, wrong)  # type: ignore[arg-type]


def test_a_chat_template_that_refuses() -> None:
    """What a template raises is one line with the remedy."""
    tokenizer = letters("")
    tokenizer.chat_template = "{{ raise_exception('Roles must\n alternate') }}"
    model = spoken(tokenizer)
    with pytest.raises(ValueError, match=r"refuses these messages: Roles must alternate; change their roles or order$"):
        model.encode([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])


def test_special_ids(nano: ds.Denoiser) -> None:
    assert nano.special_ids == (0, 1, 2)
    assert random_model().special_ids == (0, 1, 2), "without a tokenizer what the config names"
    tokenizer = letters("", AddedToken("<mask>", special=True))
    tokenizer.add_special_tokens({"extra_special_tokens": ["<turn>"]})
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    added = tokenizer.convert_tokens_to_ids(["<turn>", "<think>"])
    found = spoken(tokenizer).special_ids
    assert added[0] in found
    assert added[1] not in found
    assert set(found) == {0, 1, 2, added[0]}
    assert tokenizer.decode([3, *found], skip_special_tokens=True) == "a"
