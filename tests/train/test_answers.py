"""A model's own answers, as training rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dlmsample as ds
from dlmsample.train.data import answers
from dlmsample.train.data.answers import Share, own_answers

SHORT = (Share(1.0, "wordproblems", {"min_steps": 2, "max_steps": 2}),)


def test_right_answers_are_kept_as_they_were_given(nano: ds.Denoiser) -> None:
    task = ds.tasks.load("wordproblems", split="train", limit=2, min_steps=2, max_steps=2)
    examples = list(task)
    rows = list(own_answers(nano, 2, SHORT, max_new_tokens=64))
    out = ds.Sampler(nano, ds.Unmask()).generate([e.prompt for e in examples], max_new_tokens=64)
    right = [task.score(e, text).correct for e, text in zip(examples, out.texts, strict=True)]
    assert 0 < len(rows) <= 2
    assert [row["prompt"] for row in rows] == [e.prompt for e, good in zip(examples, right, strict=True) if good]
    given = dict(zip((e.prompt for e in examples), out.tokens, strict=True))
    for row in rows:
        assert nano.encode(row["answer"], chat=False) == given[row["prompt"]]


def test_an_answer_that_did_not_end_is_left_out(nano: ds.Denoiser) -> None:
    assert not list(own_answers(nano, 2, SHORT, max_new_tokens=3))


def test_the_command_writes_what_data_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "own_answers", lambda *given: iter([{"prompt": "é?", "answer": " 1\n#### 1"}]))
    file = tmp_path / "new" / "own.jsonl"
    monkeypatch.setattr("sys.argv", ["answers", "--out", str(file), "--device", "cpu"])
    answers.main()
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [
        {"prompt": "é?", "answer": " 1\n#### 1"}
    ]
