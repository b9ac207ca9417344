"""Grade-school word problems: a seeded generator with disjoint splits, gold chains, and a scorer."""

from dlmsample.tasks.wordproblems.story import SPLITS, draw_plan, plan_key, split_of
from dlmsample.tasks.wordproblems.task import WordProblems, problem, texts

__all__ = ["SPLITS", "WordProblems", "draw_plan", "plan_key", "problem", "split_of", "texts"]
