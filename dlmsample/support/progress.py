"""A progress bar on standard error, and only when that is a terminal."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self


class Progress:
    """Counts finished prompts and blocks; does nothing when switched off or not on a terminal.

    Args:
        total: prompts.
        wanted: whether to show anything.
        label: what is being done.
        unit: what a tick is one of.
    """

    def __init__(self, total: int, wanted: bool, label: str = "decoding", unit: str = "forwards") -> None:
        self._bar: Any = None
        self._total, self._ticks, self._label, self._unit = total, 0, label, unit
        self._wanted = wanted and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._wanted:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn(self._label),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeElapsedColumn(),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, detail=f"0 {self._unit}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tick(self, finished: int) -> None:
        """One forward was made (or whatever the unit is); so many prompts finished in it."""
        if self._bar is not None:
            self._ticks += 1
            self._bar.update(self._task, advance=finished, detail=f"{self._ticks} {self._unit}")


def shown(
    total: int, wanted: bool, label: str = "decoding", unit: str = "forwards"
) -> AbstractContextManager[Progress | None]:
    """A bar to tick, or None where none is wanted or there is no terminal; see :class:`Progress`."""
    return Progress(total, wanted, label, unit) if wanted and sys.stderr.isatty() else nullcontext()
