"""Running a program that nobody has read, on Linux: no network, no files but its own, few processes, little memory."""

from dlmsample.tasks.sandbox.parent import Run, check, judge, run
from dlmsample.tasks.sandbox.process import Limits, SandboxError

__all__ = ["Limits", "Run", "SandboxError", "check", "judge", "run"]
