"""Rows of published files whose values are of another type, and files that hold no rows: one line, no traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlmsample.tasks import Example, load

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "gsm8k": ("test.jsonl", {"question": "2 * 9?", "answer": "18\n#### 18"}),
    "math500": ("test.jsonl", {"problem": "Half?", "solution": "so", "answer": "5", "level": 1}),
    "cmath": ("cmath_dev.jsonl", {"input": "几页？", "golden": "9", "grade": 1}),
    "triviaqa": ("test.jsonl", {"id": "t", "question": "Who?", "golden_answers": ["Mark Twain", "Twain"]}),
    "piqa": ("valid.jsonl", {"goal": "Make it.", "sol1": "Use a can.", "sol2": "Use a bag.", "label": 1}),
    "countdown": ("countdown_cd3_test.jsonl", {"input": "30,100,93", "output": "23"}),
    "humaneval": (
        "HumanEval.jsonl",
        {
            "task_id": "t",
            "prompt": "def f(x):\n",
            "entry_point": "f",
            "canonical_solution": " pass",
            "test": "M = 1",
        },
    ),
    "mbpp": (
        "mbpp.jsonl",
        {"task_id": 11, "text": "t", "code": "x = 1", "test_list": ["assert x"], "test_setup_code": ""},
    ),
}
OTHER: list[Any] = [None, True, 5, -1, 1.5, "", "x", [], {}, [[]], [{}], [None], {"a": 1}, 10**400]


def read(name: str, folder: Path) -> tuple[list[Example], str | None]:
    """The examples, or what is wrong with them."""
    try:
        return list(load(name, data_dir=folder)), None
    except ValueError as error:
        return [], str(error)


@pytest.mark.parametrize("name", ROWS)
def test_values_of_another_type(name: str, tmp_path: Path) -> None:
    """A row is read, or a ValueError on one line names the file and the row; what is read can be scored."""
    file, row = ROWS[name]
    path = tmp_path / file
    for field in row:
        for value in OTHER:
            path.write_text(f"{json.dumps(row)}\n{json.dumps({**row, field: value})}\n", encoding="utf-8")
            examples, said = read(name, tmp_path)
            if said is not None:
                assert f"{path}, row 2" in said, (field, value)
                assert "\n" not in said
            for example in examples:
                assert all(isinstance(said, str) for said in (example.prompt, example.answer, example.reference))
                if name not in ("math500", "humaneval", "mbpp"):
                    load(name, data_dir=tmp_path).score(example, "The answer is (A) 5.")


@pytest.mark.parametrize("content", ["5", "null", '"x"', "[5]", "[[]]", '{"a": 1}', "9" * 5000, "[" * 5000, "\x00"])
@pytest.mark.parametrize("file", ["train.jsonl", "unfiltered-web-train.json"])
def test_files_without_rows(file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.json") as raised:
        list(load("triviaqa", "train", data_dir=tmp_path))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500
