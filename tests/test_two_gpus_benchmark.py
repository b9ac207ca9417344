"""benchmarks/two_gpus.py where there is no GPU: it compares what it says it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import two_gpus

SMALL = ["--places", "cpu", "cpu", "--small", "--limit", "2", "--new", "8", "--part", "same"]


@pytest.mark.full
def test_every_policy_is_compared_on_both_models(tmp_path: Path) -> None:
    assert two_gpus.main([*SMALL, "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["same"]
    policies = {model: [row["policy"] for row in found if row["model"].startswith(model)] for model in ("nano", "sdar")}
    assert policies == {"nano": [*two_gpus.POLICIES, two_gpus.DSC], "sdar": list(two_gpus.POLICIES)}
    assert all(row["answers"] == 2 for row in found)


def test_one_answer_that_differs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(model: Any, text: str, prompts: Any, new: int, number: list[int] = [0]) -> list[Any]:  # noqa: B006
        number[0] += 1
        return [number[0]]

    monkeypatch.setattr(two_gpus, "answers", answers)
    assert two_gpus.main(SMALL) == 1
