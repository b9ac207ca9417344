"""``dlmsample eval`` of a file of one's own, without lm-eval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call, is_mistake


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    rows = [(n, str(n + 2)) for n in range(3, 6)] + [(9, "no number")]
    text = "".join(
        json.dumps({"prompt": f"Ann had {n} pens and bought 2 more. How many pens does Ann have?", "answer": a}) + "\n"
        for n, a in rows
    )
    path.write_text(text, encoding="utf-8")
    return path


def test_how_many_are_right(call: Call, mine: Path) -> None:
    words = ("eval", "--tasks", str(mine), "--scorer", "contains", "--max-new-tokens", "32")
    said = call(*words)
    assert said.code == 0, said.err
    assert "3 of 4 right, 75.0 % [30.1, 95.4]; " in said.out
    assert "forwards an answer" in said.out
    made = json.loads(call(*words, "--limit", "2", "--policy", "t2m:fill_threshold=0.5", "--json").out)
    (row,) = made["tasks"]
    assert (row["examples"], row["right"]) == (2, 2)
    assert (made["policy"]["policy"], made["policy"]["fill_threshold"]) == ("t2m", 0.5)


def test_several_files(call: Call, mine: Path) -> None:
    said = call("eval", "--tasks", f"{mine},{mine}", "--limit", "1", "--max-new-tokens", "16")
    assert said.out.count(" of 1 right") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tasks", "mine.jsonl,gsm8k"), "make two commands"),
        (("--tasks", "mine.jsonl", "--", "--apply_chat_template"), "leave them out"),
        (("--tasks", "gsm8k", "--scorer", "number"), "--scorer goes with a file of your own"),
        (("--tasks", "gsm8k", "--json"), "--json goes with a file of your own"),
        (("--tasks", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--tasks", "nowhere.jsonl", "--policy", "t2n"), "did you mean 't2t'"),
    ],
)
def test_mistakes_in_one_line(words: tuple[str, ...], said: str, call: Call) -> None:
    is_mistake(call("eval", *words), said)


def test_a_file_may_be_called_like_a_task(call: Call, mine: Path) -> None:
    named = mine.rename(mine.with_name("wordproblems.jsonl"))
    assert call("eval", "--tasks", str(named), "--limit", "1", "--max-new-tokens", "8").code == 0
    is_mistake(call("eval", "--tasks", "wordproblems.short"), "tune or ablate --task wordproblems.short")
