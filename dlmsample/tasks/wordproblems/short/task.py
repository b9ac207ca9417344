"""Short questions of one to three steps in free wording: the seeded generator, and 200 written by hand as the test."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from dlmsample.tasks.base import Example
from dlmsample.tasks.wordproblems.short import arithmetic, measures, money, relations, shares, stories, totals
from dlmsample.tasks.wordproblems.short.draw import Draw
from dlmsample.tasks.wordproblems.short.talk import talk
from dlmsample.tasks.wordproblems.short.words import NUMBERS
from dlmsample.tasks.wordproblems.short.work import UnfitError, Work
from dlmsample.tasks.wordproblems.story import SPLITS
from dlmsample.tasks.wordproblems.task import WordProblems, stream
from dlmsample.tasks.wordproblems.wording import worked

_TALK = 0.08
"""Share of the training texts that are no question with numbers."""
_KINDS = (
    (stories.holding, 26), (stories.places, 9), (totals.totals, 9), (relations.compare, 9), (shares.groups, 10), (shares.sharing, 8),
    (relations.parts, 7), (relations.before, 5), (money.money, 12), (relations.age, 6), (measures.known, 4), (measures.lengths, 8),
    (arithmetic.bare, 9), (arithmetic.several, 5), (arithmetic.unknown, 4),
)  # fmt: skip
_DRAWN = tuple(kind for kind, weight in _KINDS for _ in range(weight))
_DIGITS = {word: str(number) for number, word in enumerate(NUMBERS)}
_GAP = re.compile(r"(?<=[a-z]) ([,.?])")
_WORD = re.compile(r"[a-z]+|[0-9]+|[-+*/=?÷×]")


@cache
def questions() -> tuple[Example, ...]:
    """The questions written by hand: the test split. No training text is one of them, however it is spelled.

    Example:
        >>> len(questions()), questions()[0].answer
        (200, '7')
    """
    lines = (
        (files("dlmsample.tasks.wordproblems.short") / "questions.jsonl")
        .read_text(encoding="utf-8")
        .strip()
        .split("\n")
    )
    return tuple(
        Example(row["prompt"], row["answer"], f"#### {row['answer']}", {"steps": 0}) for row in map(json.loads, lines)
    )


def key(text: str) -> str:
    """What is the same in two spellings of a text: its words in small letters, signs, and numbers as digits.

    Example:
        >>> key("Ann had 3 pens, and got 4. How many?") == key("ann had 3 pens and got 4 how many?")
        True
    """
    return " ".join([str(_DIGITS.get(word, word)) for word in _WORD.findall(text.lower())]).rstrip("? =")


@cache
def _written() -> frozenset[str]:
    return frozenset(key(example.prompt) for example in questions())


def split_of_text(text: str) -> str:
    """The split that a generated text belongs to, by its :func:`key` alone: of 32 buckets one is valid, the rest train.

    A text that somebody wrote for the test belongs there.

    Example:
        >>> split_of_text("ann had three pens and got four, how many")
        'test'
    """
    found = key(text)
    if found in _written():
        return "test"
    return "train" if hashlib.blake2b(found.encode(), digest_size=1).digest()[0] & 31 else "valid"


def problem(split: str, index: int, seed: int = 0, talk_share: float = _TALK) -> Example:
    """The text at ``index`` of a split with its answer: a pure function of its arguments.

    train and valid are generated: sentences of many forms, drawn words, numbers small and large; no text is in both, and
    none is a written one. test holds the written questions, by number. Each step of the reference is worded in one of
    several ways, as the long problems' are. ``talk_share``: share of texts that are no question, answered by a
    sentence that helps; the task itself asks none.

    Raises: ValueError for an unknown split; IndexError behind the written questions.

    Example:
        >>> problem("train", 5) == problem("train", 5)
        True
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose from {', '.join(SPLITS)}")
    if split == "test":
        return questions()[index]
    name = f"short/{split}/{index}/{seed}"
    d = Draw(stream(name))
    if d.chance(talk_share):
        while True:
            text, said = talk(d)
            if split_of_text(text) == split:
                return Example(text, said.rpartition(" ")[-1], said, {"steps": 0})
    return drawn(_ask, name, split, d.random)


def drawn(ask: Callable[[Draw], tuple[str, Work]], name: str, split: str, random: Callable[[], float]) -> Example:
    """The first question that ``ask`` makes of these floats and that belongs to the split, with its steps worded.

    Args:
        ask: a text and its steps; raises UnfitError where the drawn numbers make none.
        name: of the question, which decides how its steps are worded.
        split: train or valid.
        random: floats in [0, 1).
    """
    while True:
        try:
            text, work = ask(Draw(random))
        except UnfitError:
            continue
        if split_of_text(text) == split:
            return worked(text, work.steps, stream(f"{name}/chain"))


def _ask(d: Draw) -> tuple[str, Work]:
    text, work = d.pick(_DRAWN)(d)
    return _casual(d, text), work


def _casual(d: Draw, text: str) -> str:
    """As people type: now and then without capitals or without the last mark."""
    text = _GAP.sub(r"\1", " ".join(text.split()))
    kind = d.random()
    if kind < 0.06:
        text = text.lower()
    if kind < 0.03 or kind > 0.94:
        text = text.rstrip("?.")
    if 0.9 < kind < 0.93:
        text = text.replace(". ", ", ", 1)
    return text


class ShortProblems(WordProblems):
    """Short questions in free wording: one to three steps, from "What is 12 plus 30?" to shopping, ages and shares.

    The test split is 200 questions written by hand in many styles, none of them from the generator, which refuses
    to make one; train and valid are generated. Scored as the long problems: the integer after ``####``.

    Example:
        >>> task = ShortProblems("test", 2)
        >>> task[1].prompt, task.score(task[1], "10 - 3 = 7. #### 7").correct
        ('Bob had 10 apples. He ate 3.', True)
    """

    name = "wordproblems.short"

    def __init__(self, split: str = "test", limit: int | None = None, *, seed: int = 0) -> None:
        super().__init__(split, limit, seed=seed)
        if split == "test":
            self._length = len(questions()) if limit is None else min(limit, len(questions()))

    def example(self, index: int) -> Example:
        """The question at ``index``; all of them are questions with numbers."""
        return problem(self.split, index, self.seed, talk_share=0.0)
