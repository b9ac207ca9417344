"""Short questions in much freer wording than ``wordproblems.short``: training data for a further stage of nano."""

from dlmsample.tasks.wordproblems.free.task import FreeProblems, problem

__all__ = ["FreeProblems", "problem"]
