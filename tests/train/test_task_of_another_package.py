"""Tasks that other packages declare: one with a function ``problem`` beside its class is training data."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from dlmsample.support import registry
from dlmsample.tasks import Example, Score, Task
from dlmsample.train.config import TrainError
from dlmsample.train.data.source import generator


class Sums(Task):
    name = "sums"

    def __len__(self) -> int:
        return 10

    def example(self, index: int) -> Example:
        return problem(self.split, index)

    def score(self, example: Example, text: str) -> Score:
        return Score(text == example.answer, text)


def problem(split: str, index: int) -> Example:
    return Example(f"{index} + 1 = ?", str(index + 1), str(index + 1))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("sums", f"{__name__}:Sums", "dlmsample.tasks"),
        EntryPoint("broken", "no.such.package:Task", "dlmsample.tasks"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])


def test_its_problems_are_training_data(installed: None) -> None:
    assert generator("sums") is problem
    assert generator("wordproblems.short")("train", 0).prompt


def test_a_mistake_beside_it_is_told_in_one_line(installed: None) -> None:
    with pytest.raises(TrainError, match=r"unknown task 'sumz' .*; tasks that generate data: .*sums") as told:
        generator("sumz")
    assert "broken" not in str(told.value).partition("tasks that generate data")[2]
    with pytest.raises(TrainError, match="unknown task 'gsm8k'"):
        generator("gsm8k")
