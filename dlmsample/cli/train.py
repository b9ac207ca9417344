"""``dlmsample train``: compose the configuration, then list, plan or train."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmsample.cli import interrupt, options, threads
from dlmsample.cli.screen import silence
from dlmsample.support.text import printable
from dlmsample.support.trackers import tracker_names

if TYPE_CHECKING:
    from dlmsample.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainOptions(threads.ThreadOptions):
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

    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A recipe that comes with the package (see --list), or a YAML file.",
            autocompletion=options.recipe_names,
        ),
    ] = None
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Training rule: mdm, random_t2t, self_generated_t2t, scope, proseco, fca, certainty."
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Start from nano, a folder, or a hub id.  [default: the recipe's, or nano]"),
    ] = None
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE_OR_TASK", help="JSON lines, plain text, a folder of such files, or a task."),
    ] = None
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the run: checkpoints, metrics and the result.")
    ] = None
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Any option of the recipe, like lora.rank=8; repeatable."),
    ] = field(default_factory=list)
    stop_at: Annotated[
        int | None, typer.Option(metavar="STEP", min=1, help="Stop after this step, with a checkpoint.")
    ] = None
    max_minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Stop after so many minutes, with a checkpoint.")
    ] = None
    report_to: options.ReportTo = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained and how much memory it takes; train nothing.")
    ] = False
    listing: Annotated[bool, typer.Option("--list", help="List the shipped recipes.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run or --list: print JSON.")] = False


def train(given: TrainOptions) -> int:
    """Do what was asked; the exit code: 0, or 130 when interrupted.

    Raises:
        ValueError: anything the user can put right.
    """
    from dlmsample.train.config import compose, recipes

    if given.listing:
        from dlmsample.cli.listing.tables import show

        show(recipes(), given.as_json)
        return 0
    if given.as_json and not given.dry_run:
        raise ValueError("--json is for --dry-run and --list: a run writes metrics.jsonl into --out")
    if given.max_minutes is not None and not given.max_minutes > 0:
        raise ValueError(f"--max-minutes must be more than 0 (got {given.max_minutes:g})")
    if given.report_to:
        tracker_names(given.report_to)  # a mistake is told before any data is read
    config = compose(given.recipe, given.objective, given.model, given.data, given.settings)
    if given.out is None and not given.dry_run:
        raise ValueError("give --out DIR: checkpoints and the result go there (or --dry-run for the plan alone)")
    from dlmsample.train.data.records import DataError

    try:
        return _plan(given, config) if given.dry_run else _run(given, config)
    except ValueError as error:
        if not _main():
            return 2  # the first process says it
        if not isinstance(error, DataError):
            raise
        *lines, last = str(error).split("\n")
        sys.stderr.writelines(f"{printable(line)}\n" for line in lines)
        raise ValueError(last) from None


def _run(given: TrainOptions, config: TrainConfig) -> int:
    """Train until the end, a limit, or Ctrl-C."""
    out = Path(given.out or "")
    _check_folder(out)
    silence()
    threads.use(given.threads)
    import dlmsample.train.trainer  # noqa: F401  # an interrupted import would not end in one line

    try:
        interrupt.raise_from_here()
        return _train(given, config, out)
    except KeyboardInterrupt:
        if _main():
            _say_interrupted(out)
        return 130


def _train(given: TrainOptions, config: TrainConfig, out: Path) -> int:
    from dlmsample.train.data.batches import make_source
    from dlmsample.train.trainer import Trainer

    if config.data is not None and _main() and sys.stderr.isatty():
        sys.stderr.write("data: reading\n")
    source = make_source(config)  # before any weights: a mistake in the data costs no waiting
    if _main():
        sys.stderr.writelines(f"data: {line}\n" for line in source.summary)
    trainer = Trainer(config, out, given.recipe or "", source, given.report_to and tracker_names(given.report_to))
    done = trainer.run(given.stop_at, given.max_minutes)
    if _main():
        where = f"finished: {out / 'final'}" if done else "stopped; the same command goes on"
        sys.stderr.write(f"step {trainer.step}/{config.steps}, {where}\n")
    trainer.accelerator.end_training()  # several processes part, or torch warns of what they leave behind
    return 0


def _plan(given: TrainOptions, config: TrainConfig) -> int:
    from dlmsample.train.dry_run import plan, text

    silence()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")
    found = plan(config, None if given.out is None else Path(given.out), world, sharded)
    if _main():
        sys.stdout.write((json.dumps(found) if given.as_json else text(found)) + "\n")
    return 0


def _check_folder(out: Path) -> None:
    """Find out before any work that the run's folder cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot use --out {str(out)!r}: {error.strerror}; name another folder") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write into --out {str(out)!r}: permission denied; name another folder")


def _say_interrupted(out: Path) -> None:
    from dlmsample.train.checkpoint import complete

    found = complete(out)
    where = f"from {found[-1].name}" if found else "from the start: there is no checkpoint yet"
    sys.stderr.write(f"dlmsample: interrupted; the same command goes on {where}\n")


def _main() -> bool:
    """Whether this is the process that speaks, where a launcher started several."""
    return os.environ.get("RANK", "0") == "0"
