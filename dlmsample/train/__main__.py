"""``python -m dlmsample.train``: ``dlmsample train`` for launchers that start a module (torchrun, accelerate).

The options are those of ``dlmsample train``; ``RECIPE key=value ...`` is short for ``--recipe RECIPE --set
key=value ...``. ``export CHECKPOINT OUT`` writes a run's checkpoint as its result would be.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dlmsample.cli.main import run

_FLAGS = {"--dry-run", "--list", "--json", "-h", "--help"}


def main(arguments: list[str]) -> int:
    """Run one command; the exit code: 0 done or stopped as asked, 2 a user's mistake, 130 interrupted."""
    if arguments[:1] == ["export"]:
        return _export(arguments[1:])
    return run(["train", *_spelled_out(arguments)])


def _spelled_out(arguments: list[str]) -> list[str]:
    """The short form as options.

    Example:
        >>> _spelled_out(["nano", "--out", "a=b", "lr=1", "--dry-run", "steps=2"])
        ['--recipe', 'nano', '--out', 'a=b', '--set', 'lr=1', '--dry-run', '--set', 'steps=2']
    """
    out: list[str] = []
    for word, before in zip(arguments, ["", *arguments], strict=False):
        value = before.startswith("-") and "=" not in before and before not in _FLAGS
        if not value and not word.startswith("-"):
            out.append("--set" if "--recipe" in out or "=" in word else "--recipe")
        out.append(word)
    return out


def _export(arguments: list[str]) -> int:
    from dlmsample.train.config import TrainError
    from dlmsample.train.export import export

    try:
        if len(arguments) != 2:
            raise TrainError("export takes CHECKPOINT and OUT: python -m dlmsample.train export CHECKPOINT OUT")
        print(export(Path(arguments[0]), Path(arguments[1])), file=sys.stderr)
    except TrainError as error:
        print(f"dlmsample: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
