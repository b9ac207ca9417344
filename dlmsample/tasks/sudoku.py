"""Sudoku of 4 x 4 cells as a string of digits (d1, arXiv:2504.12216)."""

from __future__ import annotations

import re
from math import isqrt

from dlmsample.tasks.answers.marks import answer_tag, last_boxed
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Row

_PROMPT = """Please solve the following 4x4 Sudoku puzzle. The puzzle is provided as a 16-character string reading \
left-to-right, top-to-bottom, where '0' represents empty cells.

Rules:
- Fill empty cells with digits 1-4
- Each row must contain digits 1-4 exactly once
- Each column must contain digits 1-4 exactly once
- Each 2x2 box must contain digits 1-4 exactly once

Important: Your solution must be a COMPLETE 16-character string with only the digits 1-4, representing your final \
solved grid.

Respond in this exact format:
<reasoning>
Your step-by-step solving process
</reasoning>
<answer>
[16-character solution string with no spaces or separators]
</answer>"""
_SEPARATORS = re.compile(r"[\s|,+\-\[\]]++")
_DIGITS = re.compile(r"[0-9]++")


def final_grid(text: str, cells: int) -> str | None:
    r"""The grid of ``cells`` digits that a text ends with; None: there is none.

    In this order: the last ``<answer>`` and the last ``\boxed{}``, if without spaces and separators it is that many
    digits; the last run of exactly that many digits anywhere.

    Example:
        >>> final_grid("<answer>\n12 34\n34 12\n21 43\n43 21\n</answer>", 16), final_grid("so 1234341221434321.", 16)
        ('1234341221434321', '1234341221434321')
    """
    for part in (answer_tag(text), last_boxed(text)):
        plain = _SEPARATORS.sub("", part or "")
        if len(plain) == cells and _DIGITS.fullmatch(plain):
            return plain
    return next((run for run in reversed(_DIGITS.findall(text)) if len(run) == cells), None)


def solves(grid: str, puzzle: str) -> bool:
    """Whether every row, column and box holds each digit once and every given cell is kept.

    Example:
        >>> solves("3142243142131324", "3102200002100320"), solves("3142243142131342", "3102200002100320")
        (True, False)
    """
    side = isqrt(len(puzzle))
    box = isqrt(side)
    if len(grid) != len(puzzle) or any(given not in ("0", cell) for given, cell in zip(puzzle, grid, strict=True)):
        return False
    rows = [range(r * side, r * side + side) for r in range(side)]
    columns = [range(c, side * side, side) for c in range(side)]
    boxes = [
        [(r + i) * side + c + j for i in range(box) for j in range(box)]
        for r in range(0, side, box)
        for c in range(0, side, box)
    ]
    digits = [str(d) for d in range(1, side + 1)]
    return all(sorted(grid[i] for i in unit) == digits for unit in (*rows, *columns, *boxes))


class Sudoku(Benchmark):
    """4 x 4 Sudoku: 500 puzzles.

    Prompt: zero-shot, d1's. Scorer: the grid that the text ends with (see ``final_grid``) is a complete, valid solution
    that keeps the given cells. d1 reports the share of empty cells filled rightly instead: not comparable.

    Example:
        >>> solves("3142243142131324", "3102200002100320")
        True
    """

    name = "sudoku"
    splits = ("test",)
    source = "dllm-reasoning/d1, Apache-2.0"
    scorer = "valid grid that keeps the given cells"
    files = {"test": ("4x4_test_sudoku.csv",)}
    needs = (("Puzzle",), ("Solution",))

    def build(self, row: Row) -> Example:
        """Puzzle, solution, the solution in its tags; ``meta`` holds the puzzle."""
        prompt = f"{_PROMPT}\n\nSolve the following Sudoku puzzle: {row['Puzzle']}\n"
        reference = f"<answer>\n{row['Solution']}\n</answer>"
        return Example(prompt, row["Solution"], reference, {"puzzle": row["Puzzle"]})

    def score(self, example: Example, text: str) -> Score:
        """A valid solution of ``example.meta["puzzle"]``."""
        puzzle = example.meta["puzzle"]
        found = final_grid(text, len(puzzle))
        return Score(found is not None and solves(found, puzzle), found)
