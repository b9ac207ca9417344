"""Reading benchmarks: folders, formats, the hub, and what is said when something is missing."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlmsample.tasks import list_tasks, load, task_class, task_options
from dlmsample.tasks.benchmark import Benchmark

ROW = {"question": "q", "answer": "#### 1"}
BENCHMARKS = [name for name in list_tasks() if issubclass(task_class(name), Benchmark)]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_all_are_there() -> None:
    assert BENCHMARKS == ["cmath", "countdown", "gsm8k", "humaneval", "math500", "mbpp", "piqa", "sudoku", "triviaqa"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_says_where_it_comes_from_and_what_counts(name: str) -> None:
    cls = task_class(name)
    assert cls.name == name
    assert cls.source != "generated"
    assert cls.scorer
    assert task_options(name)["data_dir"] is None


def test_a_folder_of_folders_or_the_folder_itself(tmp_path: Path) -> None:
    write(tmp_path / "gsm8k" / "test.jsonl", [ROW] * 3)
    for folder in (tmp_path, tmp_path / "gsm8k", str(tmp_path)):
        task = load("gsm8k", data_dir=folder)
        assert (len(task), task.split) == (3, "test")
    assert task.origin == str(tmp_path / "gsm8k" / "test.jsonl")
    assert len(load("gsm8k", limit=2, data_dir=tmp_path)) == 2
    assert len(load("gsm8k", limit=20, data_dir=tmp_path)) == 3


def test_formats(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "test.jsonl.gz", "wt") as file:
        file.write(json.dumps(ROW) + "\n\n")
    assert len(load("gsm8k", data_dir=tmp_path)) == 1
    rows = [
        {"prompt": "p", "code": "x", "task_id": n, "test_list": ["assert x"], "test_imports": ["import x"]}
        for n in (1, 11)
    ]
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps(rows))
    task = load("mbpp", data_dir=tmp_path, version="sanitized")
    assert [(example.meta["task_id"], example.meta["setup"]) for example in task] == [(11, "import x\n")]
    with pytest.raises(ValueError, match=r"no rows of mbpp/train"):
        load("mbpp", split="train", data_dir=tmp_path, version="sanitized")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no rows of gsm8k/test"),
        ('{"question": "q"}\n', r"test\.jsonl, row 1: no field answer"),
        ('{"question": "q", "answer": "1"}\n{', r"test\.jsonl, line 2 is not JSON"),
        ("[1]\n", "row 1: no field question"),
    ],
)
def test_bad_files_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        load("gsm8k", data_dir=tmp_path)


_ENDS = [chr(code) for code in (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029)]


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_a_newline_ends_a_row_and_a_byte_order_mark_is_none_of_it(mark: str, end: str, tmp_path: Path) -> None:
    """Every other character that Unicode or Python calls a line's end stays in the text."""
    rows = [{"question": f"a{char}b", "answer": "#### 1"} for char in (*_ENDS, "\ufeff")]
    text = "".join(json.dumps(row, ensure_ascii=ord(row["question"][1]) < 32) + end for row in rows)
    (tmp_path / "test.jsonl").write_bytes((mark + text).encode())
    task = load("gsm8k", data_dir=tmp_path)
    assert [example.prompt.rpartition("\n\n")[2] for example in task] == [row["question"] for row in rows]
    (tmp_path / "4x4_test_sudoku.csv").write_bytes(f"{mark}Puzzle,Solution{end}1,2{end}".encode())
    assert load("sudoku", data_dir=tmp_path)[0].answer == "2"
    (tmp_path / "sanitized-mbpp.json").write_bytes(
        (mark + json.dumps([{"prompt": "p\u2028", "code": "x", "task_id": 11, "test_list": ["assert x"]}])).encode()
    )
    assert load("mbpp", data_dir=tmp_path, version="sanitized")[0].meta["task_id"] == 11
    (tmp_path / "valid.jsonl").write_bytes(f'{mark}{{"goal": "g", "sol1": "x", "sol2": "y"}}{end}'.encode())
    (tmp_path / "valid-labels.lst").write_bytes(f"{mark}1{end}".encode())
    assert load("piqa", data_dir=tmp_path)[0].answer == "B"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("test.jsonl", '{"question": "q", "answer": "1"}\n{"question": "q", "answer": "1", "answer": "2"}\n'),
        ("test.jsonl", '{"question": "q", "answer": "1"}\n{"question": "q", "answer": {"answer": 1, "answer": 1}}\n'),
    ],
)
def test_a_key_that_is_there_twice_is_named(file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=r"test\.jsonl, line 2: the key 'answer' is there twice"):
        load("gsm8k", data_dir=tmp_path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"test\.jsonl cannot be read"):
        load("gsm8k", data_dir=tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"found no train\.jsonl or train\.jsonl\.gz in "):
        load("gsm8k", split="train", data_dir=tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        load("gsm8k", data_dir=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="choose from train, valid"):
        load("piqa", split="test", data_dir=tmp_path)


def test_without_a_folder_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*arguments: Any, **options: Any) -> list[dict[str, str]]:
        asked.append((*arguments, options["split"]))
        return [ROW]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    task = load("gsm8k")
    assert (len(task), task.origin) == (1, "hub:openai/gsm8k")
    assert asked == [("openai/gsm8k", "main", "test")]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_without_hub_or_package_the_folder_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"give data_dir \(--data-dir DIR\), a folder with "):
        load(name)

    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("no\nroute")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline))
    with pytest.raises(ValueError, match=r"give data_dir \(--data-dir DIR\), a folder with ") as caught:
        load(name)
    assert "\n" not in str(caught.value)
