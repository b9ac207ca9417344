"""How a run goes, on standard error: cells, examples a second, time left; a bar on a terminal, else a line at times."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

#: Seconds between two lines in a pipe: after a finished cell, and without one.
PAUSE, LONG = 10.0, 60.0


class GridProgress:
    """Counts examples and cells; does nothing when switched off.

    In a pipe a line tells of finished cells, one in :data:`PAUSE` seconds at most, and in a long cell one in
    :data:`LONG` seconds; a run that is over before that says nothing.

    Args:
        examples: that are to be run.
        cells: of the grid.
        done: cells that are complete already.
        wanted: whether to show anything.
    """

    def __init__(self, examples: int, cells: int, done: int, wanted: bool) -> None:
        self._bar: Any = None
        self._examples, self._cells, self._done = examples, cells, done
        self._wanted, self._ran = wanted, 0
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        if self._wanted and sys.stderr.isatty():
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
        self._ran += examples
        if self._bar is None:
            if self._wanted:
                self._tell(cells)
            return
        self._bar.update(self._task, advance=examples, cells=self._said())
        speed, left = self._bar.tasks[0].speed, self._bar.tasks[0].time_remaining
        if speed is not None and left is not None:
            self._bar.update(self._task, pace=f", {speed:.1f} a second, {timedelta(seconds=int(left))} left")

    def _tell(self, cells: int) -> None:
        now = time.monotonic()
        if now - self._told < (PAUSE if cells else LONG):
            return
        self._told, spent = now, now - self._began
        left = timedelta(seconds=int(spent / max(self._ran, 1) * (self._examples - self._ran)))
        pace = f"{self._ran / spent:.1f} a second, {left} left"
        sys.stderr.write(f"cells {self._said()}, examples {self._ran}/{self._examples}, {pace}\n")
        sys.stderr.flush()

    def _said(self) -> str:
        return f"{self._done}/{self._cells}"
