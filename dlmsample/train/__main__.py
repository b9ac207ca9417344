"""Command line: ``python -m dlmsample.train RECIPE --out DIR [key=value ...]``, and ``export CKPT OUT``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dlmsample.train",
        description="Train from a recipe; the same command again goes on from the last complete checkpoint.",
        epilog="python -m dlmsample.train export CHECKPOINT OUT writes a checkpoint as a model folder.",
    )
    parser.add_argument("recipe", help="the name of a shipped recipe, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="options instead of the recipe's")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--stop-at", type=int, metavar="STEP", help="stop after it, with a checkpoint")
    parser.add_argument("--max-minutes", type=float, metavar="M", help="stop then, with a checkpoint")
    return parser


def main(arguments: list[str]) -> int:
    """Run one command; the exit code: 0 done or stopped as asked, 2 a user's mistake, 130 interrupted."""
    from dlmsample.train.config import TrainError

    try:
        if arguments[:1] == ["export"]:
            return _export(arguments[1:])
        return _train(arguments)
    except TrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


def _train(arguments: list[str]) -> int:
    options = _parser().parse_intermixed_args(arguments)
    from dlmsample.train.config import TrainError, load

    for name, value in (("--stop-at", options.stop_at), ("--max-minutes", options.max_minutes)):
        if value is not None and value <= 0:
            raise TrainError(f"{name} must be positive, not {value}")
    config = load(options.recipe, options.overrides)
    from dlmsample.train.trainer import Trainer

    try:
        trainer = Trainer(config, options.out, options.recipe)
    except OSError as error:
        raise TrainError(f"cannot use {options.out}: {error}") from None
    done = trainer.run(options.stop_at, options.max_minutes)
    if trainer.accelerator.is_main_process:
        where = f"finished: {options.out / 'final'}" if done else "stopped; the same command goes on"
        print(f"step {trainer.step}/{config.steps}, {where}", file=sys.stderr)
    return 0


def _export(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dlmsample.train export")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    from dlmsample.train.export import export

    print(export(options.checkpoint, options.out), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
