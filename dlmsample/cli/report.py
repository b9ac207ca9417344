"""``dlmsample report``: write the report of a folder and print its table."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlmsample.cli import interrupt, screen
from dlmsample.cli.text import visible

if TYPE_CHECKING:
    from dlmsample.ablate.analysis.results import Results
    from dlmsample.ablate.papers.verdicts import Judged


@dataclass(frozen=True)
class Request:
    """The options of ``report`` as typed; see its help."""

    folder: str
    baseline: str | None = None
    claims: str | None = None
    papers: str | None = None
    out: str | None = None
    accept_versions: bool = False
    as_json: bool = False


def report(request: Request) -> None:
    """Write the files, then say what they hold.

    Raises:
        ValueError: anything the user can put right.
    """
    if request.papers is not None and request.claims is None:
        raise ValueError("--papers is where the ledger of --claims goes: give --claims FILE")
    from dlmsample.ablate.report.write import build

    with interrupt.raising():
        folder = Path(request.folder).expanduser()
        judged, ledger = _ledger(request, folder)  # first: a wrong claim is told before any work
        out = None if request.out is None else Path(request.out).expanduser()
        made, paths = build(folder, request.baseline, accept_versions=request.accept_versions, out=out)
        paths = [*paths, *ledger]
        if request.as_json:
            data = {**made.asdict(), "files": [str(path) for path in paths]}
            if request.claims is not None:
                data["claims"] = [row.asdict() for row in judged]
            sys.stdout.write(json.dumps(data) + "\n")
        else:
            _write_text(made, judged if request.claims is not None else None, paths)


def _ledger(request: Request, folder: Path) -> tuple[list[Judged], list[Path]]:
    if request.claims is None:
        return [], []
    from dlmsample.ablate.papers import ledger

    named = request.papers if request.out is None else request.papers or str(Path(request.out) / ledger.NAME)
    target = None if named is None else Path(named).expanduser()
    words = ["dlmsample", "report", request.folder, "--claims", request.claims]
    words += [] if request.papers is None else ["--papers", request.papers]
    words += ["--accept-versions"] if request.accept_versions else []
    judged, path = ledger.write(folder, request.claims, target, shlex.join(words), request.accept_versions)
    return judged, [path]


def _write_text(made: Results, judged: Sequence[Judged] | None, paths: Sequence[Path]) -> None:
    """For people: a table a task, what failed, and where the files are."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from dlmsample.ablate.report.table import ORIGIN, SHORT, source_lines

    page = screen.console(sys.stdout)
    if made.sources:
        for line in (ORIGIN, *source_lines(made.sources), ""):
            page.print(Text(visible(line)))  # in lines of the terminal's width
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
    if judged is not None:
        from dlmsample.ablate.papers.ledger import counts

        screen.say(page, counts(judged))
    for path in paths:
        screen.say(page, str(path))
