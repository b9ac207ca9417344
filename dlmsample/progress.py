"""A progress bar on standard error, and only when that is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self


class Progress:
    """Counts finished prompts and blocks; does nothing when switched off or not on a terminal.

    Args:
        total: prompts.
        wanted: whether to show anything.
    """

    def __init__(self, total: int, wanted: bool) -> None:
        self._bar: Any = None
        self._total, self._forwards = total, 0
        self._wanted = wanted and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._wanted:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("decoding"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeElapsedColumn(),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("decoding", total=self._total, detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tick(self, finished: int) -> None:
        """One forward was made; so many prompts finished in it."""
        if self._bar is not None:
            self._forwards += 1
            self._bar.update(self._task, advance=finished, detail=f"{self._forwards} forwards")
