"""Short questions: the generator's answers, what it never emits, and the written ones."""

from __future__ import annotations

import contextlib
import re
from collections import Counter

import pytest

from dlmsample.tasks import load
from dlmsample.tasks.wordproblems import everyday, plain, short
from dlmsample.tasks.wordproblems import problem as long_problem
from dlmsample.tasks.wordproblems.short import talk as module_talk
from dlmsample.tasks.wordproblems.short import task as module
from dlmsample.tasks.wordproblems.short.draw import Draw
from dlmsample.tasks.wordproblems.short.shares import groups
from dlmsample.tasks.wordproblems.short.words import spell
from dlmsample.tasks.wordproblems.short.work import Work

EXAMPLES = [short.problem("train", index) for index in range(1500)]
QUESTIONS = [example for example in EXAMPLES if example.meta["steps"]]
EQUATION = re.compile(r"^(\d+) ([-+*/]) (\d+) = (\d+)$")


def test_it_is_a_pure_function_of_its_arguments() -> None:
    assert [short.problem("train", index) for index in (3, 700)] == [EXAMPLES[3], EXAMPLES[700]]
    assert short.problem("train", 3, seed=1) != EXAMPLES[3]
    assert short.problem("valid", 3) != EXAMPLES[3]


@pytest.mark.parametrize("kind", [kind for kind, _ in module._KINDS], ids=lambda kind: kind.__name__)
def test_every_kind_computes_what_its_text_says(kind: object) -> None:
    """The steps follow from each other, are right, and use numbers that the text or common knowledge gives."""
    made = 0
    for index in range(300):
        try:
            text, work = kind(Draw(module.stream(f"kind/{index}")))  # type: ignore[operator]
        except module.UnfitError:
            continue
        made += 1
        results = set[int]()
        assert 1 <= len(work.steps) <= 8
        assert text
        assert not re.search(r"[{}|]|  ", text), text
        for _, equation in work.steps:
            found = EQUATION.match(equation)
            assert found, equation
            a, sign, b, result = int(found[1]), found[2], int(found[3]), int(found[4])
            assert {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else -1}[sign] == result
            assert sign != "/" or a % b == 0
            assert 0 <= result <= 999
            results.add(result)
        last = int(work.steps[-1][1].rpartition(" ")[-1])
        assert last in results
    assert made > 100


def test_equal_groups_tell_every_number_that_their_steps_use() -> None:
    """A change after "picks 7 a day" once took the place of the question that says for how many days."""
    for index in range(3000):
        with contextlib.suppress(module.UnfitError):
            text, work = groups(Draw(module.stream(f"told/{index}")))
            said = set(re.findall(r"\d+|[a-z]+(?:-[a-z]+)?", text.lower()))
            for _, equation in work.steps:
                found = EQUATION.match(equation)
                assert found
                for number in {int(found[1]), int(found[3])}:
                    assert {str(number), spell(number)} & said, (text, equation)
                said.add(found[4])


class OftenRare(Draw):
    """What happens once in a hundred draws happens in every other one."""

    def chance(self, share: float) -> bool:
        return self.random() < 0.5


@pytest.mark.parametrize("kind", [kind for kind, _ in module._KINDS], ids=lambda kind: kind.__name__)
def test_no_rare_form_of_a_question_is_blank(kind: object) -> None:
    made = 0
    for index in range(100):
        with contextlib.suppress(module.UnfitError):
            text, _ = kind(OftenRare(module.stream(f"rare/{index}")))  # type: ignore[operator]
            assert any(letter.isalnum() for letter in text)
            made += 1
    assert made > 30


def test_letters_of_some_script_are_never_spaces_alone() -> None:
    assert all(everyday.letters(module.stream(f"letters/{index}")).strip() for index in range(6000))


def test_texts_differ_and_are_of_many_kinds() -> None:
    assert len({example.prompt for example in QUESTIONS}) > 0.98 * len(QUESTIONS)
    steps = Counter(example.meta["steps"] for example in QUESTIONS)
    assert all(steps[number] > 20 for number in (1, 2, 3))
    endings = Counter(example.prompt.split()[-1] for example in QUESTIONS)
    assert len(endings) > 100
    assert len({word for example in QUESTIONS for word in example.prompt.split()}) > 2000
    assert any(example.prompt == example.prompt.lower() for example in QUESTIONS)


def test_references_are_scored_as_right() -> None:
    task = load("wordproblems.short", split="valid", limit=200)
    assert all(task.score(example, example.completion).correct for example in task)
    assert all(example.meta["steps"] for example in task)


def test_other_text_gets_a_sentence_that_helps() -> None:
    others = [example for example in EXAMPLES if not example.meta["steps"]]
    assert 0.05 < len(others) / len(EXAMPLES) < 0.12
    assert {example.reference for example in others} == {module_talk.HELLO, module_talk.SELF, module_talk.OTHER}
    assert all(module_talk.EXAMPLE in example.reference for example in others)
    assert all("####" not in example.reference for example in others)


def test_no_written_question_is_ever_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawn text that somebody wrote, in whatever case and punctuation, is drawn again."""
    written = "ann had 3 pens and got 4, how many"
    drawn = iter([written, "Bob had 10 apples. He ate 3!", "Nobody wrote this about 5 blue gnus and 6 more."])

    def forged(d: Draw) -> tuple[str, Work]:
        work = Work()
        work.do("So", 3, "+", 4)
        return next(drawn), work

    monkeypatch.setattr(module, "_DRAWN", (forged,))
    monkeypatch.setattr(module, "split_of_text", lambda text: "train" if "gnus" in text else short.split_of_text(text))
    assert short.problem("train", 0, talk_share=0).prompt.lower().startswith("nobody wrote this")


def test_splits_are_disjoint_by_their_text_alone() -> None:
    assert all(short.split_of_text(example.prompt) == "train" for example in EXAMPLES)
    assert all(short.split_of_text(short.problem("valid", index).prompt) == "valid" for index in range(50))
    assert all(short.split_of_text(example.prompt) == "test" for example in short.questions())
    assert short.split_of_text("ANN HAD three pens, and got 4; how many") == "test"


def test_the_written_questions() -> None:
    task = load("wordproblems.short")
    assert len(task) == 200
    assert len({short.key(example.prompt) for example in task}) == 200
    assert all(re.fullmatch(r"\d+", example.answer) for example in task)
    assert all(task.score(example, example.completion).correct for example in task)
    assert len(load("wordproblems.short", limit=7)) == 7
    bare = {"2 + 3 * 4": "14", "(3 + 4) * 2": "14", "60 / 3 + 5": "25", "10 - 2 - 3": "5", "4*25": "100", "72/8": "9"}
    given = {example.prompt: example.answer for example in task}
    assert bare.items() <= given.items()


def test_the_plain_problems_are_the_same_ones_said_alike() -> None:
    for index in range(20):
        free, said_alike = long_problem("test", index), plain.problem("test", index)
        assert said_alike.prompt.removesuffix(f" {plain.CUE}") == free.prompt
        assert said_alike.answer == free.answer
        chain = said_alike.reference.splitlines()[0]
        assert len(re.findall(r"[^.]+: \d+ [-+*/] \d+ = \d+\.", chain)) == free.meta["steps"]
    task = load("wordproblems.plain", split="valid", limit=3, min_steps=2, max_steps=2)
    assert [example.meta["steps"] for example in task] == [2, 2, 2]
