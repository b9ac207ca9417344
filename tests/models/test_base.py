"""``Denoiser.encode`` and ``decode``: exactly the ids that stand before the answer."""

from __future__ import annotations

from typing import Any

import pytest

import dlmsample as ds
from tests.toys import MASK, VOCAB, random_model

TEXT = "Ann has 3 pens and buys 4 more. How many?"


def test_a_text_goes_through_the_template(nano: ds.Denoiser) -> None:
    tokenizer: Any = nano.tokenizer
    templated = tokenizer.apply_chat_template(
        [{"role": "user", "content": TEXT}], tokenize=False, add_generation_prompt=True
    )
    assert TEXT in templated
    assert templated != TEXT
    expected = tokenizer.encode(templated, add_special_tokens=False)
    assert nano.encode(TEXT) == nano.encode(TEXT, chat=True) == expected
    assert nano.decode(expected) == templated


def test_chat_false_is_the_bare_text(nano: ds.Denoiser) -> None:
    tokenizer: Any = nano.tokenizer
    assert nano.encode(TEXT, chat=False) == tokenizer.encode(TEXT)
    assert nano.decode(nano.encode(TEXT, chat=False)) == TEXT


def test_messages(nano: ds.Denoiser) -> None:
    user = {"role": "user", "content": TEXT}
    assert nano.encode([user]) == nano.encode(TEXT)
    turns = [user, {"role": "assistant", "content": "7"}, {"role": "user", "content": "And 2 more?"}]
    text = nano.decode(nano.encode(turns))
    assert text.index(TEXT) < text.index("7") < text.index("And 2 more?")
    assert text.endswith("A:"), "the template opens the answer"


def test_no_template(nano: ds.Denoiser) -> None:
    class Bare:
        chat_template = None

        def encode(self, text: str) -> list[int]:
            return [ord(c) for c in text]

    model = ds.Denoiser("bare", nano.module, Bare(), nano.facts)
    assert model.encode("ab") == model.encode("ab", chat=False) == [97, 98]
    for prompt, chat in (("ab", True), ([{"role": "user", "content": "ab"}], None)):
        with pytest.raises(ValueError, match="no chat template") as caught:
            model.encode(prompt, chat)
        assert "chat=False" in str(caught.value)


@pytest.mark.parametrize("ids", [[5], [0, VOCAB - 1], [MASK, 1, 1, 0], [7] * 600])
def test_ids_are_taken_as_they_are(ids: list[int]) -> None:
    """Special ids too, with or without a tokenizer, whatever ``chat`` says; the caller's list is not kept."""
    model = random_model()
    for chat in (None, True, False):
        encoded = model.encode(ids, chat)
        assert encoded == ids
        assert encoded is not ids
    assert model.encode(tuple(ids)) == ids


def test_ids_are_taken_as_they_are_by_nano(nano: ds.Denoiser) -> None:
    ids = [*nano.eos_ids, 300, nano.mask_id, 0]
    assert nano.encode(ids) == ids


@pytest.mark.parametrize("wrong", [-1, VOCAB, 10**9])
def test_ids_outside_the_vocabulary(wrong: int) -> None:
    with pytest.raises(ValueError, match="outside the vocabulary") as caught:
        random_model().encode([5, wrong, 6])
    assert str(wrong) in str(caught.value)
    assert f"0..{VOCAB - 1}" in str(caught.value)


@pytest.mark.parametrize(
    "prompt",
    [
        [True],
        [5, False],
        [5.0],
        ["5"],
        [None],
        [[5]],
        [{"role": "user"}],
        [{"content": "x"}],
        [5, {"role": "a", "content": "b"}],
    ],
    ids=repr,
)
def test_what_is_no_prompt(nano: ds.Denoiser, prompt: Any) -> None:
    """A bool is an int to Python and a mistake to us."""
    with pytest.raises(ValueError, match="a text, a list of ids, or a list of messages"):
        nano.encode(prompt)


def test_empty_prompts(nano: ds.Denoiser) -> None:
    assert random_model().encode([]) == []
    assert nano.encode([]) == []
    assert nano.encode("", chat=False) == []
    assert nano.encode("") == nano.encode([{"role": "user", "content": ""}]) != []


@pytest.mark.parametrize("text", ["a\ud800", "\udcff", "x\udfffy"])
@pytest.mark.parametrize("chat", [None, False])
def test_a_lone_surrogate(nano: ds.Denoiser, text: str, chat: bool | None) -> None:
    """What ``sys.argv`` makes of bytes that are no UTF-8."""
    with pytest.raises(ValueError, match="not valid Unicode") as caught:
        nano.encode(text, chat)
    assert "UTF-8" in str(caught.value)


@pytest.mark.parametrize("text", ["grün 😀 €5\n\ttab", "<|eos|> and <|mask|>", "\x00", "  two  spaces "])
def test_text_survives(nano: ds.Denoiser, text: str) -> None:
    """Byte fallback, and control tokens spelled out are ordinary characters."""
    ids = nano.encode(text, chat=False)
    assert not {nano.mask_id, *nano.eos_ids} & set(ids)
    assert nano.decode(ids) == text


def test_decode(nano: ds.Denoiser) -> None:
    ids = nano.encode("7 pens", chat=False)
    assert nano.decode([*ids, *nano.eos_ids, nano.mask_id]) == "7 pens", "special tokens are left out"
    assert nano.decode(tuple(ids)) == "7 pens"
    assert nano.decode([]) == ""


def test_without_a_tokenizer() -> None:
    model = random_model()
    for call in (lambda: model.encode("a"), lambda: model.decode([5])):
        with pytest.raises(ValueError, match="tokenizer") as caught:
            call()
        assert "ids" in str(caught.value)


def test_with_head_is_another_view_of_the_same_module() -> None:
    class Head:
        layer = -2

        def __call__(self, hidden: Any, positions: Any, valid: Any) -> Any:
            return hidden[..., 0]

    model, head = random_model(), Head()
    view = model.with_head(head)
    assert view.head is head
    assert view.module is model.module
    assert model.head is None
    assert view.with_head(None).head is None
