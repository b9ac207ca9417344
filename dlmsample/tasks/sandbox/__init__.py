"""Running and judging a program that nobody has read, on Linux.

``run`` confines it: no network, no files but its own, few processes, little memory. ``judge`` puts it to tests: the
program runs in one such process and the tests in another. They exchange data alone, so the program cannot change its
verdict.
"""

from dlmsample.tasks.sandbox.parent import Run, check, judge, run
from dlmsample.tasks.sandbox.process import Limits, SandboxError

__all__ = ["Limits", "Run", "SandboxError", "check", "judge", "run"]
