"""Countdown: reach a target with given numbers and + - * / (d1, arXiv:2504.12216)."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from dlmsample.tasks.answers.marks import marked_answer
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Row
from dlmsample.tasks.prompts import FORMAT

_PROMPT = (
    "Using only the provided numbers, create an arithmetic expression that evaluates to exactly the provided target "
    "number. You may use the operations +, -, *, and / as needed, but each number must be used exactly once. Think "
    "step-by-step. After reasoning, provide only your final expression inside \\boxed{} tags without including an "
    "equals sign or the target number. For example: \\boxed{a + b * c}" + FORMAT
)
_LONGEST = 200
_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SIGNS = {
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "\\left": "",
    "\\right": "",
}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]++)\}\{([^{}]++)\}")
_ALLOWED = re.compile(r"[0-9+\-*/(). ]++")


def final_expression(text: str) -> str | None:
    r"""The expression that a text gives, in plain signs: of its last ``<answer>``, else of its last ``\boxed{}``.

    What follows an equals sign is dropped. None: there is neither.

    Example:
        >>> final_expression(r"\boxed{\frac{8}{2} \times (3 - 1) = 8}"), final_expression("<answer>\n1+2\n</answer>")
        ('(8)/(2) * (3 - 1)', '1+2')
    """
    found = marked_answer(text)
    if not found:
        return None
    plain = _FRACTION.sub(r"(\1)/(\2)", found.strip("$ \n").partition("=")[0])
    return " ".join(_SIGN.sub(lambda sign: _SIGNS[sign[0]], plain).split())


def evaluate(expression: str) -> tuple[Fraction, list[int]]:
    """The exact value of an expression and the integers in it, sorted.

    Raises: ValueError for anything but integers, ``+ - * /``, a sign, brackets; for more than 200 characters; for a
    division by zero.

    Example:
        >>> evaluate("(8/2) * (3 - 1)")
        (Fraction(8, 1), [1, 2, 3, 8])
    """
    if len(expression) > _LONGEST or not _ALLOWED.fullmatch(expression):
        raise ValueError("no expression of numbers, + - * / and brackets")
    used: list[int] = []
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, used), sorted(used)
    except (SyntaxError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise ValueError(f"no value: {error}") from error


def _value(node: ast.expr, used: list[int]) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, used), _value(node.right, used))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand, used)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return Fraction(node.value)
    raise ValueError("only integers, + - * / and brackets")


def solve(numbers: Sequence[int], target: int) -> str | None:
    """An expression that uses each number once and has the target's value; None: there is none.

    Example:
        >>> solve([30, 100, 93], 23)
        '93 + (30 - 100)'
    """
    found = next((text for value, text in _all([(Fraction(n), str(n)) for n in numbers]) if value == target), None)
    return found[1:-1] if found and found.startswith("(") else found


def _all(terms: list[tuple[Fraction, str]]) -> Iterator[tuple[Fraction, str]]:
    if len(terms) == 1:
        yield terms[0]
        return
    for i, j in combinations(range(len(terms)), 2):
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        for (a, left), (b, right) in ((terms[i], terms[j]), (terms[j], terms[i])):
            yield from _all([*rest, (a + b, f"({left} + {right})")])
            yield from _all([*rest, (a - b, f"({left} - {right})")])
            yield from _all([*rest, (a * b, f"({left} * {right})")])
            if b:
                yield from _all([*rest, (a / b, f"({left} / {right})")])


class Countdown(Benchmark):
    r"""Countdown with three numbers: 256 problems.

    Prompt: zero-shot, d1's, without its opened ``<reasoning>``. Scorer: the final expression (see ``final_expression``)
    uses every number exactly once and nothing else, and its exact value (fractions, no floats) is the target.

    Example:
        >>> evaluate("49 + 55 - 53")
        (Fraction(51, 1), [49, 53, 55])
    """

    name = "countdown"
    splits = ("test",)
    source = "dllm-reasoning/d1, Apache-2.0"
    scorer = "exact value, each number once"
    files = {"test": ("countdown_cd3_test.jsonl", "test.jsonl")}
    needs = (("input",), ("output",))

    def build(self, row: Row) -> Example:
        """Numbers and target, the target, a solution in a box; ``meta`` holds both as integers."""
        numbers, target = [int(n) for n in str(row["input"]).split(",")], int(row["output"])
        prompt = f"{_PROMPT}\n\nNumbers: {numbers}\nTarget: {target}"
        meta = {"numbers": numbers, "target": target}
        return Example(prompt, str(target), f"\\boxed{{{solve(numbers, target)}}}", meta)

    def score(self, example: Example, text: str) -> Score:
        """The final expression reaches the target with all the numbers of ``example.meta``."""
        found = final_expression(text)
        try:
            value, used = evaluate(found or "")
        except ValueError:
            return Score(False, found)
        return Score(value == int(example.answer) and used == sorted(example.meta["numbers"]), found)
