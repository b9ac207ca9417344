"""Your own task: a file with a prompt and an answer in every row."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlmsample.support.registry import unknown
from dlmsample.support.text import one_line
from dlmsample.tasks.answers.scorers import SCORERS, Scorer, matching
from dlmsample.tasks.base import Example, Score, Task
from dlmsample.tasks.benchmark import Row, read_rows

#: Endings by which a file is told from the name of a task.
ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".csv")
_KEYS = ("prompt", "answer", "reference")
_ROW = '{"prompt": "...", "answer": "..."}'


def is_file_task(name: str) -> bool:
    """Whether the name of a task is the path of a file with rows.

    Example:
        >>> is_file_task("mine.jsonl"), is_file_task("gsm8k")
        (True, False)
    """
    return name.endswith(ENDINGS)


class OwnTask(Task):
    """Your own rows: ``{"prompt": ..., "answer": ...}``, one JSON object a line; loaded by the path of the file.

    ``answer`` is a text, a number, or a list of answers that all count as right; ``reference`` may hold a worked
    solution. Other keys are kept in the example's ``meta``. The file is the split ``test``.

    Args:
        path: of a .jsonl (gzipped or not), .json (a list) or .csv file.
        scorer: ``exact``, ``contains``, ``number``, ``choice`` (a letter), ``regex`` with a ``pattern``, a name that
            an installed package declares in the entry-point group ``dlmsample.scorers``, ``FILE.py:FUNCTION``, or, in
            Python, a function. A function takes the example and the text, and returns True or False, or a
            :class:`~dlmsample.tasks.base.Score`.
        pattern: for ``regex``: its last match, or that of its first group, is compared with the answer.
        allow_code_execution: needed for ``FILE.py:FUNCTION``, whose code is run in this process.

    Raises:
        ValueError: a file that cannot be read, a row without its keys, or a scorer that does not exist.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "mine.jsonl"
        ...     _ = path.write_text('{"prompt": "12 + 3 = ?", "answer": 15}\\n')
        ...     task = OwnTask(path=str(path), scorer="number")
        >>> task.score(task[0], "It is 15.").correct
        True
    """

    name = "own"
    source = "your file"
    scorer = "as you say: exact, contains, number, choice, regex, or your function"
    splits = ("test",)

    def __init__(
        self,
        split: str = "test",
        limit: int | None = None,
        *,
        path: str = "",
        scorer: str | Scorer = "exact",
        pattern: str | None = None,
        allow_code_execution: bool = False,
    ) -> None:
        super().__init__(split, limit)
        self.path = Path(path).expanduser()
        self._score = _scorer(scorer, pattern, allow_code_execution)
        # the code that judges is part of every example's identity: a grid asks again when it has changed
        judge = {"scorer": _digest(scorer)} if isinstance(scorer, str) and ".py:" in scorer else {}
        rows = read_rows(self.path)
        self._examples = [_example(row, f"{path}, row {at}", judge) for at, row in enumerate(rows, 1)][:limit]
        if not self._examples:
            raise ValueError(f"{path} holds no rows: write one {{'prompt': ..., 'answer': ...}} a line")

    def __len__(self) -> int:
        return len(self._examples)

    def example(self, index: int) -> Example:
        """The row at ``index``."""
        return self._examples[index]

    def score(self, example: Example, text: str) -> Score:
        """What the scorer says of the text."""
        said: Any = self._score(example, text)
        return said if isinstance(said, Score) else Score(bool(said), None)


def _digest(scorer: str) -> str:
    return hashlib.sha256(Path(scorer.rpartition(":")[0]).expanduser().read_bytes()).hexdigest()


def _example(row: Row, where: str, more: Mapping[str, str]) -> Example:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is no object: write {_ROW}")
    for key in _KEYS[:2]:
        if row.get(key) is None:
            raise ValueError(f"{where} has no {key!r}: write {_ROW}")
    if not isinstance(row["prompt"], str) or not row["prompt"].strip():
        raise ValueError(f"{where}: the prompt must be a text that is not blank")
    given = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
    if not given or not all(_is_answer(answer) for answer in given):
        raise ValueError(f"{where}: the answer must be a text, a number, or a list of them")
    answers = tuple(str(answer) for answer in given)
    meta = {key: value for key, value in row.items() if key not in _KEYS}
    return Example(
        row["prompt"], answers[0], str(row.get("reference") or answers[0]), {**meta, **more, "answers": answers}
    )


def _is_answer(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip() != ""


def _scorer(scorer: Any, pattern: str | None, allow: bool) -> Any:
    if callable(scorer):
        return scorer
    if (scorer == "regex") != (pattern is not None):
        raise ValueError("the scorer regex and a pattern belong together: give both, or neither")
    if pattern is not None:
        return matching(pattern)
    if not isinstance(scorer, str):
        raise ValueError(f"scorer is a name, FILE.py:FUNCTION or a function, not {scorer!r:.40}")
    file, _, function = scorer.rpartition(":")
    if file.endswith(".py"):
        return _from_file(file, function, allow)
    if scorer not in SCORERS:
        raise ValueError(f"{unknown('scorer', scorer, SCORERS)}; or regex with a pattern, or FILE.py:FUNCTION")
    return SCORERS[scorer]


def _from_file(file: str, function: str, allow: bool) -> Any:
    if not allow:
        raise ValueError(f"scorer {file}:{function} runs code of yours: allow it with --allow-code-execution")
    path = Path(file).expanduser()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    try:
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:  # it is a program of the user's
        raise ValueError(f"scorer {file} cannot be run: {one_line(error, 200)}") from error
    found = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"{file} has no function {function!r}: name one, like {path.name}:score")
    return found
