"""A file of prompts and answers is a task: how it is read, how each scorer judges, and that grids take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.ablate.run import run
from dlmsample.ablate.spec.cells import resolve
from dlmsample.ablate.spec.grid import TaskEntry, parse
from dlmsample.tasks import Score, load

GRID = """
name: own
tasks: [{name: wordproblems, limit: 1}]
checkpoints: [{model: nano}]
policies: [{policy: unmask, tokens_per_step: 8}]
max_new_tokens: 16
"""


def rows(path: Path, *given: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    return str(path)


def verdict(tmp_path: Path, answer: Any, text: str, **options: Any) -> bool:
    task = load(rows(tmp_path / "a.jsonl", {"prompt": "?", "answer": answer}), **options)
    return task.score(task[0], text).correct


def test_a_file_is_read(tmp_path: Path) -> None:
    more = {"prompt": "b\u2028c", "answer": ["x", "y"], "reference": "so x", "topic": 5}
    path = rows(tmp_path / "a.jsonl", {"prompt": "a", "answer": 1.5}, more)
    task = load(path)
    assert [example.prompt for example in task] == ["a", "b\u2028c"]
    assert [example.answer for example in task] == ["1.5", "x"]
    assert [example.reference for example in task] == ["1.5", "so x"]
    assert task[1].meta["topic"] == 5
    assert len(load(path, limit=1)) == 1
    csv = tmp_path / "a.csv"
    csv.write_text("\ufeffprompt,answer\nq,1\n", encoding="utf-8")
    assert load(str(csv))[0].answer == "1"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([1], "row 1 is no object"),
        ({"prompt": "a"}, "row 1 has no 'answer'"),
        ({"answer": "a"}, "row 1 has no 'prompt'"),
        ({"prompt": " ", "answer": "a"}, "row 1: the prompt"),
        ({"prompt": 5, "answer": "a"}, "row 1: the prompt"),
        ({"prompt": "a", "answer": ""}, "row 1: the answer"),
        ({"prompt": "a", "answer": True}, "row 1: the answer"),
        ({"prompt": "a", "answer": []}, "row 1: the answer"),
        ({"prompt": "a", "answer": {"x": 1}}, "row 1: the answer"),
    ],
)
def test_rows_that_are_none(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        load(rows(tmp_path / "a.jsonl", row))
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file|cannot be read"):
        load(str(tmp_path / "none.jsonl"))
    with pytest.raises(ValueError, match="no rows"):
        load(rows(tmp_path / "empty.jsonl"))
    with pytest.raises(ValueError, match=r"unknown split.*test"):
        load(rows(tmp_path / "a.jsonl", {"prompt": "a", "answer": "b"}), split="valid")


@pytest.mark.parametrize(
    ("scorer", "answer", "text", "right"),
    [
        ("exact", "Paris", "Paris.", True),
        ("exact", "Paris", "It is Paris.", False),
        ("exact", "Paris", "I think that the answer is  paris", True),
        ("exact", ["UK", "United Kingdom"], "<answer>united  kingdom</answer> or so", True),
        ("exact", "4", "2 + 2 = 4.\n#### 4", True),
        ("exact", "4", "", False),
        ("contains", "Paris", "It is PARIS, of course", True),
        ("contains", "Par", "It is Paris", False),
        ("contains", "C++", "I use C++.", True),
        ("number", 18, "3 * 6 = 18.00 dollars", True),
        ("number", "1,018", "It is 1018", True),
        ("number", 18, "\\boxed{36/2}", True),
        ("number", 18, "none", False),
        ("choice", "B", "(B) because", True),
        ("choice", "(b)", "The answer is B.", True),
        ("choice", "A", "A cup of rice", False),
        ("choice", "C", "I would take option C", True),
    ],
)
def test_verdicts(tmp_path: Path, scorer: str, answer: Any, text: str, right: bool) -> None:
    assert verdict(tmp_path, answer, text, scorer=scorer) is right


def test_a_pattern(tmp_path: Path) -> None:
    options = {"scorer": "regex", "pattern": r"total: (\d+)"}
    assert verdict(tmp_path, 7, "total: 5, no: total: 7", **options)
    assert not verdict(tmp_path, 5, "total: 5, no: total: 7", **options)
    assert not verdict(tmp_path, 5, "none", **options)
    for wrong in ({"scorer": "regex"}, {"pattern": "x"}, {"scorer": "regex", "pattern": "("}):
        with pytest.raises(ValueError, match="pattern"):
            verdict(tmp_path, 5, "none", **wrong)


def test_a_function(tmp_path: Path) -> None:
    assert verdict(tmp_path, "abc", "cba", scorer=lambda example, text: text[::-1] == example.answer)
    assert verdict(tmp_path, "a", "b", scorer=lambda example, text: Score(True, text))
    with pytest.raises(ValueError, match=r"unknown scorer 'exakt'; did you mean 'exact'.*; or regex with a pattern"):
        verdict(tmp_path, "a", "a", scorer="exakt")


def test_a_function_from_a_file_needs_permission(tmp_path: Path) -> None:
    judge = tmp_path / "judge.py"
    judge.write_text("def score(example, text):\n    return len(text) == len(example.answer)\n")
    name = f"{judge}:score"
    with pytest.raises(ValueError, match="--allow-code-execution"):
        verdict(tmp_path, "ab", "xy", scorer=name)
    assert verdict(tmp_path, "ab", "xy", scorer=name, allow_code_execution=True)
    with pytest.raises(ValueError, match="no function 'skore'"):
        verdict(tmp_path, "ab", "xy", scorer=f"{judge}:skore", allow_code_execution=True)
    judge.write_text("1 / 0")
    with pytest.raises(ValueError, match=r"ZeroDivisionError|division"):
        verdict(tmp_path, "ab", "xy", scorer=name, allow_code_execution=True)


def test_a_changed_judge_is_another_example(tmp_path: Path) -> None:
    judge = tmp_path / "judge.py"
    path = rows(tmp_path / "a.jsonl", {"prompt": "?", "answer": "1"})
    entry = TaskEntry(name=path, options={"scorer": f"{judge}:score"})
    digests = []
    for body in ("return True", "return False"):
        judge.write_text(f"def score(example, text):\n    {body}\n")
        grid = parse(GRID).asking(entry).with_options({"allow_code_execution": True})
        digests.append(next(iter(resolve(grid).digests.values())))
    assert digests[0] != digests[1]


def test_a_grid_asks_a_file(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"prompt": "1 + 1 = ?", "answer": 2}, {"prompt": "2 + 2 = ?", "answer": 4})
    entry = TaskEntry(name=path, options={"scorer": "number"})
    found = run(parse(GRID), tmp_path / "out", task=entry, report=False)
    assert (found.cells, found.done, found.examples) == (1, 1, 2)


def test_the_list_of_tasks_says_so() -> None:
    from dlmsample.cli.listing.tables import tasks

    assert tasks()[-1]["name"] == "FILE.jsonl"
    assert "pattern" in tasks()[-1]["options"]
    assert "FILE.jsonl" not in ds.tasks.list_tasks()
