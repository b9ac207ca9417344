"""GSM8K: grade-school word problems with one number as the answer (Cobbe et al. 2021, arXiv:2110.14168)."""

from __future__ import annotations

import re

from dlmsample.tasks.answers.marks import last_boxed, marked_answer
from dlmsample.tasks.answers.quantity import LONGEST, last_quantity, quantity, same_number
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Hub, Row
from dlmsample.tasks.prompts import BOXED_MATH

_DIGIT = re.compile("[0-9]")
# The number right after the mark, with what may dress it; a number that a full stop and a word follow counts steps.
_AFTER_HASHES = re.compile(
    r"(?<!#)####(?!#)(?:[\s*_:$€£(]|\\[(\[$])*+"
    r"((?:[-\u2212+]\s?)?(?:\\?\$)?(?:\.?[0-9](?!\d{0,2}[.):]\s++[A-Za-z])|\\(?:[dtc]?frac|sqrt|boxed|text|mathbf))[^\n]{0,100})"
)


def gold_answer(solution: str) -> str:
    """The number after ``####`` of a published solution, without commas.

    Example:
        >>> gold_answer("She makes 9 * 2 = $<<9*2=18>>18.\\n#### 1,018")
        '1018'
    """
    return solution.rpartition("####")[2].strip().replace(",", "")


def final_number(text: str) -> str | None:
    r"""The number that a text gives as its answer, by its exact value; None: it gives none.

    In this order: the last ``<answer>`` (the prompt asks for it), the last ``\boxed{}``, the number right after the
    first ``####``, the last number of the text ("flexible extraction"). A box or tag with a digit in it decides: where
    it has no value (``2\pi``), the text gives none. ``#### 1. Add`` and ``#### Step 1`` are headings.

    Example:
        >>> final_number(r"3 + 4 = 7, so \boxed{\$7} in 2 days"), final_number("#### 7 (of 9)"), final_number("7 of 9.")
        ('7', '7', '9')
        >>> final_number(r"<answer>\boxed{\frac{36}{2}}</answer> of 36"), final_number("#### Step 1\nIt is 18.")
        ('18', '18')
    """
    for marked in (marked_answer(text), last_boxed(text)):
        if marked is not None and _DIGIT.search(marked):
            return quantity(marked) if len(marked) <= LONGEST else last_quantity(marked)
    found = (quantity(mark[1]) for mark in _AFTER_HASHES.finditer(text))
    return next((number for number in found if number is not None), None) or last_quantity(text)


class GSM8K(Benchmark):
    r"""GSM8K: 1,319 test and 7,473 train problems of two to eight steps.

    Prompt: zero-shot, the one with which LLaDA-8B-Instruct is evaluated in d1 (arXiv:2504.12216), without its opened
    ``<reasoning>``. Answer: see ``final_number``; it counts when it has exactly the gold number's value, so 18.00
    is 18 (the official rule compares the strings after ``####``). D3IM/SCOPE (arXiv:2606.01026) prints 55.3, 58.4 and
    59.5 % for LLaDA-8B-Instruct at 64, 128 and 256 steps, with 8 shots: not comparable with this prompt.

    Example:
        >>> final_number("The final answer is \\boxed{18}.")
        '18'
    """

    name = "gsm8k"
    splits = ("train", "test")
    source = "openai/grade-school-math, MIT"
    scorer = "same number, from <answer>, \\boxed{}, #### or the end"
    files = {"train": ("train.jsonl", "train.jsonl.gz"), "test": ("test.jsonl", "test.jsonl.gz")}
    needs = (("question",), ("answer",))
    hub = Hub("openai/gsm8k", {"train": "train", "test": "test"}, "main")

    def build(self, row: Row) -> Example:
        """Question, the number after ``####``, the published solution."""
        return Example(f"{BOXED_MATH}\n\n{row['question']}", gold_answer(row["answer"]), row["answer"])

    def score(self, example: Example, text: str) -> Score:
        """Equal in value to the gold number."""
        found = final_number(text)
        return Score(same_number(found, example.answer), found)
