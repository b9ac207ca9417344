"""The commands, and their mistakes in one line. Only typer is imported here: ``--help`` stays fast."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperGroup

import dlmsample
from dlmsample.cli import ablate, diagnose, generate, options, report, screen, train
from dlmsample.cli.listing import examples as example_files
from dlmsample.cli.listing import policy, tables
from dlmsample.cli.measuring import eval, tune
from dlmsample.cli.serving import chat, serve

T = TypeVar("T")
#: What the command-line library raises for a wrong word; typer exports it under no name of its own.
UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

#: Class of a usage error -> what to do about it.
_REMEDIES = {
    "MissingParameter": "give it, or see {command} --help",
    "UsageError": "{takes}; see {command} --help",
}
#: Set by the shell when it asks what a word can be completed to.
_COMPLETE = "_DLMSAMPLE_COMPLETE"


class CommandGroup(TyperGroup):
    """A group of commands that answers a wrong command name with the nearest right one.

    It also refuses an option that is given twice and holds one value: the last would win, and nobody would be told.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-"):
            from dlmsample.support.registry import unknown

            raise unknown("command", args[0], self.commands)
        found = super().resolve_command(ctx, args)
        _refuse_twice(ctx, *found[1:])
        return found


def _refuse_twice(context: Any, command: Any, words: list[str]) -> None:
    """Refuse a second value for an option that takes one."""
    if command is None:
        return
    own = type(context)(command, parent=context)  # in which options may stand behind arguments, as they do later
    try:
        _, _, order = command.make_parser(own).parse_args(list(words))
    except UsageError:  # the command tells it itself
        return
    counted = Counter(p for p in order if p.param_type_name == "option" and not (p.multiple or p.is_flag))
    for option, count in counted.items():
        if count > 1:
            raise ValueError(f"{max(option.opts, key=len)} is given {count} times and takes one value: give it once")


app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(declared: type[T], run: Callable[[T], int | None]) -> Callable[..., None]:
    """What typer takes as a command: it reads the options of a dataclass and hands them to a function.

    The class's own fields come first in the help, then those of its groups.

    Args:
        declared: a dataclass whose fields are annotated with ``typer.Option`` or ``typer.Argument``.
        run: what the command does; it returns the exit code, or None for 0.
    """
    hints = get_type_hints(declared, include_extras=True)
    inherited = [field.name for base in declared.__mro__[1:-1] for field in fields(base)]  # type: ignore[arg-type]
    ordered = sorted(fields(declared), key=lambda field: field.name in inherited)  # type: ignore[arg-type]

    def call(**given: Any) -> None:
        raise typer.Exit(run(declared(**given)) or 0)

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=_default(field),
        )
        for field in ordered
    ]
    call.__doc__ = declared.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _default(field: Field[Any]) -> Any:
    """A field's default, as a signature has it."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default


def call(args: list[str]) -> int:
    """Run a command; what goes wrong is raised.

    Raises:
        ValueError: a user's mistake, in one line.
    """
    group = typer.main.get_command(app)
    if os.environ.get(_COMPLETE):
        group.main(args, prog_name="dlmsample")  # answers the shell and raises SystemExit
    try:
        with group.make_context("dlmsample", args or ["--help"]) as context:
            group.invoke(context)
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort as e:
        raise KeyboardInterrupt from e
    except UsageError as e:
        raise explain(e) from e
    return 0


def _policy_options() -> set[str]:
    """The names of the options of all policies."""
    from dlmsample.policies.registry import list_policies, policy_class

    return {name for policy in list_policies() for name in policy_class(policy).model_fields}


def explain(error: Any) -> ValueError:
    """The usage error as one line that names the remedy."""
    context = getattr(error, "ctx", None)
    wrong = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context is not None:
        from dlmsample.support.registry import unknown

        params = context.command.get_params(context)
        known = [max(p.opts, key=len) for p in params if p.param_type_name == "option"]
        word = str(wrong).lstrip("-").replace("-", "_")
        takes_one = any("--policy" in p.opts and not p.multiple for p in params)  # then --set is for its options
        if takes_one and word in _policy_options():
            return ValueError(f"{wrong} is an option of a policy: --set {word}=VALUE")
        dash = "; a prompt that begins with a dash goes after --" if len(known) < len(params) else ""
        return unknown("option", wrong, known, dash)
    path = context.command_path if context is not None else "dlmsample"
    words = context is not None and any(p.param_type_name == "argument" for p in context.command.params)
    takes = "quote what has several words" if words else "it takes options alone"
    remedy = _REMEDIES.get(type(error).__name__, "see {command} --help").format(command=path, takes=takes)
    return ValueError(f"{error.format_message().rstrip('.')}; {remedy}")


@app.callback()
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Decode with masked and block-diffusion language models under interchangeable decoding policies.

    \b
    Examples:
      dlmsample generate "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
      dlmsample generate "..." --policy t2m --set threshold=0.2 --show steps
      dlmsample policies t2m
      dlmsample train --recipe nano_scope --out runs/scope
      dlmsample examples --copy examples
      dlmsample ablate examples/demo_grid.yaml --out runs/demo

    Your shell completes commands and options after dlmsample --install-completion and a new terminal;
    --show-completion prints the lines that do it.
    """
    if version:
        typer.echo(f"dlmsample {dlmsample.__version__}")


app.command("generate")(command(generate.GenerateOptions, generate.generate))
app.command("train")(command(train.TrainOptions, train.train))
app.command("diagnose")(command(diagnose.DiagnoseOptions, diagnose.diagnose))
app.command("ablate")(command(ablate.AblateOptions, ablate.ablate))
app.command("tune")(command(tune.TuneOptions, tune.tune))
app.command("eval")(command(eval.EvalOptions, eval.evaluate))
app.command("report")(command(report.ReportOptions, report.report))
app.command("chat")(command(chat.ChatOptions, chat.chat))
app.command("serve")(command(serve.ServeOptions, serve.serve))


@app.command()
def policies(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Explain this one.", autocompletion=options.rule_names),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list; with NAME one object.")] = False,
) -> None:
    """List the decoding policies with their options and papers, or explain one of them.

    \b
    Examples:
      dlmsample policies
      dlmsample policies t2m
    """
    if name is None:
        tables.show(tables.policies() + ([] if as_json else tables.unlisted_policies()), as_json)
    else:
        policy.show_policy(name, as_json)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="ID_OR_FOLDER", help="Explain this one.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ID_OR_FOLDER", help="The same: say what one is and how it decodes; reads no weights."),
    ] = None,
    family: options.FamilyName = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    ignore_config: options.IgnoreConfig = None,
    as_json: options.AsList = False,
) -> None:
    """List the embedded models with their adapters and correction heads, or explain one checkpoint.

    \b
    Examples:
      dlmsample models
      dlmsample models nano
      dlmsample models --explain inclusionAI/LLaDA2.1-mini
      dlmsample models --explain runs/mine/final --json
    """
    if name is not None and explain is not None:
        raise ValueError(f"{name!r} and --explain {explain!r} name two: give one of them")
    explain = name if explain is None else explain
    if explain is not None:
        said = tables.explained(explain, family, trust_remote_code, revision, ignore_config or ())
        tables.show_one(said, as_json)
        return
    rows = tables.models()
    tables.show(rows if as_json else tables.under_their_model(rows), as_json)


@app.command()
def tasks(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Explain this one.", autocompletion=options.task_names),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list; with NAME one object.")] = False,
) -> None:
    """List the evaluation tasks, their splits and options, or explain one of them.

    \b
    Examples:
      dlmsample tasks
      dlmsample tasks gsm8k
    """
    if name is None:
        tables.show(tables.tasks(), as_json)
    else:
        tables.show_one(tables.explained_task(name), as_json)


@app.command()
def examples(
    copy: Annotated[str | None, typer.Option(metavar="DIR", help="Copy the files into this folder.")] = None,
    as_json: options.AsList = False,
) -> None:
    """List the example files that come with the package, or copy them; files that exist stay as they are.

    \b
    Examples:
      dlmsample examples
      dlmsample examples --copy examples
      dlmsample generate --policy t2m < examples/problems.txt
    """
    if copy is not None:
        there, all_files = example_files.copy_examples(copy), len(example_files.examples())
        if there:
            screen.tell(f"left as it was: {'every file' if len(there) == all_files else ', '.join(there)}")
        screen.tell(f"copied to {copy}: {all_files - len(there)} of {all_files} files")
    tables.show(example_files.examples(copy), as_json)
