"""GSM8K: grade-school word problems with one number as the answer (Cobbe et al. 2021, arXiv:2110.14168)."""

from __future__ import annotations

from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Hub, Row
from dlmsample.tasks.extract import last_boxed, last_number, numbers, same_number
from dlmsample.tasks.prompts import BOXED_MATH


def gold_answer(solution: str) -> str:
    """The number after ``####`` of a published solution, without commas.

    Example:
        >>> gold_answer("She makes 9 * 2 = $<<9*2=18>>18.\\n#### 1,018")
        '1018'
    """
    return solution.rpartition("####")[2].strip().replace(",", "")


def final_number(text: str) -> str | None:
    r"""The number that a text gives as its answer; None: it has no number.

    In this order: the first number in the last ``\boxed{}`` (after its last equals sign), the number after the first
    ``####``, the last number of the text ("flexible extraction").

    Example:
        >>> final_number(r"3 + 4 = 7, so \boxed{\$7} in 2 days"), final_number("#### 7 (of 9)"), final_number("7 of 9.")
        ('7', '7', '9')
    """
    box = last_boxed(text)
    if box is not None:
        found = next(numbers(box.rpartition("=")[2]), None)
        if found is not None:
            return found
    _, marked, rest = text.partition("####")
    return (next(numbers(rest.lstrip().partition("\n")[0]), None) if marked else None) or last_number(text)


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
    scorer = "same number, from \\boxed{}, #### or the end"
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
