"""The bar of a run, on standard error and only when that is a terminal: cells, examples a second, time left."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import TracebackType
from typing import Any, Self


class GridProgress:
    """Counts examples and cells; does nothing when switched off or not on a terminal.

    Args:
        examples: that are to be run.
        cells: of the grid.
        done: cells that are complete already.
        wanted: whether to show anything.
    """

    def __init__(self, examples: int, cells: int, done: int, wanted: bool) -> None:
        self._bar: Any = None
        self._examples, self._cells, self._done = examples, cells, done
        self._wanted = wanted and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._wanted:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (
                TextColumn("cells {task.fields[cells]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("examples{task.fields[pace]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=120)
            self._bar.start()
            self._task = self._bar.add_task("run", total=self._examples, cells=self._said(), pace="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, examples: int, cells: int) -> None:
        """So many more examples are stored (or given up), so many more cells are over."""
        self._done += cells
        if self._bar is None:
            return
        self._bar.update(self._task, advance=examples, cells=self._said())
        speed, left = self._bar.tasks[0].speed, self._bar.tasks[0].time_remaining
        if speed is not None and left is not None:
            self._bar.update(self._task, pace=f", {speed:.1f} a second, {timedelta(seconds=int(left))} left")

    def _said(self) -> str:
        return f"{self._done}/{self._cells}"
