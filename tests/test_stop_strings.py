"""What is given as ``stop``: checked before any forward, each mistake with its remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import dlmsample as ds
from dlmsample.decoding.answers import Stops
from dlmsample.decoding.arguments import stop_strings
from tests.toys import random_model


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (5, r'stop is a list of texts like \["####"\], not 5'),
        (True, "stop is a list of texts like"),
        ([5], "not 5"),
        (["a", None], "not None"),
        ("####", r"wrap a single one in \[ \]"),
        (b"x", r"wrap a single one in \[ \]"),
        ([""], "a stop string is empty"),
        ("", r"wrap a single one in \[ \]"),
    ],
)
def test_what_is_no_list_of_texts(stop: Any, message: str, nano: ds.Denoiser) -> None:
    with pytest.raises(ValueError, match=message):
        stop_strings(nano, stop)
    with pytest.raises(ValueError, match=message):
        Stops(stop, nano.decode, nano.eos_ids)


def test_texts_of_any_collection(nano: ds.Denoiser) -> None:
    assert stop_strings(nano, None) == stop_strings(nano, []) == []
    assert stop_strings(nano, (s for s in ("a", "####"))) == ["a", "####"]
    assert Stops((s for s in ("a", "####")), nano.decode, nano.eos_ids)  # type: ignore[arg-type]


def chat_model() -> ds.Denoiser:
    """Words, of which one ends an answer and one a turn."""
    words = {"<pad>": 0, "<eos>": 1, "<mask>": 2, "<turn>": 3, "a": 4, "b": 5}
    raw = Tokenizer(models.WordLevel(words, unk_token="a"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    special: Any = {"additional_special_tokens": ["<turn>"]}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", mask_token="<mask>", **special
    )
    return replace(random_model(), tokenizer=tokenizer, name="chatty")


def test_special_tokens_are_in_no_text() -> None:
    model = chat_model()
    assert model.decode([4, 3, 5]) == "a b"
    for stop in ("<turn>", "b <turn>"):
        with pytest.raises(ValueError, match=r"special token 3.*eos_ids=\[1, 3\]"):
            stop_strings(model, [stop])
    assert stop_strings(model, ["b", "<eos>", "a b"]) == ["b", "a b"]  # an answer ends before its EOS anyway


def test_a_tokenizer_that_reads_them_as_text(nano: ds.Denoiser) -> None:
    """nano's writes ``<|eos|>`` out in ordinary tokens, which are found in a text."""
    assert stop_strings(nano, ["<|eos|>"]) == ["<|eos|>"]


def test_no_tokenizer() -> None:
    assert stop_strings(random_model(), None) == []
    with pytest.raises(ValueError, match="no tokenizer to read stop strings with"):
        stop_strings(random_model(), ["x"])
