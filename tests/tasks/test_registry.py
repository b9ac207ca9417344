"""Finding tasks by name: sizes, indexing, what wrong names and options answer, and what is not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlmsample.tasks import Task, list_tasks, load, task_options


def test_names() -> None:
    assert {"wordproblems", "gsm8k", "math500", "humaneval", "mbpp"} < set(list_tasks())
    assert list_tasks() == sorted(list_tasks())
    assert task_options("wordproblems") == {"seed": 0, "min_steps": 5, "max_steps": 8, "free_wording": True}


@pytest.mark.parametrize(("split", "size"), [("train", 10_000_000), ("valid", 1000), ("test", 1000)])
def test_default_sizes(split: str, size: int) -> None:
    task = load("wordproblems", split=split)
    assert isinstance(task, Task)
    assert (task.name, task.split, len(task)) == ("wordproblems", split, size)
    assert task[size - 1] == task[-1]


def test_the_split_is_test_unless_there_is_none(tmp_path: Path) -> None:
    assert load("wordproblems", limit=1).split == "test"
    (tmp_path / "valid.jsonl").write_text('{"goal": "g", "sol1": "a", "sol2": "b", "label": 0}\n')
    assert load("piqa", data_dir=tmp_path).split == "valid"


def test_limit_is_a_prefix_of_a_fixed_order() -> None:
    short, long = load("wordproblems", limit=3), load("wordproblems", limit=2000)
    assert list(short) == long[:3]
    assert (len(short), len(long)) == (3, 2000)
    for index in (3, -4):
        with pytest.raises(IndexError, match="which has 3"):
            short[index]


def test_options_reach_the_generator() -> None:
    task = load("wordproblems", limit=5, min_steps=2, max_steps=2)
    assert [example.meta["steps"] for example in task] == [2] * 5
    assert list(load("wordproblems", limit=5, seed=1)) != list(load("wordproblems", limit=5))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wordproblem", {}, "did you mean 'wordproblems'"),
        ("zzz", {}, "Known: .*wordproblems"),
        ("gsm8", {}, "did you mean 'gsm8k'"),
        ("gsm8k", {"datadir": "x"}, "did you mean 'data_dir'"),
        ("wordproblems", {"split": "dev"}, "train, valid, test"),
        ("wordproblems", {"limit": 0}, "at least 1"),
        ("wordproblems", {"limit": -1}, "at least 1"),
        ("wordproblems", {"limit": True}, "at least 1"),
        ("wordproblems", {"limit": "10"}, "at least 1"),
        ("wordproblems", {"minsteps": 2}, "did you mean 'min_steps'.*max_steps, min_steps, seed"),
        ("wordproblems", {"colour": 2}, "max_steps, min_steps, seed"),
        ("wordproblems", {"min_steps": 1}, "2 <= min_steps <= max_steps <= 8"),
        ("wordproblems", {"max_steps": 9}, "2 <= min_steps <= max_steps <= 8"),
        ("wordproblems", {"min_steps": 7, "max_steps": 6}, "min_steps=7, max_steps=6"),
        ("wordproblems", {"min_steps": "two"}, "min_steps .* must be an integer"),
        ("wordproblems", {"seed": 1.5}, "seed .* must be an integer"),
    ],
)
def test_mistakes_are_value_errors_that_name_the_remedy(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, **options)


def test_neither_torch_nor_transformers_is_imported() -> None:
    code = (
        "import sys, dlmsample.tasks as t; ex = t.load('wordproblems', limit=2)[1];"
        "[t.task_class(n) for n in t.list_tasks()];"
        "bad = {'torch', 'transformers', 'numpy', 'tokenizers', 'sympy', 'math_verify', 'ctypes'} & set(sys.modules);"
        "sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
