"""``dlmsample report``: write the report of a folder and print its table."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmsample.cli import interrupt, options, screen
from dlmsample.support.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.ablate.analysis.results import Results
    from dlmsample.ablate.papers.verdicts import Judged


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Write the report of a grid: report.html, report.md, cells.csv, comparisons.csv and examples.csv.

    A verdict in words, accuracies with intervals, each configuration against the baseline on the same examples, the
    Pareto front over what answers cost, maps of swept options, and the examples that flipped, word by word. It may be
    called while the grid runs.

    With --claims also a ledger: each claim of a paper with the paper's numbers, what the grid measured, and whether
    the interval bears it out.

    \b
    Examples:
      dlmsample report runs/demo
      dlmsample report runs/demo --baseline "nano unmask(tokens_per_step=4)"
      dlmsample report runs/demo --json
      dlmsample report runs/papers --claims examples/papers_on_nano_claims.yaml --papers PAPERS.md
    """

    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder of a run of dlmsample ablate.")]
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help='What to compare with: "CHECKPOINT POLICY" or "TASK: CHECKPOINT POLICY", as the tables have them.'
            "  [default: the grid's, or the unmask of most forwards on the first checkpoint]",
        ),
    ] = None
    claims: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Judge the claims of papers in this YAML file by the results; see --papers."),
    ] = None
    papers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With --claims: the ledger to write.  [default: DIR/PAPERS.md]"),
    ] = None
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where the files go.  [default: the folder of the run]")
    ] = None
    accept_versions: options.AcceptVersions = False
    as_json: options.AsObject = False


def report(given: ReportOptions) -> None:
    """Write the files, then say what they hold.

    Raises:
        ValueError: anything the user can put right.
    """
    if given.papers is not None and given.claims is None:
        raise ValueError("--papers is where the ledger of --claims goes: give --claims FILE")
    from dlmsample.ablate.report.write import build

    interrupt.raise_from_here()
    folder = Path(given.folder).expanduser()
    judged, ledger = _ledger(given, folder)  # first: a wrong claim is told before any work
    out = None if given.out is None else Path(given.out).expanduser()
    made, paths = build(folder, given.baseline, accept_versions=given.accept_versions, out=out)
    paths = [*paths, *ledger]
    if given.as_json:
        data = {**made.asdict(), "files": [str(path) for path in paths]}
        if given.claims is not None:
            data["claims"] = [row.asdict() for row in judged]
        sys.stdout.write(json.dumps(data) + "\n")
    else:
        _write_text(made, judged if given.claims is not None else None, paths)


def _ledger(given: ReportOptions, folder: Path) -> tuple[list[Judged], list[Path]]:
    if given.claims is None:
        return [], []
    from dlmsample.ablate.papers import ledger

    named = given.papers if given.out is None else given.papers or str(Path(given.out) / ledger.NAME)
    target = None if named is None else Path(named).expanduser()
    words = ["dlmsample", "report", given.folder, "--claims", given.claims]
    words += [] if given.papers is None else ["--papers", given.papers]
    words += ["--accept-versions"] if given.accept_versions else []
    judged, path = ledger.write(folder, given.claims, target, shlex.join(words), given.accept_versions)
    return judged, [path]


def _write_text(made: Results, judged: Sequence[Judged] | None, paths: Sequence[Path]) -> None:
    """For people: the tables, what failed, and where the files are."""
    page = screen.console(sys.stdout)
    write_tables(page, made)
    for cell in made.failed:
        place = f"{cell.task}, {cell.checkpoint}, {cell.policy}, seed {cell.seed}"
        screen.say(page, f"failed: {place}: {cell.error}")
    if judged is not None:
        from dlmsample.ablate.papers.ledger import counts

        screen.say(page, counts(judged))
    for path in paths:
        screen.say(page, str(path))


def write_tables(page: Console, made: Results) -> None:
    """The results of a grid: one table per task, in as many columns as the terminal has room for."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from dlmsample.ablate.report.table import ORIGIN, SHORT, source_lines

    if made.sources:
        for line in (ORIGIN, *source_lines(made.sources), ""):
            page.print(Text(printable(line)))  # in lines of the terminal's width
    columns = next(columns for width, columns in SHORT.items() if page.width >= width)
    for task, rows in made.tasks.items():
        screen.say(page, f"{made.name}: {task}")
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in columns:
            table.add_column(
                column.heading, overflow="fold", justify="left" if column.words else "right", no_wrap=not column.words
            )
        for row in rows:
            table.add_row(*(Text(printable(column.text(row))) for column in columns))
        page.print(table)
        screen.say(page, "")
    widest = max(SHORT.values(), key=len)
    if made.tasks and len(columns) < len(widest):
        shown = {column.heading for column in columns}
        missing = ", ".join(column.heading for column in widest if column.heading not in shown)
        line = f"left out at {page.width} columns: {missing}; a terminal of {max(SHORT)} shows them, the report all"
        page.print(Text(line, "dim"))
