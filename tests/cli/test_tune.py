"""``dlmsample tune``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dlmsample as ds
from tests.cli.conftest import Call, is_mistake

FEW = ("--limit", "2", "--check", "2", "--max-new-tokens", "32", "--budget", "40")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    rows = (
        {"prompt": f"Ann had {n} pens and bought 2 more. How many pens?", "answer": str(n + 2)} for n in range(3, 8)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_file_of_one_s_own(call: Call, mine: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.json"
    words = ("tune", "nano", "--task", str(mine), "--scorer", "number", *FEW, "--policy", "unmask", "--policy", "t2m")
    said = call(*words, "--out", str(tmp_path / "out"), "--save", str(best))
    assert said.code == 0, said.err
    assert "chosen on 2 examples, checked on 2 others" in said.out
    assert f"--policy {best}" in said.out
    made = json.loads(call(*words, "--out", str(tmp_path / "out"), "--json").out)
    (winner,) = [row for row in made["rows"] if row["best"]]
    assert ds.policy(best) == ds.policy(winner["policy"], **winner["options"])
    assert {row["policy"] for row in made["rows"]} == {"unmask", "t2m"}
    assert made["missing"] == []
    assert made["failed"] == {}


def test_candidates_of_a_grid_file(call: Call, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("policies: [{policy: unmask, tokens_per_step: [4, 8], checkpoints: [other]}]", encoding="utf-8")
    words = ("tune", "nano", "--task", "wordproblems.short", *FEW, "--budget", "0.5", "--candidates", str(grid))
    said = call(*words, "--out", str(tmp_path / "out"))
    assert said.code == 1
    assert "0.5 forwards: no candidate takes so few" in said.out
    assert "40 forwards: unmask" in said.out


def test_without_a_head_dsc_is_no_candidate(call: Call, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("policies: [{policy: dsc}, {policy: unmask, tokens_per_step: 8}]", encoding="utf-8")
    words = ("tune", "nano", "--task", "wordproblems.short", *FEW, "--candidates", str(grid), "--json")
    rows = json.loads(call(*words, "--out", str(tmp_path / "out")).out)["rows"]
    assert [row["policy"] for row in rows] == ["unmask"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policy", "unmsk"), "unknown candidate 'unmsk'; did you mean 'unmask'?"),
        (("--budget", "0"), "give a budget of more than 0 forwards"),
        (("--candidates", "nowhere.yaml"), "nowhere.yaml"),
        (("--task", "nosuch"), "nosuch"),
        (("--adapter", "nosuch"), "nosuch"),
    ],
)
def test_mistakes_in_one_line(words: tuple[str, ...], said: str, call: Call, tmp_path: Path) -> None:
    is_mistake(call("tune", "nano", "--out", str(tmp_path / "out"), *words), said)
