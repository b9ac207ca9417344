"""Short questions in freer wording: each frame's arithmetic, its words, the splits, and how a tokenizer takes it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from dlmsample.models.embedded import folder_of
from dlmsample.tasks import load
from dlmsample.tasks.wordproblems import free, short
from dlmsample.tasks.wordproblems.free import lexicon, manner
from dlmsample.tasks.wordproblems.free import task as module
from dlmsample.tasks.wordproblems.free.frames import FilledFrame, Group, evaluate, tell
from dlmsample.tasks.wordproblems.short.draw import Draw
from dlmsample.tasks.wordproblems.short.words import spell
from dlmsample.tasks.wordproblems.short.work import UnfitError
from dlmsample.tasks.wordproblems.task import stream
from dlmsample.train.config import load as recipe
from dlmsample.train.data.source import generator

FRAMES = [(group, frame) for _, groups in module.FAMILIES.values() for group in groups for frame in group.frames]
EXAMPLES = [free.problem("train", index) for index in range(2000)]
EQUATION = re.compile(r"^(\d+) ([-+*/]) (\d+) = (\d+)$")
IMPLIED = {"q", "r"}  #: numbers that a question leaves to be found: how many times it goes, what is left over


def told(group: Group, frame: str, seed: int) -> FilledFrame:
    """The frame filled with numbers that make a question."""
    random = stream(f"frame/{seed}")
    while True:
        try:
            return tell(Draw(random), group, frame)
        except UnfitError:
            continue


@cache
def filled() -> list[tuple[str, FilledFrame]]:
    """Every frame, three times."""
    return [(frame, told(group, frame, 7 * n + k)) for n, (group, frame) in enumerate(FRAMES) for k in range(3)]


def right(equation: str) -> int:
    """The result of an equation, which is checked."""
    found = EQUATION.match(equation)
    assert found, equation
    a, sign, b, result = int(found[1]), found[2], int(found[3]), int(found[4])
    assert {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else -1}[sign] == result, equation
    assert sign != "/" or a % b == 0, equation
    assert 0 <= result <= 999, equation
    return result


def test_it_is_a_pure_function_of_its_arguments() -> None:
    assert [free.problem("train", index) for index in (3, 700)] == [EXAMPLES[3], EXAMPLES[700]]
    assert free.problem("train", 3, seed=1) != EXAMPLES[3]
    assert free.problem("valid", 3) != EXAMPLES[3]
    with pytest.raises(ValueError, match="unknown split 'test'"):
        free.problem("test", 0)


def test_the_steps_of_every_frame_are_right_and_give_what_is_asked() -> None:
    """The answer is worked out a second time, from the numbers alone, in one expression by Python."""
    for frame, question in filled():
        results = [right(equation) for _, equation in question.work.steps]
        assert results[-1] == eval(question.group.answer, {}, dict(question.values)), frame
        assert 1 <= len(results) <= 3
        assert all(0 <= value <= 999 for value in question.values.values())


def test_every_step_uses_numbers_that_the_text_gives() -> None:
    for frame, question in filled():
        group = question.group
        made = {step[1] for step in group.steps}
        used = {term for step in group.steps for term in (step[2], step[4]) if not term.isdigit()} - made
        shown = {name for name, _, _ in group.numbers if re.search(rf"{{[$=]?{name}[ }}]", frame)}
        assert used - shown <= IMPLIED, frame
        digits = {int(number) for number in re.findall(r"\d+", question.text)}
        if frame.count("{=") and all(f"{{={name}}}" in frame for name in used):
            assert {question.values[name] for name in used} <= digits


def test_names_of_numbers_are_no_other_slots() -> None:
    other = {"N", "F", "G", "s", "h", "p", "o", "c", "they", "one", *lexicon.WORDS, *lexicon.VERBS}
    assert not {name for group, _ in FRAMES for name, _, _ in group.numbers} & other


def test_every_frame_makes_a_clean_text() -> None:
    for frame, question in filled():
        assert not re.search(r"[{}\[\]|~<>]|  | [.?!,]|\b[Aa] [aeio]\w|\.\.", question.text), (frame, question.text)
        assert not re.search(r"[.?!] [a-z]", question.text), question.text
        assert any(letter.isalpha() for letter in question.text) or re.search(r"\d", question.text)
    assert sum(len(set(group.frames)) for groups in module.FAMILIES.values() for group in groups[1]) == len(FRAMES)
    assert len(FRAMES) > 1000


def test_every_group_and_nearly_every_frame_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Counter[tuple[int, str]]()

    def noted(d: Draw, group: Group, frame: str) -> FilledFrame:
        question = tell(d, group, frame)
        seen[id(group), frame] += 1
        return question

    monkeypatch.setattr(module, "tell", noted)
    for index in range(10_000):
        free.problem("train", index, seed=5)
    assert {frame for drawn in module._FRAMES.values() for frame in drawn} == set(FRAMES)
    assert {id(group) for group, _ in FRAMES} == {key for key, _ in seen}
    assert len(seen) > 0.96 * len(FRAMES)


def test_the_reference_ends_in_the_answer_and_is_scored_as_right() -> None:
    task = load("wordproblems.free", limit=300)
    assert (task.split, len(task)) == ("valid", 300)
    for example in task:
        assert task.score(example, example.completion).correct
        assert example.reference.endswith(f"\n#### {example.answer}")
        assert example.prompt == example.prompt.strip() != ""


def test_texts_differ_and_are_of_many_kinds() -> None:
    assert len({example.prompt for example in EXAMPLES}) > 0.99 * len(EXAMPLES)
    steps = Counter(example.meta["steps"] for example in EXAMPLES)
    assert set(steps) == {1, 2, 3}
    assert all(steps[number] > 60 for number in steps)
    assert len({word for example in EXAMPLES for word in example.prompt.split()}) > 2500
    assert len({" ".join(example.prompt.split()[-2:]) for example in EXAMPLES}) > 500
    assert sum(example.prompt == example.prompt.lower() for example in EXAMPLES) > 100
    assert sum(example.prompt[-1] not in ".?!" for example in EXAMPLES) > 100


def test_splits_are_disjoint_by_their_text_alone() -> None:
    assert all(short.split_of_text(example.prompt) == "train" for example in EXAMPLES)
    valid = {free.problem("valid", index).prompt for index in range(200)}
    assert all(short.split_of_text(prompt) == "valid" for prompt in valid)
    assert not valid & {example.prompt for example in EXAMPLES}


def test_a_tokenizer_gives_the_same_text_back() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder_of("nano") / "tokenizer.json"))
    texts = [text for example in EXAMPLES for text in (example.prompt, example.completion)]
    for text, encoding in zip(texts, tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
        assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == text
        assert len(encoding.ids) <= 120


def test_numbers_in_words() -> None:
    shown = [spell(value) for value in range(1000)]
    assert len(set(shown)) == 1000
    assert shown[115] == "one hundred fifteen"
    assert evaluate("x/2-1", {"x": 9}) == 3


def test_what_people_add_leaves_the_numbers_of_the_question() -> None:
    """Greetings, slips and lost marks change no number; a needless sentence only adds one."""
    text = "Ann had 12 pens, and gave twenty three away. Then she found 7. How many pens does she have now?"
    for seed in range(2000):
        d = Draw(stream(f"manner/{seed}"))
        typed = manner.casual(d, text)
        assert re.findall(r"\d+", typed) == ["12", "7"]
        assert "twenty three" in typed
        assert len(re.findall(r"\d+", manner.needless(d, text))) in (2, 3)


@pytest.mark.parametrize(("name", "share"), [("nano_free", 0.3), ("nano_more", 0.46), ("nano_last", 0.46)])
def test_recipes_train_on_it(name: str, share: float) -> None:
    config = recipe(name)
    assert config.task is not None
    assert [part.share for part in config.task.mix if part.name == "wordproblems.free"] == [share]
    assert generator("wordproblems.free") is free.problem
