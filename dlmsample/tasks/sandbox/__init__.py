"""Running a program that nobody has read, on Linux: no network, no files but its own, few processes, little memory."""

from dlmsample.tasks.sandbox.parent import Limits, Run, SandboxError, check, run

__all__ = ["Limits", "Run", "SandboxError", "check", "run"]
