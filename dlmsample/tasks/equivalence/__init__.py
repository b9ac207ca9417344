"""Mathematical equivalence by math-verify, in a process of its own."""

from dlmsample.tasks.equivalence.helper import Verdict, check, equivalent

__all__ = ["Verdict", "check", "equivalent"]
