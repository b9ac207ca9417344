"""How many files a reader visits who follows one decoded token, or one training step, through the package.

    python benchmarks/moves.py            # --edges shows between which files
    python benchmarks/moves.py --json benchmarks/results/moves.json && python docs/make_ways.py    # renews the page

The way is recorded by ``sys.setprofile``. Three ways are counted, each in a fresh process on nano:

* ``command``: all of ``dlmsample generate PROMPT --policy unmask --max-new-tokens 1``, one decoded token from the
  command line to the printed text, loading included. Exactly one policy step is made.
* ``token``: what one further token costs: the same ``Sampler.generate`` with two new tokens minus that with one.
* ``training step``: what one further step costs: three steps of the recipe ``nano_mdm`` (four rows in two
  micro-batches) minus two.

A *file* is visited when a function of it is called. A *move* is a call of a function in another file of the package, or
the return from it; what lies between the two in other libraries is passed over (torch calls a hook of ours: the move is
from the function that called torch). Imports are no moves: the bodies of modules are not counted, but functions that
they call are. Figures do not depend on the machine's speed; they change with the package's code, and a little with
other versions of Python and transformers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = str(ROOT / "dlmsample") + os.sep
PROMPT = "Ann had 3 pens and bought 2 more. How many pens does Ann have?"
WAYS = ("command", "token", "training step")


class Way:
    """Calls by file, and moves by (from, to)."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """What ``sys.setprofile`` calls on every call and return."""
        here = _file(frame)
        if event not in ("call", "return") or here is None or frame.f_code.co_name == "<module>":
            return
        caller = frame.f_back
        while caller is not None and _file(caller) is None:
            caller = caller.f_back
        there = here if caller is None else _file(caller) or here
        if event == "call":
            self.calls[here] += 1
        if there != here:
            self.moves[(there, here) if event == "call" else (here, there)] += 1

    def minus(self, other: Way) -> Way:
        """What this way has more than another."""
        left = Way()
        left.calls, left.moves = self.calls - other.calls, self.moves - other.moves
        return left


def _file(frame: FrameType) -> str | None:
    """The package's file that a frame runs in; None elsewhere."""
    name = frame.f_code.co_filename
    return name[len(PACKAGE) :] if name.startswith(PACKAGE) else None


@contextlib.contextmanager
def recorded() -> Iterator[Way]:
    """The way of what runs inside."""
    way = Way()
    sys.setprofile(way)
    try:
        yield way
    finally:
        sys.setprofile(None)


def command() -> Way:
    sys.argv = ["dlmsample", "generate", PROMPT, "--policy", "unmask", "--max-new-tokens", "1"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit), recorded() as way:
        runpy.run_module("dlmsample", run_name="__main__")
    return way


def token() -> Way:
    import dlmsample as ds

    sampler = ds.Sampler(ds.load("nano", eos_ids=[]), ds.Unmask())

    def generate(new: int) -> Way:
        with recorded() as way:
            sampler.generate([PROMPT], max_new_tokens=new)
        return way

    generate(1)  # what is imported or made on a first use is not the token's
    return generate(2).minus(generate(1))


def training_step() -> Way:
    from dlmsample.train.config import load
    from dlmsample.train.trainer import Trainer

    options = ["batch_size=4", "micro_batches=2", "compile=false", "workers=0", "precision=no"]
    options.append("task.mix=[]")  # the long problems alone: wording a text is no part of a training step
    config = load("nano_mdm", [*options, "log_every=100", "checkpoint_every=100", "sample.every=100"])

    def train(steps: int) -> Way:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(config, Path(folder))
            with contextlib.redirect_stderr(io.StringIO()), recorded() as way:
                trainer.run(stop_at=steps)
        return way

    train(2)  # as above
    return train(3).minus(train(2))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", default=None)
    parser.add_argument("--edges", action="store_true", help="print every pair of files with its moves")
    parser.add_argument("--only", choices=WAYS, help="one way, in this process; prints JSON")
    args = parser.parse_args()
    if args.only:
        walk: dict[str, Callable[[], Way]] = dict(zip(WAYS, (command, token, training_step), strict=True))
        way = walk[args.only]()
        edges = [[*pair, count] for pair, count in way.moves.items()]  # in the order in which they first happened
        print(
            json.dumps(
                {
                    "files": len(way.calls.keys() | {file for move in way.moves for file in move}),
                    "moves": way.moves.total(),
                    "edges": edges,
                }
            )
        )
        return
    figures = {way: in_fresh_process(way) for way in WAYS}
    for way, found in figures.items():
        print(f"{way}: {found['files']} files, {found['moves']} moves")
        for here, there, count in sorted(found["edges"], key=lambda edge: -edge[2]) if args.edges else ():
            print(f"  {count:4} {here} -> {there}")
    if args.json:
        lines = (f" {json.dumps(way)}: {json.dumps(found)}" for way, found in figures.items())
        Path(args.json).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def in_fresh_process(way: str) -> dict[str, Any]:
    """Figures of one way: a process that did nothing before, so that no order of ways matters."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--only", way], env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
