"""``dlmsample ablate``: check the grid, then estimate it or run it."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlmsample.cli import interrupt, options, screen, threads
from dlmsample.cli.report import write_tables
from dlmsample.support.text import one_line
from dlmsample.support.trackers import tracker_names

if TYPE_CHECKING:
    from dlmsample.ablate.estimate import Estimate
    from dlmsample.ablate.run import Summary

#: Options that say how a run is made and not what its results are: the recorded command leaves them out.
_PASSING = ("resume", "retry", "dry_run", "as_json", "threads", "report_to")
_LOOKED_AT = 5_000  #: cells; a grid of more is not looked at cell by cell before it runs


@dataclass(frozen=True, kw_only=True)
class AblateOptions(threads.ThreadOptions):
    """Run a grid of tasks, checkpoints, policies and seeds, and report; the same command again goes on.

    Every finished batch is stored at once in DIR/results.sqlite. Cells that a changed grid shares with the last
    one are not run again, unless versions of dlmsample, torch or transformers or the kind of device have changed:
    then the old results are kept and shown apart (--accept-versions: they count). Exit code 0: all cells are done;
    1: some failed.

    \b
    Examples:
      dlmsample ablate examples/demo_grid.yaml --out runs/demo
      dlmsample ablate examples/t2m_sweep.yaml --dry-run
      dlmsample ablate examples/t2m_sweep.yaml --out runs/sweep --device cuda --limit 500 --batch-size 500
      dlmsample ablate examples/t2m_sweep.yaml --out runs/sweep --retry
      dlmsample ablate examples/t2m_sweep.yaml --out runs/sweep --engine ray --address auto
    """

    grid: Annotated[
        str, typer.Argument(metavar="GRID.yaml", help="YAML file that names tasks, checkpoints, policies and seeds.")
    ]
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of the results and the report.")] = None
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Go on with what the folder holds, or delete its results.sqlite first."),
    ] = True
    retry: Annotated[bool, typer.Option("--retry", help="Run failed cells again.")] = False
    engine: Annotated[str, typer.Option(metavar="local|ray", help="Where the work is done.")] = "local"
    address: Annotated[
        str | None, typer.Option(metavar="A", help="Address of a Ray cluster.  [default: a new one on this machine]")
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Torch device; cuda: every GPU; several with commas: one worker each.  [default: cpu]",
        ),
    ] = None
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME_OR_FILE", help="Ask this task in place of the grid's: a name, or your .jsonl file."),
    ] = None
    scorer: options.Scorer = None
    pattern: options.Pattern = None
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="First N examples of every task.  [default: the grid's]")
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="B", min=1, help="How many prompts are decoded together; changes no result.  [default: the grid's]"
        ),
    ] = None
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Files of the published benchmarks.  [default: the hub]")
    ] = None
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="Let humaneval and mbpp run generated code, in a sandbox.")
    ] = False
    accept_versions: options.AcceptVersions = False
    report_to: options.ReportTo = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count cells and forwards, time a few examples; write nothing.")
    ] = False
    as_json: options.AsObject = False


def ablate(given: AblateOptions) -> int:
    """Do what was asked; the exit code: 0: all cells are done, 1: some failed, 130: interrupted.

    Raises:
        ValueError: anything the user can put right.
    """
    if given.address is not None and given.engine != "ray":
        raise ValueError("--address is that of a Ray cluster: add --engine ray")
    from dlmsample.ablate.spec.grid import read

    tracker_names(given.report_to or ())
    grid, marks = read(given.grid)  # mistakes in the file are told before anything heavy is imported
    if given.out is None and not given.dry_run:
        raise ValueError("give --out DIR: results and the report go there (or --dry-run for an estimate alone)")
    _import()
    if len(grid.seeds) > 1 and sum(grid.sizes.values()) <= _LOOKED_AT:
        from dlmsample.ablate.spec.cells import choices, idle_seeds

        with suppress(ValueError):  # mistakes are told with those in tasks and checkpoints
            if (line := idle_seeds(grid, choices(grid, marks))) is not None:
                screen.tell(line)
    threads.use(given.threads)
    try:
        interrupt.raise_from_here()
        return _estimate(given) if given.dry_run else _run(given)
    except KeyboardInterrupt:
        more = "" if given.dry_run else "; the same command goes on"
        sys.stderr.write(f"dlmsample: interrupted{more}\n")
        return 130


def _import() -> None:
    """Import all that is needed now: an interrupted import would not end in one line."""
    screen.silence()
    import dlmsample.ablate.estimate
    import dlmsample.ablate.run
    import dlmsample.decoding.sampler  # noqa: F401


def _changes(given: AblateOptions) -> dict[str, Any]:
    """What the options change in the grid, and in which of the stored results count."""
    wanted = {"data_dir": given.data_dir, "allow_code_execution": given.allow_code_execution}
    judged = options.judged(given)
    if judged and given.task is None:
        raise ValueError(f"--{next(iter(judged))} says how --task FILE is judged: name the file")
    from dlmsample.ablate.spec.grid import TaskEntry

    return {
        "task": None if given.task is None else TaskEntry(name=given.task, options=judged),
        "task_options": {key: value for key, value in wanted.items() if value},
        "limit": given.limit,
        "batch_size": given.batch_size,
        "accept_versions": given.accept_versions,
    }


def _command(given: AblateOptions) -> str:
    """The command that gives these results, from anywhere in their history."""
    return shlex.join(["dlmsample", "ablate", given.grid, *options.words(given, *_PASSING)])


def _estimate(given: AblateOptions) -> int:
    from dlmsample.ablate.estimate import estimate
    from dlmsample.ablate.sampling import PATIENCE

    screen.note(f"timing a few examples of {given.grid}, for about {PATIENCE:.0f} seconds")
    found = estimate(given.grid, given.out, device=given.device, **_changes(given))
    if given.as_json:
        sys.stdout.write(json.dumps(found.asdict()) + "\n")
    else:
        screen.say(screen.console(sys.stdout), "\n".join(_estimate_lines(found)))
    return 0


def _estimate_lines(found: Estimate) -> list[str]:
    left = found.examples - found.stored
    stored = f", {found.stored} stored already" if found.stored else ""
    lines = [
        f"grid      {found.name}: {found.cells:,} cells, {found.examples:,} examples{stored}",
    ]
    if found.warning is not None:
        lines.append(f"warning   {found.warning}")
    if found.forwards is not None:
        lines.append(
            f"forwards  about {found.forwards:,} for the {left:,} examples to run; {found.bound:,} steps at most"
        )
    if found.seconds is not None:
        timed = f", from {found.sampled} examples that were decoded to find out" if left else ""
        lines.append(f"time      about {duration(found.seconds)}{timed}")
    if found.unsampled:
        lines.append(
            f"guessed   {found.unsampled} of the checkpoints and policies were not tried, to keep this short: "
            "they are taken to be like the others"
        )
    return lines + [f"failed    {where}: {one_line(error)}" for where, error in found.errors.items()]


def _run(given: AblateOptions) -> int:
    from dlmsample.ablate.run import run

    found = run(
        given.grid,
        Path(given.out or ""),
        engine=given.engine,
        device=given.device,
        address=given.address,
        fresh=not given.resume,
        retry=given.retry,
        progress=True,
        command=_command(given),
        isolate=True,
        report_to=tracker_names(given.report_to or ()),
        **_changes(given),
    )
    if given.as_json:
        sys.stdout.write(json.dumps(found.asdict()) + "\n")
    else:
        page = screen.console(sys.stdout)
        screen.say(page, "\n".join(_run_lines(found)))
        if found.results is not None:
            screen.say(page, "")
            write_tables(page, found.results)
    return 0 if found.done == found.cells else 1


def _run_lines(found: Summary) -> list[str]:
    failed = f", {found.failed} failed" if found.failed else ""
    lines = [
        f"grid    {found.name}: {found.done}/{found.cells} cells done{failed}; {found.examples} examples, "
        f"{found.ran} run now in {duration(found.seconds)}"
    ]
    if found.apart:
        lines.append(
            f"apart   {found.apart} answers of other versions or devices are kept (--accept-versions counts them)"
        )
    lines += [f"failed  {cell}: {one_line(error)}" for cell, error in found.errors.items()]
    if found.errors:
        lines.append("again   the same command with --retry runs failed cells again")
    return lines + [f"report  {path}" for path in found.report]


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(7.4), duration(95), duration(7260)
        ('7 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
