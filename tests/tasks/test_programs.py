"""HumanEval and MBPP: code out of text, permission, and right verdicts on right and wrong programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlmsample.tasks import Example, load
from dlmsample.tasks.extract_code import code_of
from dlmsample.tasks.humaneval import body, completed
from dlmsample.tasks.programs import ProgramTask
from dlmsample.tasks.sandbox import SandboxError, check

PROMPT = 'import math\n\n\ndef helper(x):\n    return x\n\n\ndef twice(x):\n    """ Twice x. """\n'
HUMANEVAL = {
    "task_id": "Mini/0",
    "prompt": PROMPT,
    "entry_point": "twice",
    "canonical_solution": "    return 2 * helper(x)\n",
    "test": "\n\ndef check(candidate):\n    assert candidate(3) == 6\n    assert candidate(0) == 0\n",
}
MBPP = {
    "task_id": 11,
    "text": "Write a function to double.",
    "code": "def twice(x):\r\n    return 2 * x",
    "test_setup_code": "three = 3",
    "test_list": ["assert twice(three) == 6", "assert twice(0) == 0"],
}


def task(name: str, folder: Path, **options: Any) -> tuple[ProgramTask, Example]:
    file, row = {"humaneval": ("HumanEval.jsonl", HUMANEVAL), "mbpp": ("mbpp.jsonl", MBPP)}[name]
    (folder / file).write_text(json.dumps(row) + "\n")
    loaded = load(name, data_dir=folder, **options)
    assert isinstance(loaded, ProgramTask)
    return loaded, loaded[0]


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_nothing_runs_without_permission(name: str, tmp_path: Path) -> None:
    loaded, example = task(name, tmp_path)
    assert example.prompt
    for refused in (loaded.prepare, lambda: loaded.score(example, example.reference)):
        with pytest.raises(ValueError, match="allow_code_execution=True"):
            refused()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow_code_execution": "yes"}, "true or false"),
        ({"timeout": 0}, "number of seconds"),
        ({"timeout": True}, "number of seconds"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        task("humaneval", tmp_path, **options)
    with pytest.raises(ValueError, match="full or sanitized"):
        task("mbpp", tmp_path, version="half")


@pytest.fixture
def sandbox() -> None:
    try:
        check()
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("```python\ndef twice(x):\n    return 2 * x\n```", True),
        ("Sure! Here it is:\n```\ndef twice(x):\n    return x + x\n```\nIt doubles.", True),
        ("def twice(x):\n    return 2 * x", True),
        ("```python\ndef twice(x):\n    return 2 * x", True),
        ("```python\ndef twice(x):\n    return x * x\n```", False),
        ("```python\ndef twice(x):\n    return 6\n```", False),
        ("```python\ndef triple(x):\n    return 3 * x\n```", False),
        ("```python\ndef twice(x):\n    while True: pass\n```", False),
        ("```python\nimport sys\nsys.exit(0)\n```", False),
        ("I cannot do that.", False),
        ("", False),
    ],
)
def test_verdicts(name: str, text: str, correct: bool, tmp_path: Path) -> None:
    loaded, example = task(name, tmp_path, allow_code_execution=True, timeout=1.0 if "while" in text else 20.0)
    assert loaded.score(example, text).correct is correct


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_the_reference_passes(name: str, tmp_path: Path) -> None:
    loaded, example = task(name, tmp_path, allow_code_execution=True)
    assert loaded.score(example, example.reference).correct
    assert loaded.verdict(example, "```\nwhile True: pass\n" + "#" * 200_000).output == "the program is too long"


@pytest.mark.usefixtures("sandbox")
def test_a_body_alone_completes_the_prompt(tmp_path: Path) -> None:
    loaded, example = task("humaneval", tmp_path, allow_code_execution=True)
    for text in (
        "    return 2 * helper(x)",
        "return helper(x) * 2\n\nprint(twice(2))",
        "\n    y = x\n\n    return x + y\n# end",
    ):
        assert loaded.score(example, text).correct, text


def test_code_in_text() -> None:
    assert code_of("no block") == "no block"
    assert code_of("[BEGIN]\nx\n[DONE]\ny") == "\nx\n"
    assert code_of("x\n[DONE]\ny") == "x\n"
    assert code_of("```\na\n```\n```python\ndef f(): 1\n```", "f") == "def f(): 1\n"
    assert code_of("```\na\n```\n```\nb\n```", "f") == "a\n"
    assert code_of("  ```py\na\n  ```") == "a\n"


def test_what_continues_a_function() -> None:
    assert body("    x\n\n    y\nz") == "    x\n\n    y\n"
    assert body("x\n    y") == "    x\n    y"
    assert completed(PROMPT, "twice", "    return 1\n") == PROMPT + "    return 1"
    assert completed(PROMPT, "twice", "def twice(x):\n    return 1").startswith("import math\n\n\ndef helper")


def test_mbpp_splits_follow_the_task_numbers(tmp_path: Path) -> None:
    rows = [{**MBPP, "task_id": number} for number in (1, 10, 11, 510, 511, 600, 601, 974)]
    (tmp_path / "mbpp.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {
        s: [e.meta["task_id"] for e in load("mbpp", s, data_dir=tmp_path)] for s in ("prompt", "test", "valid", "train")
    }
    assert found == {"prompt": [1, 10], "test": [11, 510], "valid": [511, 600], "train": [601, 974]}
