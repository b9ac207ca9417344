"""HumanEval and MBPP: code out of text, permission, and right verdicts on right and wrong programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlmsample.tasks import Example, load
from dlmsample.tasks.answers.code import code_of
from dlmsample.tasks.humaneval import body, completed
from dlmsample.tasks.programs import ProgramTask, Trial
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


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_packages_of_other_folders_are_there_or_missed_aloud(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of installed packages can be read; a source tree that a path file names cannot, and that is said."""
    loaded, example = task(name, tmp_path, allow_code_execution=True)
    text = "```python\nimport {0}\ndef twice(x):\n    return x * {0}.TWO\n```"
    for folder, package in (("site-packages", "two_there"), ("tree", "two_elsewhere")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{package}.py").write_text("TWO = 2\n")
        monkeypatch.syspath_prepend(tmp_path / folder)
    assert loaded.score(example, text.format("two_there")).correct
    with pytest.warns(
        RuntimeWarning, match="package two_elsewhere is installed here, but not where the sandbox may read"
    ):
        assert not loaded.score(example, text.format("two_elsewhere")).correct
    assert "package two_elsewhere is" in loaded.verdict(example, text.format("two_elsewhere")).output
    assert "is installed here" not in loaded.verdict(example, text.format("two_nowhere")).output


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
@pytest.mark.parametrize(
    "body",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "return type('E', (), {'__eq__': lambda self, other: True})()",
        "return type('E', (int,), {'__eq__': lambda self, other: True})()",
        "import sys\n    sys._getframe(1).f_globals.clear()\n    return 0",
        "return True",
    ],
)
def test_no_program_forges_its_verdict(name: str, body: str, tmp_path: Path) -> None:
    loaded, example = task(name, tmp_path, allow_code_execution=True)
    assert not loaded.score(example, f"```python\ndef twice(x):\n    {body}\n```").correct


@pytest.mark.usefixtures("sandbox")
def test_programs_are_modules(tmp_path: Path) -> None:
    program = """
from __future__ import annotations
import inspect, pickle
from dataclasses import dataclass

@dataclass
class Pair:
    first: int
    second: Pair | None = None

def twice(x):
    assert pickle.loads(pickle.dumps(Pair(1))) == Pair(1)
    assert "return 2 * x" in inspect.getsource(twice)
    return 2 * x
"""
    for name in ("humaneval", "mbpp"):
        loaded, example = task(name, tmp_path, allow_code_execution=True)
        done = loaded.verdict(example, f"~~~python{program}~~~")
        assert done.passed, done.output


def test_names_that_tests_need() -> None:
    reference = "import sys\nclass Node: pass\ndef sum(a, b): return a + b\n"
    tests = "import math\nroot = Node()\nassert sum(1, 2) == math.floor(3) == len(x for x in y) and sys"
    assert Trial("", tests, reference).names == ["Node", "sum", "sys", "y"]
    assert Trial("", tests, "def").names == ["Node", "sys", "y"]
    with pytest.raises(ValueError, match="published tests that are no Python"):
        _ = Trial("", "assert", "").names


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
