"""Scorers by name, for tasks that are files: what a text answers, and whether that is one of the right answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dlmsample.support.registry import Registry
from dlmsample.tasks.answers.marks import after_phrase, last_boxed, marked_answer
from dlmsample.tasks.answers.quantity import quantity, same_number
from dlmsample.tasks.base import Example, Score

#: From an example and a model's text to the verdict.
Scorer = Callable[[Example, str], Score]

SCORERS = Registry(
    "scorer",
    "dlmsample.scorers",
    {
        "exact": "dlmsample.tasks.answers.scorers:exact",
        "contains": "dlmsample.tasks.answers.scorers:contains",
        "number": "dlmsample.tasks.answers.scorers:number",
        "choice": "dlmsample.tasks.answers.scorers:choice",
    },
)

#: A letter that opens a text, or that is marked as a choice further on.
_OPENING = re.compile(
    r"[\s*_(\[\"'`$]*+(?:(?:option|choice|answer)[\s*_(:]++)?\(?([A-Z])(?!\w|'\w)(?!\s[a-z])", re.IGNORECASE
)
_MARKED = re.compile(r"\(([A-Z])\)|\*\*([A-Z])\b|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s(?:is\s)?\(?([A-Z])\b")


def right_answers(example: Example) -> Sequence[str]:
    """All answers of an example that count as right; the first is its ``answer``."""
    return example.meta.get("answers", (example.answer,))


def plain(text: str) -> str:
    """A text as it is compared: case folded, on one line, without a full stop at its end.

    Example:
        >>> plain(" The  Hague. ")
        'the hague'
    """
    return " ".join(text.split()).rstrip(".").casefold()


def stated_answer(text: str) -> str:
    r"""What a text gives as its answer: the last ``<answer>`` or ``\boxed{}``, what follows the last ``####``, what
    follows the last "answer is", else the whole text.

    Example:
        >>> stated_answer("2 + 2 = 4.\n#### 4"), stated_answer("Paris"), stated_answer("So the answer is Paris.")
        ('4', 'Paris', 'Paris.')
    """
    marked = marked_answer(text) or last_boxed(text)
    if marked:
        return marked
    if "####" in text:
        return text.rpartition("####")[2].strip().partition("\n")[0]
    return after_phrase(text) or text.strip()


def exact(example: Example, text: str) -> Score:
    """The stated answer is a right one, but for case, spaces and a full stop at the end.

    Example:
        >>> exact(Example("Capital of France?", "Paris", ""), "The answer is paris.").correct
        True
    """
    found = stated_answer(text)
    return Score(plain(found) in {plain(answer) for answer in right_answers(example)}, found or None)


def contains(example: Example, text: str) -> Score:
    """A right answer stands somewhere in the text, as whole words, but for case and spaces.

    Example:
        >>> contains(Example("Capital of France?", "Paris", ""), "It is Paris, of course.").correct
        True
    """
    said = plain(text)
    for answer in right_answers(example):
        wanted = plain(answer)
        if wanted and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", said):
            return Score(True, answer)
    return Score(False, None)


def number(example: Example, text: str) -> Score:
    r"""The final number has exactly the value of a right answer; see :func:`dlmsample.tasks.gsm8k.final_number`.

    Example:
        >>> number(Example("1 + 1 = ?", "2", ""), "1 + 1 = 2.\n#### 2.0").correct
        True
    """
    from dlmsample.tasks.gsm8k import final_number

    found = final_number(text)
    return Score(any(same_number(found, quantity(answer) or answer) for answer in right_answers(example)), found)


def choice(example: Example, text: str) -> Score:
    """The letter that the text chooses is the right one: marked as the answer, at the start, or marked as a choice.

    Example:
        >>> choice(Example("A. yes B. no", "B", ""), "(B) because it holds").extracted
        'B'
    """
    found = None
    for part in (marked_answer(text), last_boxed(text), after_phrase(text), text):
        opening = _OPENING.match(part) if part else None
        if opening:
            found = opening[1].upper()
            break
    else:
        marked = _MARKED.search(text)
        found = next((letter for letter in marked.groups() if letter), None) if marked else None
    return Score(found in {answer.strip().strip("().").upper() for answer in right_answers(example)}, found)


def matching(pattern: str) -> Scorer:
    r"""The last match of a pattern (its first group, where it has one) is a right answer, but for case and spaces.

    Raises:
        ValueError: the pattern is no regular expression.

    Example:
        >>> matching(r"total: (\d+)")(Example("", "7", ""), "total: 5, no, total: 7").correct
        True
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is no regular expression ({error}): mend it") from None

    def score(example: Example, text: str) -> Score:
        found = None
        for match in compiled.finditer(text):
            found = match[1] if compiled.groups else match[0]
        wanted = {plain(answer) for answer in right_answers(example)}
        return Score(found is not None and plain(found) in wanted, found)

    return score
