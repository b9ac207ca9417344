"""CMATH: Chinese elementary-school word problems (Wei et al. 2023, arXiv:2306.16636)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Folder, Hub, Row, pick

_PROMPT = "{question}\n请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。"

_NUMBER = re.compile(r"[0-9]++(?:[./][0-9]*+)?+%?")
_JOINED = re.compile(r"(?<=[0-9])[, ](?=[0-9])")
_FRACTION = re.compile(r"\\frac\{([^{}]++)\}\{([^{}]++)\}")
_PARTS = re.compile(r"(?<![0-9])([0-9]++)分之([0-9]++)")
_BEFORE = re.compile(r"[一-龥$:：，＝≈=>{]")  # the published class reads "=->", a range without the minus
_BEFORE_LAST = re.compile(r"[一-龥$:：，＝≈=\->]")
_AFTER_FIRST = re.compile(r" ?[一-龥,，。°℃$]")
_AFTER = re.compile(r" ?(?:[一-龥,，。°℃$}（]|\([^0-9\s]|\.\Z)")


def candidates(text: str) -> list[str]:
    r"""The numbers in the text that may be its answer by the official rule, line by line, in its order.

    Such a number stands between a Chinese character or one of a few signs and such a sign, a Chinese character or
    the line's end. ``\frac{a}{b}`` and "b分之a" are a/b. Commas and spaces between digits are dropped first.

    Example:
        >>> candidates("99 - 90 = 9（页）\n答：还剩 9 页没有看。"), candidates(r"$\boxed{\frac{2}{6}}$")
        (['9', '9'], ['2/6'])
    """
    plain = _JOINED.sub("", _FRACTION.sub(r"\1/\2", text))
    return [number for line in re.split(r"\r?\n", plain) for number in _of_line(line)]


def _of_line(line: str) -> list[str]:
    """The official order in a line: at its start, within, "分之" fractions, at its end, the whole line."""
    start: list[str] = []
    within: list[str] = []
    end: list[str] = []
    whole: list[str] = []
    taken = 0  # up to here the numbers within have used up their right neighbours
    for found in _NUMBER.finditer(line):
        number, left, right = found[0], found.start(), found.end()
        space = left > 0 and line[left - 1] == " "
        sign = left - 1 - space
        if left == 0 and right == len(line):
            whole.append(number)
        elif left == 0 and _AFTER_FIRST.match(line, right):
            start.append(number)
        if sign < 0:
            continue
        if right == len(line) and _BEFORE_LAST.match(line, sign):
            end.append(number)
        if _BEFORE.match(line, sign) and left - space >= taken:
            if number.endswith(".") and right == len(line):  # the full stop is the number's own, and its neighbour
                number, right = number[:-1], right - 1
            after = _AFTER.match(line, right)
            if after:
                within.append(number)
                taken = after.end()
    parts = [f"{b}/{a}" for a, b in _PARTS.findall(line)]
    return [n for n in (*start, *within, *parts, *end, *whole) if not n.endswith("/")]


def value(number: str) -> float | int:
    """The value of a candidate; percent are hundredths. Raises: ValueError: none, or division by zero.

    Example:
        >>> value("12%"), value("1/8"), value("48.10"), value("7")
        (0.12, 0.125, 48.1, 7)
    """
    if len(number) > 100:
        raise ValueError("too long")
    if number.endswith("%"):
        return float(number[:-1]) / 100
    top, slash, bottom = number.partition("/")
    if slash:
        if float(bottom) == 0:
            raise ValueError("division by zero")
        return float(top) / float(bottom)
    return float(number) if "." in number else int(number)


def close(first: str, second: str) -> bool:
    """The official comparison: integers exactly, anything else within 1 % of the smaller.

    Example:
        >>> close("9", "9"), close("9", "9.05"), close("100", "101"), close("25%", "1/4")
        (True, True, False, True)
    """
    try:
        a, b = value(first), value(second)
    except ValueError:
        return False
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return abs(a - b) / (min(abs(a), abs(b)) + 1e-6) < 1e-2


class CMath(Benchmark):
    r"""CMATH: Chinese word problems of grades 1 to 6.

    Prompt: zero-shot, DeepSeekMath's published one for Chinese questions (arXiv:2402.03300). Scorer: the official rule
    (XiaoMi/cmath): the last two candidate numbers of the text (see ``candidates``), and either may match, integers
    exactly and others within 1 %. ``strict`` counts only the very last one. Splits: 600 public problems (``valid``),
    and 1,098 ``test`` problems on the hub; without a file of its own, ``test`` reads the 600 (``origin`` says so);
    ``distractor`` holds problems with irrelevant facts. T2M (arXiv:2604.18738) prints 82.33 -> 88.25 % for
    LLaDA2.1-mini, on the 1,098 and with a prompt that it does not print.

    Example:
        >>> candidates("所以还剩 \\boxed{9} 页。")
        ['9']
    """

    name = "cmath"
    splits = ("valid", "test", "distractor")
    source = "XiaoMi/cmath, CC BY 4.0"
    scorer = "official: either of the last two numbers"
    files = {
        "valid": ("cmath_dev.jsonl",),
        "test": ("cmath_test.jsonl", "test.jsonl", "cmath_dev.jsonl"),
        "distractor": ("distractor.jsonl",),
    }
    needs = (("input", "question"), ("golden",))
    hub = Hub("weitianwen/cmath", {"valid": "validation", "test": "test"})

    def __init__(
        self, split: str = "test", limit: int | None = None, *, data_dir: Folder | None = None, strict: bool = False
    ) -> None:
        if not isinstance(strict, bool):
            raise ValueError(f"option strict of task cmath must be true or false, got {strict!r}")
        self.strict = strict
        super().__init__(split, limit, data_dir=data_dir)

    def build(self, row: Row) -> Example:
        """Question and gold number; there is no worked solution. ``meta`` holds the grade."""
        meta = {key: row[key] for key in ("grade", "reasoning_step", "num_digits", "distractor") if key in row}
        answer = str(row["golden"])
        prompt = _PROMPT.replace("{question}", pick(row, "input", "question"))
        return Example(prompt, answer, f"答案是\\boxed{{{answer}}}。", meta)

    def score(self, example: Example, text: str) -> Score:
        """Either of the last two candidates matches; the extracted one is the match, else the last."""
        last = candidates(text)[-1 if self.strict else -2 :]
        match = next(self._matches(example, last), None)
        return Score(match is not None, match or (last[-1] if last else None))

    def _matches(self, example: Example, found: list[str]) -> Iterator[str]:
        return (number for number in reversed(found) if close(example.answer, number))
