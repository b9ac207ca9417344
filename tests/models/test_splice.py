"""Given text comes back to the character through ``fill``, whatever the tokenizer makes of it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import BertTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

import dlmsample as ds
from dlmsample.models.splice import splice
from tests.toys import scripted_model

SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'()-"
#: Capitals, accents, what a normaliser rewrites, what no vocabulary has, and what looks like a special token.
PARTS = [*"abcdAB .,é 日Ⅳ—ﬁ'(", "  ", "\n", "\u2028", " the ", "Dog", "[SEP]", "<s>", "</s>", "##s", "do not", " ."]


def wordpiece() -> Any:
    """An uncased BERT's: lower case, no accents, no spaces, unknown signs."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "do", "not", "##s", "##ing"]
    return BertTokenizer(vocab={w: i for i, w in enumerate([*words, *SIGNS, *(f"##{c}" for c in SIGNS)])})


def byte_level() -> Any:
    """A GPT-2's: a space belongs to the word behind it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g"), ("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e"), ("Ġ", "do"), ("Ġdo", "g")]
    vocabulary = {token: i for i, token in enumerate(["<s>", *alphabet, *(a + b for a, b in merges)])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")


def unigram() -> Any:
    """A SentencePiece's: compatibility forms, lower case, spaces joined, a word's space before it."""
    pieces = ["<unk>", "<s>", "</s>", "▁", "▁the", "▁dog", "ing", "s", *(c for c in SIGNS if c != "s"), "▁a", "▁b"]
    backend = Tokenizer(models.Unigram([(p, -float(len(pieces) - i) / 9) for i, p in enumerate(pieces)], unk_id=0))
    rules = [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]
    backend.normalizer = normalizers.Sequence([*rules, normalizers.Replace(Regex(" {2,}"), " ")])  # type: ignore[arg-type]
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def without_offsets() -> Any:
    """A slow one, in Python, that gives no offsets and puts an EOS behind every text."""
    return ByT5Tokenizer()


KINDS: dict[str, Callable[[], Any]] = {
    "uncased WordPiece": wordpiece,
    "byte-level BPE": byte_level,
    "unigram with a normaliser": unigram,
    "without offsets": without_offsets,
}


def model_of(tokenizer: Any) -> ds.Denoiser:
    """A model that places any token, given by the position and what stands there."""
    size = len(tokenizer)

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        mixed = (ids.sum(-1, keepdim=True) + 7 * positions)[..., None] + 13 * torch.arange(size + 1)
        return (mixed * 2654435761 % 997).float()

    mask = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else size
    model = scripted_model(rule, vocab=size + 1)
    return replace(model, tokenizer=tokenizer, facts=replace(model.facts, mask_id=mask, eos_ids=()))


def random_text(draw: random.Random) -> str:
    return "".join(draw.choice([*PARTS, "[MASK]", " [MASK] "]) for _ in range(draw.randrange(1, 14)))


@pytest.mark.filterwarnings("ignore:This sequence already has")  # ByT5, of a text that ends in </s>
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_outside_the_masks(kind: str, full: bool) -> None:
    """10³ random texts over all kinds, as many for each kind in a full run."""
    draw, model = random.Random(kind), model_of(KINDS[kind]())
    texts = [random_text(draw) for _ in range(1000 if full else 250)]
    out = ds.Sampler(model, ds.Unmask(steps=1), batch_size=250).fill(texts)
    for text, filled, placed in zip(texts, out.texts, out.tokens, strict=True):
        pieces = text.split("[MASK]")
        assert len(placed) == len(pieces) - 1
        assert re.fullmatch(".*".join(map(re.escape, pieces)), filled, re.DOTALL), (text, filled)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_without_masks_is_the_text(kind: str) -> None:
    texts = ["".join(PARTS), "", " ", "ÀB  c"]
    assert ds.Sampler(model_of(KINDS[kind]()), ds.Unmask()).fill(texts).texts == texts


def filled(kind: str, text: str, *placed: str) -> str:
    """The text with these tokens at its masks."""
    from dlmsample.models.template import open_template

    tokenizer = KINDS[kind]()
    model = model_of(tokenizer)
    ids, pieces = open_template(model, text)
    places = [i for i, token in enumerate(ids) if token == model.mask_id]
    for place, token in zip(places, placed, strict=True):
        ids[place] = tokenizer.convert_tokens_to_ids(token)
    assert pieces is not None
    return splice(model, pieces, ids, places)


@pytest.mark.parametrize(
    ("kind", "text", "placed", "expected"),
    [
        ("byte-level BPE", "The [MASK] is", ["Ġdog"], "The dog is"),
        ("byte-level BPE", "The[MASK] is", ["Ġdog"], "The dog is"),
        ("byte-level BPE", "The [MASK] is", ["dog"], "The dog is"),
        ("byte-level BPE", "The [MASK][MASK] is", ["Ġthe", "Ġdog"], "The the dog is"),
        ("byte-level BPE", "Hot[MASK]", ["dog"], "Hotdog"),
        ("byte-level BPE", "    [MASK]", ["Ġdog"], "    dog"),
        ("unigram with a normaliser", "The [MASK] is", ["▁dog"], "The dog is"),
        ("unigram with a normaliser", "Éa[MASK].", ["▁dog"], "Éa dog."),
        ("unigram with a normaliser", "Go[MASK] on", ["ing"], "Going on"),
        ("unigram with a normaliser", "[MASK] on", ["▁dog"], "dog on"),
        ("uncased WordPiece", "The [MASK] IS", ["dog"], "The dog IS"),
        ("uncased WordPiece", "(The)[MASK].", ["dog"], "(The)dog."),
        ("uncased WordPiece", "Cat[MASK]", ["dog"], "Cat dog"),
        ("uncased WordPiece", "Cat[MASK]", ["##s"], "Cats"),
        ("uncased WordPiece", "[MASK]Cat", ["dog"], "dog Cat"),
        ("uncased WordPiece", "Ünknown 日 [SEP] [MASK] [MASK]", ["the", "dog"], "Ünknown 日 [SEP] the dog"),
    ],
)
def test_spaces_beside_a_mask(kind: str, text: str, placed: list[str], expected: str) -> None:
    """Natural ones are not doubled; a word's own is kept where none was written."""
    assert filled(kind, text, *placed) == expected
