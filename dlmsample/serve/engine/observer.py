"""What the engine reports for statistics; called on its thread."""

from __future__ import annotations

from dlmsample.types import Answer


class Observer:
    """Hears nothing; a subclass counts."""

    def joined(self, waited: float) -> None:
        """A job has a place in a batch, after so many seconds."""

    def forward(self, rows: int) -> None:
        """A forward of so many rows was made."""

    def completed(self, answer: Answer, took: float) -> None:
        """An answer is complete, so many seconds after it was asked for."""

    def cancelled(self, count: int) -> None:
        """So many jobs left before they were done."""
