"""Final answers in text: the common forms, and that no text makes the search slow."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from dlmsample.tasks import (
    cmath,
    countdown,
    gsm8k,
    humaneval,
    math500,
    piqa,
    sudoku,
    triviaqa,
)
from dlmsample.tasks.answers import code, marks, quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"\boxed{18}", "18"),
        (r"\boxed{\$18.50}", "18.50"),
        (r"\boxed{1,234}", "1234"),
        (r"\boxed{1{,}234} of 7", "1234"),
        (r"\boxed{3 + 4 = 7}", "7"),
        (r"\boxed{7 \text{ days of 24 hours}}", "7"),
        (r"first \boxed{1}, no, \boxed{2}", "2"),
        (r"\boxed{2} as in \boxed{...}", "2"),
        (r"\boxed{none}, so 5", "5"),
        (r"\boxed{12", "12"),
        ("#### 18", "18"),
        ("#### $1,018.00 (in 3 days)", "1018.00"),
        ("#### -4", "-4"),
        ("#### \n 9", "9"),
        ("She has 3 + 4 = 7 apples.", "7"),
        ("9 - 12 = -3", "-3"),
        ("from 12 to 10-2", "2"),
        ("It is −5.", "-5"),
        ("$-5", "-5"),
        ("100%", "100"),
        ("a.5b", ".5"),
        ("version v2", "2"),
        ("18.<|eot_id|>", "18"),
        ("nothing", None),
        ("", None),
    ],
)
def test_final_number(text: str, number: str | None) -> None:
    assert gsm8k.final_number(text) == number


def test_numbers_are_compared_by_value_and_may_be_long() -> None:
    assert quantity.same_number("007.0", "7")
    assert quantity.same_number("9" * 5000, "9" * 5000)
    assert not quantity.same_number("9" * 5000, "9" * 4999 + "8")
    assert not quantity.same_number("seven", "7")


def test_boxes_nest_and_skip_escaped_braces() -> None:
    assert marks.boxed(r"\boxed{\{1, 2\}} \boxed {x}\fbox{y}") == [r"\{1, 2\}", "x", "y"]
    assert marks.boxed(r"\boxed{a \boxed{b} c}") == [r"a \boxed{b} c", "b"]
    assert marks.boxed("} } \\boxed{") == []
    assert marks.last_boxed("no") is None


def test_answer_tags() -> None:
    assert marks.answer_tag("<answer>\n 5 \n</answer>") == "5"
    assert marks.answer_tag("</answer> <answer>5") == "5"
    assert marks.answer_tag("<answer>\\boxed{}</answer>") is None
    assert marks.answer_tag("</answer>") is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("The answer is Paris", "Paris"),
        ("The answer is: Paris\nmore", "Paris"),
        ("ANSWER: Paris", "Paris"),
        ("Answer:\nParis", "Paris"),
        ("The answer is 1. The answer is 2", "2"),
        ("The answer is", None),
        ("answers", None),
    ],
)
def test_after_phrase(text: str, rest: str | None) -> None:
    assert marks.after_phrase(text) == rest


_N = 20_000
ADVERSARIAL = [
    unit * (_N // len(unit))
    for unit in (
        *("\\boxed{", "\\boxed ", "{", "}", "\\", "{}", "\\boxed{}", "<answer>", "</answer>", "<answer></answer>"),
        *("1", "1,", "1,111", "1.", "1/", "-", "$", "$-", "- ", "1 ", "1 -", ".", "9%", "-1"),
        *("answer", "answer ", "answer is ", "answer:", "answer is answer:", "Answer:\n"),
        *("\\frac{", "\\frac{1}{", "\\frac{1}", "\\frac{1}{2}", "(", "((", "1+", "\\times", "=", "a the an "),
        *("```", "```\n", "\n```\n", " ```", "def f(", "def f\n", "\n", "\n ", "    x\n", "[BEGIN]", "[DONE]"),
        *("A", "A ", "(A", "(A) ", "**A", "Option ", "option A", " *", "1234", "12 34|", "|", "#### ", "####"),
        *("五分之三", "5分之", "页", "，1", "=1", "1页", "1页1", " 1 ", "=1(", "é", "\u2212", "\x00"),
    )
]
FINDERS: list[Callable[[str], object]] = [
    gsm8k.final_number,
    math500.final_expression,
    cmath.candidates,
    triviaqa.short_answer,
    triviaqa.normalised,
    lambda text: piqa.choice(text, "tin can", "trash bag"),
    countdown.final_expression,
    lambda text: sudoku.final_grid(text, 16),
    lambda text: code.code_of(text, "f"),
    humaneval.body,
    lambda text: humaneval.completed("def f(x):\n", "f", text),
]


@pytest.mark.parametrize("finder", FINDERS, ids=lambda f: getattr(f, "__qualname__", ""))
def test_no_text_makes_it_slow(finder: Callable[[str], object]) -> None:
    """20,000 characters of anything repeated, alone and before an end that does not fit: no square of that."""
    for text in ADVERSARIAL:
        for end in ("", "!"):
            before = time.process_time()  # of this process alone: others may keep the machine busy
            finder(text + end)
            assert time.process_time() - before < 1.0, (text[:20], end)
