"""MATH-500: competition problems (Hendrycks et al. 2021, arXiv:2103.03874; Lightman et al. 2023, arXiv:2305.20050)."""

from __future__ import annotations

import re

from dlmsample.tasks import equivalence
from dlmsample.tasks.answers.bases import based, in_decimal, last_based
from dlmsample.tasks.answers.marks import marked_answer
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Hub, Row
from dlmsample.tasks.prompts import BOXED_MATH

_TAIL = 2000
"""Characters of a text without any mark that are searched for an answer; a longer marked answer is none."""


_LABEL = re.compile(
    r"(?P<text>\\text(?:bf)?\s?\{\s?)?(?:the\s)?(?:final\s)?answer(?:\sis\b\s?:?|\s?:)\s?(?P<closed>\})?", re.IGNORECASE
)
_BOLD = re.compile(r"(?<![\w)}*])\*\*(?=\S)([^*\n]{1,200})(?<=\S)\*\*(?![\w(*])")


def final_expression(text: str) -> str | None:
    r"""The last ``<answer>`` (its box, if it has one), else the last ``\boxed{}``, without what only dresses it up.

    None: there is neither.

    Example:
        >>> final_expression(r"so $x = \boxed{\frac{1}{2}}$."), final_expression(r"<answer>\[ **2** \]</answer>")
        ('\\frac{1}{2}', '2')
        >>> final_expression(r"\boxed{\text{Answer: }5}")
        '5'
    """
    marked = marked_answer(text)
    return None if marked is None else undressed(marked) or None


def undressed(marked: str) -> str:
    r"""Without the delimiters of formulas around it, bold type, and a word such as "Answer:" before it.

    Example:
        >>> undressed(r"**Answer:** \( x + 1 \)."), undressed(r"$$5$$"), undressed("2**3")
        ('x + 1', '5', '2**3')
    """
    said = marked.strip()
    for _ in range(4):
        before = said
        said = _BOLD.sub(r"\1", said).strip().removesuffix(".").strip()
        if label := _LABEL.match(said):
            said = said[label.end() :].strip()
            said = said.removesuffix("}") if label["text"] and not label["closed"] else said
        for opening, closing in (("\\[", "\\]"), ("\\(", "\\)"), ("$$", "$$"), ("$", "$")):
            inner = said.removeprefix(opening).removesuffix(closing)
            if len(inner) == len(said) - len(opening + closing) and opening not in inner:
                said = inner.strip()
        if said == before:
            break
    return said


class Math500(Benchmark):
    r"""MATH-500: 500 competition problems of five levels, with answers in LaTeX.

    Prompt: zero-shot, as d1 (arXiv:2504.12216) for LLaDA-8B-Instruct, without its opened ``<reasoning>``. Answer: the
    last ``<answer>``, else the last ``\boxed{}``, else what math-verify finds in the last 2,000 characters; equivalence
    is math-verify's (extra ``tasks``), run in a process of its own with limits on time and memory, because sympy on
    a model's text may never return: an answer that cannot be decided in time is wrong. Two things that math-verify does
    not tell apart are told apart here: numbers in other bases (``based``), and numbers that differ by less than its
    absolute precision, such as 2^-99 and 2^-98. D3IM/SCOPE (arXiv:2606.01026) prints 18.8, 21.6 and 22.4 % for
    LLaDA-8B-Instruct at 64, 128 and 256 steps, zero-shot and sympy-verified, with a prompt that it does not print.

    Example:
        >>> final_expression("Thus \\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}.")
        '\\left( 3, \\frac{\\pi}{2} \\right)'
    """

    name = "math500"
    splits = ("test",)
    source = "openai/prm800k, MIT"
    scorer = "math-verify, from <answer>, \\boxed{} or the end"
    files = {"test": ("test.jsonl", "math500.jsonl")}
    needs = (("problem",), ("answer",), ("solution",))
    hub = Hub("HuggingFaceH4/MATH-500", {"test": "test"})

    def prepare(self) -> None:
        """Raises: ValueError: math-verify is not installed."""
        equivalence.check()

    def build(self, row: Row) -> Example:
        """Problem, answer in LaTeX, published solution; ``meta`` holds subject and level."""
        meta = {key: row[key] for key in ("subject", "level", "unique_id") if key in row}
        return Example(f"{BOXED_MATH}\n\n{row['problem']}", str(row["answer"]), row["solution"], meta)

    def score(self, example: Example, text: str) -> Score:
        """Equivalent to the gold answer. Raises: ValueError: math-verify is not installed."""
        found = final_expression(text)
        if found is not None and len(found) > _TAIL:
            return Score(False, found[:_TAIL])
        if (gold := based(example.answer)) is not None:
            said = last_based(text[-_TAIL:]) if found is None else based(found.rpartition("=")[2])
            return Score(gold == said, found)
        said = _BOLD.sub(r"\1", text[-_TAIL:]) if found is None else _formula(found)
        verdict = equivalence.equivalent(f"${example.answer}$", said)
        return Score(verdict.same, found if found is not None else verdict.parsed)


def _formula(said: str) -> str:
    """Between dollar signs, unless it is text with formulas in it; a number of another base in decimal digits."""
    number = based(said)
    if number is not None:
        return f"${value}$" if (value := in_decimal(*number)) is not None else ""
    return said if re.search(r"(?<!\\)\$|\\\(|\\\[", said) else f"${said}$"
