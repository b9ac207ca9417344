"""The long problems asked for with every step said alike: the same problems, answered without a choice of words."""

from __future__ import annotations

from dataclasses import replace

from dlmsample.tasks.base import Example
from dlmsample.tasks.wordproblems.task import WordProblems
from dlmsample.tasks.wordproblems.task import problem as worded_freely

CUE = "Write every step the same way."
"""What the prompt ends with, so that a model knows which wording is wanted."""


def problem(split: str, index: int, seed: int = 0, min_steps: int = 5, max_steps: int = 8) -> Example:
    """The word problem of that number with :data:`CUE` behind its question, and each step in the first of its forms.

    Plan, story, numbers and answer are those of ``wordproblems`` under the same arguments: what a model loses there and
    not here is lost to the choice between wordings, not to arithmetic.

    Example:
        >>> free, plain = worded_freely("test", 0), problem("test", 0)
        >>> plain.prompt == f"{free.prompt} {CUE}", plain.answer == free.answer
        (True, True)
    """
    example = worded_freely(split, index, seed, min_steps, max_steps, free_wording=False)
    return replace(example, prompt=f"{example.prompt} {CUE}")


class PlainProblems(WordProblems):
    """The problems of ``wordproblems``, number by number, asked for with one fixed wording a step.

    Example:
        >>> PlainProblems("test", 1)[0].prompt.endswith(CUE)
        True
    """

    name = "wordproblems.plain"

    def __init__(
        self, split: str = "test", limit: int | None = None, *, seed: int = 0, min_steps: int = 5, max_steps: int = 8
    ) -> None:
        super().__init__(split, limit, seed=seed, min_steps=min_steps, max_steps=max_steps, free_wording=False)

    def example(self, index: int) -> Example:
        """The problem at ``index``."""
        return problem(self.split, index, self.seed, self.min_steps, self.max_steps)
