"""Short questions in free wording: a generator, and 200 held-out questions written by hand."""

from dlmsample.tasks.wordproblems.short.task import ShortProblems, key, problem, questions, split_of_text

__all__ = ["ShortProblems", "key", "problem", "questions", "split_of_text"]
