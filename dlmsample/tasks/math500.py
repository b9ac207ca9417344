"""MATH-500: competition problems (Hendrycks et al. 2021, arXiv:2103.03874; Lightman et al. 2023, arXiv:2305.20050)."""

from __future__ import annotations

from dlmsample.tasks import math_judge
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Hub, Row
from dlmsample.tasks.extract import answer_tag, last_boxed
from dlmsample.tasks.prompts import BOXED_MATH

_TAIL = 2000
"""Characters of a text without any mark that are searched for an answer; a longer marked answer is none."""


def final_expression(text: str) -> str | None:
    r"""The last ``\boxed{}``, else the last ``<answer>``; None: neither.

    Example:
        >>> final_expression(r"so $x = \boxed{\frac{1}{2}}$."), final_expression("<answer>2</answer>")
        ('\\frac{1}{2}', '2')
    """
    return last_boxed(text) or answer_tag(text) or None


class Math500(Benchmark):
    r"""MATH-500: 500 competition problems of five levels, with answers in LaTeX.

    Prompt: zero-shot, as d1 (arXiv:2504.12216) for LLaDA-8B-Instruct, without its opened ``<reasoning>``. Answer: the
    last ``\boxed{}``, else the last ``<answer>``, else what math-verify finds in the last 2,000 characters; equivalence
    is math-verify's (extra ``tasks``), run in a process of its own with limits on time and memory, because sympy on
    a model's text may never return: an answer that cannot be decided in time is wrong. D3IM/SCOPE (arXiv:2606.01026)
    prints 18.8, 21.6 and 22.4 % for LLaDA-8B-Instruct at 64, 128 and 256 steps, zero-shot and sympy-verified, with a
    prompt that it does not print.

    Example:
        >>> final_expression("Thus \\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}.")
        '\\left( 3, \\frac{\\pi}{2} \\right)'
    """

    name = "math500"
    splits = ("test",)
    source = "openai/prm800k, MIT"
    scorer = "math-verify, from \\boxed{} or the end"
    files = {"test": ("test.jsonl", "math500.jsonl")}
    needs = (("problem",), ("answer",), ("solution",))
    hub = Hub("HuggingFaceH4/MATH-500", {"test": "test"})

    def prepare(self) -> None:
        """Errors: ValueError: math-verify is not installed."""
        math_judge.check()

    def build(self, row: Row) -> Example:
        """Problem, answer in LaTeX, published solution; ``meta`` holds subject and level."""
        meta = {key: row[key] for key in ("subject", "level", "unique_id") if key in row}
        return Example(f"{BOXED_MATH}\n\n{row['problem']}", str(row["answer"]), row["solution"], meta)

    def score(self, example: Example, text: str) -> Score:
        """Equivalent to the gold answer. Errors: ValueError: math-verify is not installed."""
        found = final_expression(text)
        if found is not None and len(found) > _TAIL:
            return Score(False, found[:_TAIL])
        said = text[-_TAIL:] if found is None else f"${found.strip('$')}$"
        verdict = math_judge.equivalent(f"${example.answer}$", said)
        return Score(verdict.same, found if found is not None else verdict.parsed)
