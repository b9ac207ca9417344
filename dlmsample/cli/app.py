"""The commands and their options. Only typer is imported here: ``--help`` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

import dlmsample
from dlmsample.cli import decoding, grids, options
from dlmsample.cli.usage import Group, UsageError, explain

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def call(args: list[str]) -> int:
    """Run a command; what goes wrong is raised.

    Raises:
        ValueError: a user's mistake, in one line.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context("dlmsample", args) as context:
            command.invoke(context)
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort as e:
        raise KeyboardInterrupt from e
    except UsageError as e:
        raise explain(e) from e
    return 0


@app.callback()
def top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Decode with masked and block-diffusion language models under interchangeable edit policies.

    \b
    Examples:
      dlmsample generate "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
      dlmsample generate "..." --policy t2m --set threshold=0.2 --show steps
      dlmsample policies
      dlmsample train --recipe nano_scope --out runs/scope
      dlmsample ablate examples/demo_grid.yaml --out runs/demo
    """
    if version:
        typer.echo(f"dlmsample {dlmsample.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(decoding.generate)


@app.command()
def train(
    recipe: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="Shipped recipe, or a YAML file.")] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Training rule: mdm, random_t2t, self_generated_t2t, scope, fca."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Start from nano, a folder, or a hub id.  [default: the recipe's, or nano]"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE_OR_TASK", help="JSON lines, plain text, a folder of such files, or a task."),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The run's folder.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any option, dotted, a YAML value; repeatable."),
    ] = None,
    stop_at: Annotated[
        int | None, typer.Option(metavar="STEP", min=1, help="Stop after it, with a checkpoint.")
    ] = None,
    max_minutes: Annotated[float | None, typer.Option(metavar="M", help="Stop then, with a checkpoint.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its memory; train nothing.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the shipped recipes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run or --list: print JSON.")] = False,
) -> None:
    """Train an adapter, a correction head or a whole model; the same command again goes on where it stopped.

    With --recipe, or with --objective and --data: then an adapter (LoRA) on nano, or a head for fca. Rows of a
    file are {"prompt", "answer"}, {"messages"} or {"text"}, one JSON object a line; a .txt file holds documents
    between blank lines. Checkpoints, metrics.jsonl and the result (final) go to --out.

    \b
    Examples:
      dlmsample train --list
      dlmsample train --recipe nano_scope --out runs/scope
      dlmsample train --recipe nano_scope --data mine.jsonl --set steps=200 --set lora.rank=8 --out runs/mine
      dlmsample train --objective fca --data wordproblems --out runs/head --stop-at 100
      dlmsample train --objective mdm --data texts/ --set data.pack=true --set data.max_length=512 --dry-run
      torchrun --nproc-per-node 4 --module dlmsample.train --recipe nano_scope --out runs/scope
    """
    given = {**locals(), "settings": settings or ()}
    from dlmsample.cli import train as command

    raise typer.Exit(command.train(command.Request(**given)))


@app.command()
def diagnose(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Embedded model, folder, or hub id.")],
    adapter: options.Adapter = None,
    head: options.Head = None,
    task: Annotated[str, typer.Option(metavar="NAME", help="Gold answers; see dlmsample tasks.")] = "wordproblems",
    split: Annotated[str, typer.Option(metavar="NAME", help="Split of the task.")] = "valid",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Examples, the first of the split.")] = 256,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Task option, a YAML scalar; repeatable."),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with the files of a published benchmark.")
    ] = None,
    mask_rate: Annotated[
        float, typer.Option(metavar="R", help="Stress test: share of the answer that is masked.")
    ] = 0.5,
    commit_rate: Annotated[
        float, typer.Option(metavar="R", help="Stress test: share of the masked that is committed.")
    ] = 0.5,
    epsilon: Annotated[
        float, typer.Option(metavar="E", help="Stuck set: the standing token's probability is below it.")
    ] = 0.1,
    edit_threshold: Annotated[
        float, typer.Option(metavar="T", help="Stuck set: so is every token's below this.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(metavar="S", help="Of the masks and of the intervals' resampling.")] = 0,
    batch_size: Annotated[int, typer.Option(metavar="B", help="Examples in one forward.")] = 32,
    device: options.Device = None,
    dtype: options.Dtype = None,
    as_json: options.AsObject = False,
    trust_remote_code: options.TrustRemoteCode = False,
    family: options.Family = None,
    revision: options.Revision = None,
    output: options.Output = None,
) -> None:
    """Measure what a model does with its own mistakes, on gold answers of a task.

    Wrong-commit stress test (does the next forward keep a wrong token), stuck set (tokens that editing cannot reach),
    calibration of confidence by mask rate and, with --head, how well it finds wrong tokens. Intervals are 95 %,
    bootstrapped over examples.

    \b
    Examples:
      dlmsample diagnose nano
      dlmsample diagnose nano --mask-rate 0.9
      dlmsample diagnose nano --adapter runs/scope/final --limit 1000 --json
      dlmsample diagnose nano --head runs/fca/final --split test
      dlmsample diagnose runs/mine/final --set min_steps=2 --set max_steps=4 --device cuda
    """
    given = {**locals(), "settings": settings or ()}
    from dlmsample.cli import diagnose as command

    command.diagnose(command.Request(**given))


app.command()(grids.ablate)
app.command()(grids.report)


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON list.")]


@app.command()
def policies(as_json: AsJson = False) -> None:
    """List the decoding policies with their options and papers."""
    from dlmsample.cli import listing

    listing.show(listing.policies(), as_json)


@app.command()
def models(
    explain: Annotated[
        str | None, typer.Option(metavar="ID_OR_FOLDER", help="Say what one is and how it decodes; reads no weights.")
    ] = None,
    family: options.Family = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: AsJson = False,
) -> None:
    """List the embedded models with their adapters and correction heads, or explain one checkpoint.

    \b
    Examples:
      dlmsample models
      dlmsample models --explain inclusionAI/LLaDA2.1-mini
      dlmsample models --explain runs/mine/final --json
    """
    from dlmsample.cli import listing

    if explain is not None:
        listing.show_one(listing.explained(explain, family, trust_remote_code, revision), as_json)
        return
    rows = listing.models()
    listing.show(rows if as_json else listing.under_their_model(rows), as_json)


@app.command()
def tasks(as_json: AsJson = False) -> None:
    """List the evaluation tasks, their splits and options."""
    from dlmsample.cli import listing

    listing.show(listing.tasks(), as_json)
