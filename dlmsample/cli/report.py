"""``dlmsample report``: write the report of a folder and print its table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlmsample.cli import interrupt, screen
from dlmsample.cli.text import visible

if TYPE_CHECKING:
    from dlmsample.ablate.results import Results


@dataclass(frozen=True)
class Request:
    """The options of ``report`` as typed; see its help."""

    folder: str
    baseline: str | None = None
    as_json: bool = False


def report(request: Request) -> None:
    """Write the files, then say what they hold.

    Raises:
        ValueError: anything the user can put right.
    """
    from dlmsample.ablate.report import build

    with interrupt.raising():
        made, paths = build(Path(request.folder).expanduser(), request.baseline)
        if request.as_json:
            data = {**made.asdict(), "files": [str(path) for path in paths]}
            sys.stdout.write(json.dumps(data) + "\n")
        else:
            _write_text(made, paths)


def _write_text(made: Results, paths: Sequence[Path]) -> None:
    """For people: a table a task, what failed, and where the files are."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from dlmsample.ablate.view import SHORT

    page = screen.console(sys.stdout)
    columns = next(columns for width, columns in SHORT.items() if page.width >= width)
    for task, rows in made.tasks.items():
        screen.say(page, f"{made.name}: {task}")
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in columns:
            table.add_column(
                column.heading, overflow="fold", justify="left" if column.words else "right", no_wrap=not column.words
            )
        for row in rows:
            table.add_row(*(Text(visible(column.text(row))) for column in columns))
        page.print(table)
        screen.say(page, "")
    for cell in made.failed:
        place = f"{cell.task}, {cell.checkpoint}, {cell.policy}, seed {cell.seed}"
        screen.say(page, f"failed: {place}: {cell.error}")
    for path in paths:
        screen.say(page, str(path))
