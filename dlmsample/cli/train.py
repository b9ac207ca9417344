"""``dlmsample train``: compose the configuration, then list, plan or train."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlmsample.cli import interrupt
from dlmsample.cli.screen import silence
from dlmsample.cli.text import visible

if TYPE_CHECKING:
    from dlmsample.train.config import TrainConfig


@dataclass(frozen=True)
class Request:
    """The options of ``train`` as typed; see its help."""

    recipe: str | None = None
    objective: str | None = None
    model: str | None = None
    data: str | None = None
    out: str | None = None
    settings: Sequence[str] = ()
    stop_at: int | None = None
    max_minutes: float | None = None
    dry_run: bool = False
    as_json: bool = False
    listing: bool = False


def train(request: Request) -> int:
    """Do what was asked; the exit code: 0, or 130 when interrupted.

    Raises:
        ValueError: anything the user can put right.
    """
    from dlmsample.train.config import compose, recipes

    if request.listing:
        from dlmsample.cli.listing import show

        show(recipes(), request.as_json)
        return 0
    if request.as_json and not request.dry_run:
        raise ValueError("--json is for --dry-run and --list: a run writes metrics.jsonl into --out")
    if request.max_minutes is not None and not request.max_minutes > 0:
        raise ValueError(f"--max-minutes must be more than 0 (got {request.max_minutes:g})")
    config = compose(request.recipe, request.objective, request.model, request.data, request.settings)
    if request.out is None and not request.dry_run:
        raise ValueError("give --out DIR: checkpoints and the result go there (or --dry-run for the plan alone)")
    from dlmsample.train.data.records import DataError

    try:
        return _plan(request, config) if request.dry_run else _run(request, config)
    except ValueError as error:
        if not _main():
            return 2  # the first process says it
        if not isinstance(error, DataError):
            raise
        *lines, last = str(error).splitlines()
        sys.stderr.writelines(f"{visible(line)}\n" for line in lines)
        raise ValueError(last) from None


def _run(request: Request, config: TrainConfig) -> int:
    """Train until the end, a limit, or Ctrl-C."""
    out = Path(request.out or "")
    _check_folder(out)
    silence()
    import dlmsample.train.trainer  # noqa: F401  # an interrupted import would not end in one line

    try:
        with interrupt.raising():
            return _train(request, config, out)
    except KeyboardInterrupt:
        if _main():
            _say_interrupted(out)
        return 130


def _train(request: Request, config: TrainConfig, out: Path) -> int:
    from dlmsample.train.data.batches import make_source
    from dlmsample.train.trainer import Trainer

    if config.data is not None and _main() and sys.stderr.isatty():
        sys.stderr.write("data: reading\n")
    source = make_source(config)  # before any weights: a mistake in the data costs no waiting
    if _main():
        sys.stderr.writelines(f"data: {line}\n" for line in source.summary)
    trainer = Trainer(config, out, request.recipe or "", source)
    done = trainer.run(request.stop_at, request.max_minutes)
    if _main():
        where = f"finished: {out / 'final'}" if done else "stopped; the same command goes on"
        sys.stderr.write(f"step {trainer.step}/{config.steps}, {where}\n")
    return 0


def _plan(request: Request, config: TrainConfig) -> int:
    from dlmsample.train.dry_run import plan, text

    silence()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")
    found = plan(config, None if request.out is None else Path(request.out), world, sharded)
    if _main():
        sys.stdout.write((json.dumps(found) if request.as_json else text(found)) + "\n")
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
