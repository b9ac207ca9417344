"""The word-problem task: the seeded generator and the scorer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from random import Random

from dlmsample.tasks.base import Example, Score, Task
from dlmsample.tasks.wordproblems.story import SPLITS, draw_in_split
from dlmsample.tasks.wordproblems.wording import render

STEPS = (2, 8)
"""The smallest and largest number of arithmetic steps."""

_LENGTHS = {"train": 10_000_000, "valid": 1000, "test": 1000}
_FINAL = re.compile(r"####\s*(-?\$?|\$-)\s?([0-9]++(?:,[0-9]{3})*+)(?![.,]?[0-9])")


def problem(
    split: str, index: int, seed: int = 0, min_steps: int = 5, max_steps: int = 8, free_wording: bool = True
) -> Example:
    """The word problem at ``index`` (any integer) of ``split``: a pure function of its arguments, everywhere.

    The number of steps is uniform from ``min_steps`` to ``max_steps``. Plans are drawn until one falls into
    the split (see ``story.split_of``), then put into words. Each step of the reference is worded in one of
    several ways (``forms.STEPS``), drawn by a stream of its own, or always in the first
    (``free_wording=False``); prompt and answer stay the same. ``meta`` holds ``steps``. Raises: ValueError for
    an unknown split or steps outside 2 <= min_steps <= max_steps <= 8.

    Example:
        >>> ex = problem("test", 0, min_steps=2, max_steps=2)
        >>> ex == problem("test", 0, min_steps=2, max_steps=2), ex.meta["steps"]
        (True, 2)
    """
    _check(split, min_steps, max_steps)
    name = f"wordproblems/{split}/{index}/{seed}/{min_steps}/{max_steps}"
    random = stream(name)
    steps = min_steps + int(random() * (max_steps - min_steps + 1))
    plan = draw_in_split(random, steps, split)
    prompt, reference = render(plan, random, stream(f"{name}/chain") if free_wording else lambda: 0.0)
    return Example(prompt, str(plan.result), reference, {"steps": steps})


def texts(
    split: str, count: int, seed: int = 0, min_steps: int = 2, max_steps: int = 8, free_wording: bool = True
) -> Iterator[str]:
    """Prompts and completions of the first ``count`` problems, in turn: what a tokenizer is built from.

    Example:
        >>> len(list(texts("train", 3)))
        6
    """
    for index in range(count):
        example = problem(split, index, seed, min_steps, max_steps, free_wording)
        yield example.prompt
        yield example.completion


def stream(name: str) -> Callable[[], float]:
    """Random floats in [0, 1) that depend on the name alone."""
    return Random(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")).random


def _check(split: str, min_steps: int, max_steps: int) -> None:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose from {', '.join(SPLITS)}")
    if not (STEPS[0] <= min_steps <= max_steps <= STEPS[1]):
        raise ValueError(
            f"steps must satisfy {STEPS[0]} <= min_steps <= max_steps <= {STEPS[1]};"
            f" got min_steps={min_steps!r}, max_steps={max_steps!r}"
        )


class WordProblems(Task):
    """Grade-school word problems of ``min_steps`` to ``max_steps`` steps of + - * /, generated on the fly.

    ``free_wording`` draws the sentence in which each step of the gold chain is written, so that its tokens depend on
    each other; False words every step alike: the same problems, but chains that many tokens at once do not harm.

    ``limit`` None gives 1,000 problems of valid or test, and a nominal 10,000,000 of train (which never ends;
    a larger limit is fine). No arithmetic plan of one split occurs in another. Raises: ValueError for a bad
    split or number of steps.

    Example:
        >>> task = WordProblems("valid", 2, min_steps=3, max_steps=3)
        >>> [ex.meta["steps"] for ex in task]
        [3, 3]
    """

    name = "wordproblems"
    splits = SPLITS

    def __init__(
        self,
        split: str = "test",
        limit: int | None = None,
        *,
        seed: int = 0,
        min_steps: int = 5,
        max_steps: int = 8,
        free_wording: bool = True,
    ) -> None:
        for option, given in (("seed", seed), ("min_steps", min_steps), ("max_steps", max_steps)):
            if isinstance(given, bool) or not isinstance(given, int):
                raise ValueError(f"option {option} of task wordproblems must be an integer, got {given!r}")
        super().__init__(split, limit)
        _check(split, min_steps, max_steps)
        if not isinstance(free_wording, bool):
            raise ValueError(f"option free_wording of task wordproblems must be true or false, got {free_wording!r}")
        self.seed, self.min_steps, self.max_steps, self.free_wording = seed, min_steps, max_steps, free_wording
        self._length = _LENGTHS[split] if limit is None else limit

    def __len__(self) -> int:
        return self._length

    def example(self, index: int) -> Example:
        """The problem at ``index``."""
        return problem(self.split, index, self.seed, self.min_steps, self.max_steps, self.free_wording)

    def score(self, example: Example, text: str) -> Score:
        """Compare the integer after the first ``####`` that is followed by one with the gold answer.

        Commas between thousands, a minus and a dollar sign are understood; 12.5 and 12,34 are no integers.

        Example:
            >>> task = WordProblems("test", 1)
            >>> gold = Example("", "1234", "")
            >>> task.score(gold, "So 1000 + 234 = 1234. #### $1,234")
            Score(correct=True, extracted='1234')
            >>> task.score(gold, "1234")
            Score(correct=False, extracted=None)
        """
        found = _FINAL.search(text)
        if found is None:
            return Score(False, None)
        sign, digits = found.groups()
        digits = digits.replace(",", "").lstrip("0") or "0"
        extracted = f"-{digits}" if "-" in sign and digits != "0" else digits
        return Score(extracted == example.answer, extracted)
