"""Tasks: examples with gold answers and scorers, found by name. Imports neither torch nor transformers."""

from __future__ import annotations

import inspect
from typing import Any

from dlmsample.support.registry import Registry, unknown
from dlmsample.tasks.base import Example, Score, Task
from dlmsample.tasks.own import OwnTask, is_file_task

__all__ = ["Example", "Score", "Task", "list_tasks", "load"]

TASKS = Registry(
    "task",
    "dlmsample.tasks",
    {
        "cmath": "dlmsample.tasks.cmath:CMath",
        "countdown": "dlmsample.tasks.countdown:Countdown",
        "gsm8k": "dlmsample.tasks.gsm8k:GSM8K",
        "humaneval": "dlmsample.tasks.humaneval:HumanEval",
        "math500": "dlmsample.tasks.math500:Math500",
        "mbpp": "dlmsample.tasks.mbpp:MBPP",
        "piqa": "dlmsample.tasks.piqa:PIQA",
        "sudoku": "dlmsample.tasks.sudoku:Sudoku",
        "triviaqa": "dlmsample.tasks.triviaqa:TriviaQA",
        "wordproblems": "dlmsample.tasks.wordproblems.task:WordProblems",
        "wordproblems.free": "dlmsample.tasks.wordproblems.free.task:FreeProblems",
        "wordproblems.plain": "dlmsample.tasks.wordproblems.plain:PlainProblems",
        "wordproblems.short": "dlmsample.tasks.wordproblems.short.task:ShortProblems",
    },
)


def list_tasks() -> list[str]:
    """The names that ``load`` knows, sorted: built in, and those that packages declare under ``dlmsample.tasks``.

    Example:
        >>> "wordproblems" in list_tasks()
        True
    """
    return sorted(TASKS)


def task_class(name: str) -> type[Task]:
    """The class behind a task's name or file, imported on demand. Raises: ValueError for an unknown name."""
    return OwnTask if is_file_task(name) else TASKS[name]


def is_task(name: str) -> bool:
    """Whether there is a task of this name; the path of a file with rows is one.

    Example:
        >>> is_task("gsm8k"), is_task("mine.jsonl"), is_task("gms8k")
        (True, True, False)
    """
    return is_file_task(name) or name in TASKS


def task_options(name: str) -> dict[str, Any]:
    """The options of a task with their defaults: the keyword-only arguments of its class.

    Example:
        >>> task_options("wordproblems")
        {'seed': 0, 'min_steps': 5, 'max_steps': 8, 'free_wording': True}
    """
    parameters = inspect.signature(task_class(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "path"}


def load(name: str, split: str | None = None, limit: int | None = None, **options: Any) -> Task:
    """One split of a task; ``limit`` keeps the first N examples of its fixed order (None: all).

    ``split`` None is the one that is reported: test, or the task's last where no test answers are public.
    Published benchmarks read the files in the folder ``data_dir``, or the hub without it. A name that ends in
    .jsonl, .json or .csv is the path of your own rows, see :class:`~dlmsample.tasks.own.OwnTask`. ``options`` are the
    task's own (see ``task_options``). Raises: ValueError for an unknown name, split or option, a limit below 1, or
    data that cannot be read, naming what is valid or what to do.

    Example:
        >>> task = load("wordproblems", split="test", limit=3)
        >>> len(task), task.score(task[0], task[0].reference).correct
        (3, True)
    """
    cls = task_class(name)
    valid = task_options(name)
    for option in options:
        if option not in valid:
            raise unknown(f"option of task {name}", option, valid)
    if split is None:
        split = "test" if "test" in cls.splits else cls.splits[-1]
    return cls(split, limit, **options, **({"path": name} if is_file_task(name) else {}))
