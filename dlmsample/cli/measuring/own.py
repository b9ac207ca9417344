"""``dlmsample eval --tasks my.jsonl``: a file of one's own, asked without lm-eval."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dlmsample
from dlmsample.cli import interrupt, options, screen, threads
from dlmsample.tasks import is_file_task, list_tasks

if TYPE_CHECKING:
    from dlmsample.cli.measuring.eval import EvalOptions
    from dlmsample.cli.settings import ChosenPolicy


def files(given: EvalOptions) -> list[str]:
    """The files among what --tasks names; empty: there are none, and lm-eval runs.

    Raises:
        ValueError: files and tasks of lm-eval together, or options that are the other's.
    """
    named = (given.tasks or "").split(",")
    found = [name for name in named if is_file_task(name)]
    generated = [name for name in named if name in list_tasks() and name.startswith("wordproblems")]
    if generated:
        raise ValueError(
            f"{generated[0]} is a task of dlmsample, not of lm-eval: dlmsample tune or ablate --task {generated[0]}"
        )
    if found and len(found) < len(named):
        raise ValueError("--tasks takes files of your own or tasks of lm-eval: make two commands of it")
    if found and given.words:
        raise ValueError("words after -- are lm-eval's, which a file of your own does not need: leave them out")
    for flag in ("scorer", "pattern", "as_json") if not found else ():
        if getattr(given, flag):
            raise ValueError(f"--{flag.replace('as_', '')} goes with a file of your own: --tasks my.jsonl")
    return found


def evaluate(given: EvalOptions, names: list[str], choose: Callable[[], ChosenPolicy], length: Any) -> int:
    """Ask each file with the policy and print how many answers are right.

    Args:
        given: what was typed.
        names: the files.
        choose: gives the policy, once the files are read.
        length: of a block; None: the checkpoint's own, or what comes with the policy.

    Raises:
        ValueError: anything the user can put right.
    """
    tasks = [dlmsample.tasks.load(name, None, given.limit, **options.judged(given)) for name in names]
    chosen = choose()
    chosen.say()
    screen.silence()
    threads.use(given.threads)
    model = given.load(given.model)
    interrupt.raise_from_here()
    own = {"block_length": length} if length is not None else {}
    sampler = dlmsample.Sampler(model, chosen.policy, **{**chosen.options, **own, "batch_size": given.batch_size})
    rows = [_asked(name, task, sampler, given) for name, task in zip(names, tasks, strict=True)]
    if given.as_json:
        sys.stdout.write(json.dumps({"policy": sampler.policy.entry(), "tasks": rows}) + "\n")
        return 0
    page = screen.console(sys.stdout)
    for row in rows:
        screen.say(
            page,
            f"{row['task']}: {row['right']} of {row['examples']} right, {100 * row['accuracy']:.1f} % "
            f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]; {row['forwards']:.1f} forwards an answer",
        )
    return 0


def _asked(name: str, task: Any, sampler: dlmsample.Sampler, given: EvalOptions) -> dict[str, Any]:
    from dlmsample.ablate.analysis.stats import wilson

    examples = list(task)
    out = sampler.generate([e.prompt for e in examples], given.max_new_tokens, seed=given.seed, progress=True)
    right = sum(task.score(e, text).correct for e, text in zip(examples, out.texts, strict=True))
    low, high = wilson(right / len(examples), len(examples))
    return {
        "task": name,
        "examples": len(examples),
        "right": right,
        "accuracy": right / len(examples),
        "low": low,
        "high": high,
        "forwards": sum(stats.nfe for stats in out.stats) / len(examples),
    }
