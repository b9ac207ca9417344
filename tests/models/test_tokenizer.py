"""nano's tokenizer: lossless, a token for each digit, 1,024 ids, chat template, lengths, reproducible."""

from __future__ import annotations

import filecmp
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import dlmsample
from dlmsample.models.nano import build_tokenizer
from dlmsample.tasks.wordproblems import forms, problem, words

FOLDER = Path(dlmsample.__file__).parent / "models" / "nano"
FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
LOADED = [AutoTokenizer.from_pretrained(FOLDER), PreTrainedTokenizerFast.from_pretrained(FOLDER)]


@pytest.fixture(params=LOADED, ids=["auto", "fast"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.param


SPECIALS = ("<|pad|>", "<|eos|>", "<|mask|>")
TEXT = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from([*SPECIALS, " ", "  ", "\n", "\r\n", "\t", "12", " + ", "🙂", "é"]),
    )
).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXT)
@example("")
@example(" ")
@example("  a  b \n\n c\t\r\n ")
@example("漢字 مرحبا 👩‍👩‍👧 e\u0301 é \x00\x01\x7f\u200b\ufeff\u2028 ½ ٣ Ⅷ")
@example("<|eos|> <|mask|><|pad|> [MASK]")
@example(" don't , . ! ?  can ' t n't")
@example("A: 1 + 2 = 3.\n#### 3")
def test_round_trip(text: str) -> None:
    for tokenizer in LOADED:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert all(2 < i < 1024 for i in ids)
        assert tokenizer(text)["input_ids"] == ids


def test_ids(tokenizer: Any) -> None:
    assert len(tokenizer) == tokenizer.vocab_size == 1024
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.mask_token_id) == (0, 1, 2)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == list(SPECIALS)
    assert tokenizer.decode([0, 1, 2], skip_special_tokens=True) == ""
    assert tokenizer.bos_token is None


def test_after_a_second_save(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = " <|eos|>  1,234 "
    assert again.encode(text) == tokenizer.encode(text)
    assert again.decode(again.encode(text)) == text
    assert again.chat_template == tokenizer.chat_template


def test_digits_are_never_merged(tokenizer: Any) -> None:
    for token in tokenizer.get_vocab():
        assert len(token) == 1 or not any(c.isdigit() for c in token)
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]


def test_operators_take_their_spaces(tokenizer: Any) -> None:
    for operator in (" + ", " - ", " * ", " / ", " = ", ": ", "#### ", ".\n"):
        assert len(tokenizer.encode(f"5{operator}7")) == 3


def test_domain_words_are_short(tokenizer: Any) -> None:
    nouns = [many for _, many in words.OBJECTS] + list(words.CONTAINERS) + [p[0] for p in words.PEOPLE]
    lengths = [len(tokenizer.encode(" " + noun)) for noun in nouns]
    assert sum(lengths) / len(lengths) < 1.5
    assert max(lengths) <= 4


def test_chat_template(tokenizer: Any) -> None:
    user = {"role": "user", "content": "How many <|eos|>?"}
    system, said = {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Two."}

    def render(*messages: dict[str, str], ask: bool = False) -> str:
        return tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)

    assert render(user, ask=True) == "Q: How many <|eos|>?\nA:"
    assert render(system, user, said) == "Be brief.\nQ: How many <|eos|>?\nA: Two.\n"
    ids = tokenizer.apply_chat_template([user], add_generation_prompt=True, return_dict=False)
    assert ids == tokenizer.encode("Q: How many <|eos|>?\nA:")
    assert min(ids) > 2


def test_a_completion_continues_the_prompt_as_the_template_would(tokenizer: Any) -> None:
    """Prompt ids followed by completion ids are the whole conversation as text; as tokens too, unless the answer
    begins with a digit, whose space would join the colon before it (training and decoding never tokenize it so)."""
    for index in range(200):
        ex = problem("train", index, 0, 2, 8)
        user = {"role": "user", "content": ex.prompt}
        prompt = tokenizer.apply_chat_template([user], add_generation_prompt=True, return_dict=False)
        whole = tokenizer.apply_chat_template([user, {"role": "assistant", "content": ex.reference}], tokenize=False)
        ids = prompt + tokenizer.encode(ex.completion)
        assert tokenizer.decode(ids) == whole.removesuffix("\n")
        assert ids == tokenizer.encode(whole.removesuffix("\n")) or ex.reference[0].isdigit()


@pytest.mark.parametrize(("low", "high"), [(5, 8), (2, 8), (8, 8)])
def test_lengths_of_samples(low: int, high: int) -> None:
    examples = [problem("train", i, 7, low, high) for i in range(2000)]
    prompts = LOADED[0]([f"Q: {ex.prompt}\nA:" for ex in examples])["input_ids"]
    answers = LOADED[0]([ex.completion for ex in examples])["input_ids"]
    assert max(map(len, prompts)) < 256
    assert max(map(len, answers)) + 1 < 160
    if (low, high) == (5, 8):
        assert 80 <= sum(map(len, answers)) / len(answers) <= 100


def _longest(form: forms.Form) -> int:
    """Tokens of a form with the longest words and three-digit numbers in it: an upper bound on any rendering.

    Words never merge with their neighbours, so the longest words together give the longest sentence.
    """
    text, group = (form, None) if isinstance(form, str) else form

    def longest(options: Iterable[str]) -> str:
        return max(options, key=lambda word: len(LOADED[0].encode(" " + word)))

    name = longest(person[0] for person in words.PEOPLE)
    slots = {
        "s": name, "N": name, "F": name, "h": "him", "p": "her", "x": 999, "y": 99,
        "one": longest(one for one, _ in words.OBJECTS), "o": longest(many for _, many in words.OBJECTS),
        "c": group or longest(words.CONTAINERS), "place": longest(words.PLACES),
        "inside": longest(words.PLACES_INSIDE), "kin": longest(words.RELATIVES),
    }  # fmt: skip
    slots["q"] = "{x} times as many {o} as".format_map(slots)
    sentence = text.format_map(slots)
    starts = (f" {longest(words.OPENERS)} {sentence}", f" {sentence[0].upper()}{sentence[1:]}")
    return max(len(LOADED[0].encode(start)) for start in starts)


def test_no_answer_can_be_longer_than_160_tokens() -> None:
    phrases = [phrase for pair in forms.CHAIN.values() for phrase in pair]
    tokenizer, openers = LOADED[0], max(len(LOADED[0].encode(" " + opener)) for opener in words.OPENERS)
    step = max(map(_longest, phrases)) - openers + len(tokenizer.encode(": 999 + 999 = 999."))
    assert 8 * step + len(tokenizer.encode("\n#### 999")) + 1 < 160


def test_prompts_stay_far_from_256_tokens() -> None:
    """All sentences at their longest: about 280. Real prompts of 8 steps stay 8 sigma below 256."""
    longest_step = max(
        _longest(form) / (2 if kind in ("gain_groups", "lose_groups", "compare") else 1)
        for kind, options in forms.EVENTS.items()
        for form in options
    )
    assert max(map(_longest, forms.OPENINGS)) + 8 * longest_step + max(map(_longest, forms.QUESTIONS)) < 300
    examples = [problem("train", i, 3, 8, 8) for i in range(2000)]
    lengths = [len(ids) for ids in LOADED[0]([f"Q: {ex.prompt}\nA:" for ex in examples])["input_ids"]]
    assert statistics.mean(lengths) + 8 * statistics.stdev(lengths) < 256


@pytest.mark.full
def test_the_shipped_files_are_what_the_command_builds(tmp_path: Path) -> None:
    build_tokenizer.main(tmp_path)
    assert filecmp.cmpfiles(tmp_path, FOLDER, FILES, shallow=False)[0] == list(FILES)


def test_too_few_problems_for_the_vocabulary() -> None:
    with pytest.raises(ValueError, match="use more problems"):
        build_tokenizer.build(problems=2)
