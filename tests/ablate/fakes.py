"""A store in memory, and results made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest

from dlmsample.ablate.storage.records import NAMES, CellInfo, ExampleResult, ResultColumns, ResultSource


def answer(index: int, correct: bool, **changes: Any) -> ExampleResult:
    """A result whose gold answer is 14."""
    given = ExampleResult(
        index=index,
        prompt=f"Problem {index}?",
        reference="7 * 2 = 14.\n#### 14",
        answer="14",
        text=" 7 * 2 = 14.\n#### 14" if correct else " 7 * 2 = 13.\n#### 13",
        extracted="14" if correct else "13",
        correct=correct,
        steps=9,
        nfe=10,
        prefill=1,
        tokens=20,
        fills=24,
        replaces=3,
        remasks=1,
        forced=False,
        finish_reason="eos",
        wall_seconds=0.25,
        positions=352,
    )
    return replace(given, **changes)


def answers(verdicts: str, **changes: Any) -> list[ExampleResult]:
    """One result a letter: 1 is right, 0 wrong, a space is no result."""
    return [answer(at, verdict == "1", **changes) for at, verdict in enumerate(verdicts) if verdict != " "]


def columns(results: Sequence[ExampleResult]) -> ResultColumns:
    """The same column by column."""
    return ResultColumns.of(tuple(getattr(result, name) for name in NAMES) for result in results)


def cell(policy: str, checkpoint: str = "nano", task: str = "wordproblems", seed: int = 0, **changes: Any) -> CellInfo:
    """A finished cell; its key is made of its place."""
    whole = re.fullmatch(r"\w+\((.*)\)", policy)
    options: dict[str, Any] = {"given": policy}
    if whole is not None:
        options = {name: json.loads(value) for name, value in re.findall(r"(\w+)=([\d.]+)", whole[1])}
    given = CellInfo(
        key=f"{task}-{checkpoint}-{policy}-{seed}",
        task=task,
        checkpoint=checkpoint,
        policy=policy,
        policy_name=policy.partition("(")[0],
        options=options,
        seed=seed,
        block_length=32,
        temperature=0.0,
        max_new_tokens=64,
        expected=0,
        done=0,
        status="done",
    )
    return replace(given, **changes)


@dataclass
class FakeStore:
    """What the report asks of a store."""

    held: Sequence[tuple[CellInfo, list[ExampleResult]]]
    given: dict[str, Any] = field(default_factory=lambda: {"name": "demo"})
    notes: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def grid(self) -> dict[str, Any]:
        return self.given

    def about(self) -> dict[str, str]:
        return self.notes

    def cells(self) -> list[CellInfo]:
        return [replace(cell, done=len(given), expected=max(cell.expected, len(given))) for cell, given in self.held]

    def apart(self) -> list[CellInfo]:
        return []

    def sources(self) -> list[ResultSource]:
        return []

    def examples(
        self, cell_key: str, indices: Sequence[int] | None = None, environment: int | None = None
    ) -> list[ExampleResult]:
        given = next(given for cell, given in self.held if cell.key == cell_key)
        return given if indices is None else [result for result in given if result.index in indices]

    def columns(self, cell_key: str, environment: int | None = None) -> ResultColumns:
        return columns(self.examples(cell_key))

    def used_by(self, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Reports are made of this store, whatever their folder."""
        monkeypatch.setattr("dlmsample.ablate.report.write.Store", lambda folder, accept_versions: self)
        return self


def written(store: FakeStore, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, str]:
    """Name -> text of every file of the report."""
    from dlmsample.ablate.report.write import write

    store.used_by(monkeypatch)
    folder.mkdir(exist_ok=True)
    return {path.name: path.read_bytes().decode() for path in write(folder, **options)}
