"""The options of ``ablate`` and ``report``. Only typer is imported here: ``--help`` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

from dlmsample.cli import options

AcceptVersions = Annotated[
    bool,
    typer.Option(
        "--accept-versions",
        help="Count stored results of other versions and devices as the same; without it they stand apart.",
    ),
]


def ablate(
    grid: Annotated[str, typer.Argument(metavar="GRID.yaml", help="Tasks, checkpoints, policies and seeds.")],
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of the results and the report.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Go on with what the folder holds, or delete its results.sqlite first."),
    ] = True,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed cells again.")] = False,
    engine: Annotated[str, typer.Option(metavar="local|ray", help="Where the work is done.")] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="A", help="Of a Ray cluster.  [default: one on this machine]")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Torch device; cuda: every GPU; several with commas, a worker each: cuda:0,cuda:0.  [default: cpu]",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="First N examples of every task.  [default: the grid's]")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="B", min=1, help="Rows in one forward; changes no number.  [default: the grid's]"),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Files of the published benchmarks.  [default: the hub]")
    ] = None,
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="Let humaneval and mbpp run generated code, in a sandbox.")
    ] = False,
    accept_versions: AcceptVersions = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count cells and forwards, time a few examples; write nothing.")
    ] = False,
    as_json: options.AsObject = False,
) -> None:
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
    given = dict(locals())
    from dlmsample.cli import ablate as command

    raise typer.Exit(command.ablate(command.Request(**given)))


def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder of a run of dlmsample ablate.")],
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help='What to compare with: "CHECKPOINT POLICY" or "TASK: CHECKPOINT POLICY", as the tables have them.'
            "  [default: the grid's, or the unmask of most forwards on the first checkpoint]",
        ),
    ] = None,
    claims: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Judge the claims of papers in this YAML file by the results; see --papers."),
    ] = None,
    papers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With --claims: the ledger to write.  [default: DIR/PAPERS.md]"),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where the files go.  [default: the folder of the run]")
    ] = None,
    accept_versions: AcceptVersions = False,
    as_json: options.AsObject = False,
) -> None:
    """Write the report of a grid: report.html, report.md, cells.csv, comparisons.csv and examples.csv.

    Accuracies with intervals, each configuration against the baseline on the same examples, the Pareto front,
    policies by checkpoints, and the examples that flipped. It may be called while the grid runs.

    With --claims also a ledger: each claim of a paper with the paper's numbers, what the grid measured, and whether
    the interval bears it out.

    \b
    Examples:
      dlmsample report runs/demo
      dlmsample report runs/demo --baseline "nano unmask(tokens_per_step=4)"
      dlmsample report runs/demo --json
      dlmsample report runs/papers --claims examples/papers_on_nano_claims.yaml --papers PAPERS.md
    """
    given = dict(locals())
    from dlmsample.cli import report as command

    command.report(command.Request(**given))
