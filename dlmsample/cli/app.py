"""The commands and their options. Only typer is imported here: ``--help`` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

import dlmsample
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
    """
    if version:
        typer.echo(f"dlmsample {dlmsample.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def generate(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The prompt; - reads one a line from standard input.")
    ],
    policy: Annotated[str, typer.Option(metavar="NAME", help="Decoding rule; see dlmsample policies.")] = "unmask",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Embedded model, folder, or hub id; see dlmsample models.")
    ] = "nano",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Policy option, a YAML scalar; repeatable."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Answer positions.")] = 160,
    block_length: Annotated[
        str | None,
        typer.Option(metavar="N|all", help="Tokens of a block, or the whole answer.  [default: the model's]"),
    ] = None,
    temperature: Annotated[float, typer.Option(metavar="T", help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(metavar="P", help="Nucleus mass, above 0 and up to 1.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", help="Candidates kept before top-p.  [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of all randomness: sampling, random scores.")] = 0,
    batch_size: Annotated[int, typer.Option(metavar="B", help="Prompts in one forward.")] = 32,
    device: Annotated[str | None, typer.Option(metavar="D", help="Torch device.  [default: cpu]")] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="T", help="Torch dtype.  [default: float32; off the CPU bfloat16]")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Take the prompt as it is, without the chat template.")] = False,
    show: Annotated[
        str | None, typer.Option(metavar="steps", help="Print the canvas step by step, changes marked.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line per prompt: {index, prompt, text, tokens, stats}.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run modelling code that comes with the checkpoint.")
    ] = False,
    family: Annotated[str | None, typer.Option(metavar="F", help="Checkpoint family, where it cannot be told.")] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write there what would go to standard output.")
    ] = None,
) -> None:
    """Answer prompts.

    \b
    Examples:
      dlmsample generate "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
      dlmsample generate "..." --policy t2m --set threshold=0.2 --set detector=low_prob
      dlmsample generate "..." --policy d3im --set steps=48 --block-length all --show steps
      dlmsample generate - --policy t2t --json --output answers.jsonl < prompts.txt
    """
    options = {**locals(), "settings": settings or ()}
    from dlmsample.cli import generate as command

    command.generate(command.Request(**options))


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON list.")]


@app.command()
def policies(as_json: AsJson = False) -> None:
    """List the decoding policies with their options and papers."""
    from dlmsample.cli import listing

    listing.show(listing.policies(), as_json)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the embedded models."""
    from dlmsample.cli import listing

    listing.show(listing.models(), as_json)


@app.command()
def tasks(as_json: AsJson = False) -> None:
    """List the evaluation tasks, their splits and options."""
    from dlmsample.cli import listing

    listing.show(listing.tasks(), as_json)
