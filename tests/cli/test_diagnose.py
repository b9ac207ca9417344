"""``dlmsample diagnose``: tables, JSON, and every mistake in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import dlmsample
from dlmsample.heads import CorrectionHead, HeadConfig, save_head
from tests.cli.conftest import Call, is_mistake
from tests.cli.test_process import imported

FEW = ("--limit", "3", "--mask-rate", "0.9")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A head that fits nano and knows nothing."""
    width = dlmsample.load("nano").module.config.hidden_size
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = CorrectionHead(HeadConfig(hidden_size=width, width=8, layers=1, heads=1, mlp=8))
    return str(save_head(made, tmp_path_factory.mktemp("head")))


def test_json_and_tables_say_the_same(call: Call, head: str) -> None:
    code, out, err = call("diagnose", "nano", *FEW, "--head", head, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    data = json.loads(out)
    assert (data["task"], data["split"], data["options"], data["examples"]) == ("wordproblems", "valid", {}, 3)
    assert (data["model"], data["head"], data["block_length"]) == ("nano", head, 32)
    assert set(data["stress"]) == {"mask_rate", "commit_rate", "masked", "wrong", "preserved", "recovered", "kept"}
    assert data["detection"]["positions"] > 50

    code, text, err = call("diagnose", "nano", *FEW, "--head", head)
    assert (code, err) == (0, "")
    lines = [line.split() for line in text.splitlines()]
    kept = data["stress"]["kept"]
    line = next(line for line in lines if line[:1] == ["kept"])
    assert line[-3:] == [str(kept["count"]), "of", str(kept["total"])]
    assert f"{100 * kept['value']:.2f}" in line
    for row in data["calibration"]:
        wanted = [f"{row['mask_rate']:g}", str(row["positions"]), f"{100 * row['accuracy']:.2f}", "%"]
        assert any(line[:4] == wanted for line in lines)
    assert [str(data["detection"]["positions"])] in [line[:1] for line in lines]
    assert f"{data['detection']['auc']:.3f}" in text


def test_options_reach_the_library(call: Call) -> None:
    words = (
        "--set",
        "min_steps=2",
        "--set",
        "max_steps=2",
        "--seed",
        "4",
        "--epsilon",
        "0.2",
        "--edit-threshold",
        "0.9",
    )
    one = call("diagnose", "nano", "--limit", "2", *words, "--split", "test", "--batch-size", "1", "--json")
    assert (one.code, one.err) == (0, "")
    data = json.loads(one.out)
    assert data["options"] == {"min_steps": 2, "max_steps": 2}
    assert (data["split"], data["seed"], data["detection"], data["head"]) == ("test", 4, None, None)
    assert (data["stuck"]["epsilon"], data["stuck"]["edit_threshold"]) == (0.2, 0.9)


def test_narrow_terminal(terminal_call: Call) -> None:
    page = terminal_call("diagnose", "nano", *FEW, NO_COLOR="1")
    assert page.code == 0
    tables = [line for line in page.out.splitlines() if " %" in line and ":" not in line]
    assert tables
    assert max(map(len, tables)) <= 80


def test_without_a_wrong_commit_the_remedy_is_named(call: Call) -> None:
    few = call("diagnose", "nano", "--limit", "2", "--mask-rate", "0.1")
    assert (few.code, few.err) == (0, "")
    assert "raise --mask-rate" in few.out
    assert "raise --mask-rate" not in call("diagnose", "nano", "--limit", "2", "--mask-rate", "1").out


def test_output_file(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert call("diagnose", "nano", *FEW, "--json", "--output", str(path)) == (0, "", "")
    assert json.loads(path.read_text())["examples"] == 3


MISTAKES = {
    "no model": ((), "MODEL"),
    "model": (("nanno",), "did you mean 'nano'"),
    "adapter": (("nano", "--adapter", "nosuch"), "unknown adapter"),
    "head": (("nano", "--head", "nosuch"), "unknown head"),
    "limit": (("nano", "--limit", "0"), "'--limit'"),
    "task": (("nano", "--task", "wordproblem"), "did you mean 'wordproblems'"),
    "split": (("nano", "--split", "validation"), "choose from train, valid, test"),
    "task option": (("nano", "--set", "min_step=2"), "did you mean 'min_steps'"),
    "mask rate": (("nano", "--mask-rate", "0"), "above 0"),
    "epsilon": (("nano", "--epsilon", "2"), "from 0 to 1"),
    "batch size": (("nano", "--batch-size", "0"), "1 or more"),
    "option": (("nano", "--hed", "x"), "did you mean '--head'"),
    "output": (("nano", "--output", "/nowhere/at/all"), "create it"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_with_the_remedy(case: str, call: Call) -> None:
    words, remedy = MISTAKES[case]
    is_mistake(call("diagnose", *words), remedy)


def test_model_without_tokenizer(call: Call, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setattr(dlmsample, "load", lambda name, **options: replace(tiny, tokenizer=None))
    code, out, err = call("diagnose", "tiny")
    assert (code, out) == (2, "")
    assert "no tokenizer" in err


def test_examples_too_long_for_the_model(call: Call, tiny: Any) -> None:
    code, out, err = call("diagnose", "tiny", "--limit", "2")
    assert (code, out) == (2, "")
    assert "256 positions" in err


@pytest.mark.parametrize("args", [["diagnose", "--help"], ["--help"]])
def test_help_is_light(args: list[str], call: Call) -> None:
    assert imported(*args) == (0, [])
    assert "diagnose" in call(*args).out


def test_early_mistakes_import_nothing_heavy() -> None:
    assert imported("diagnose", "nano", "--task", "x") == (2, [])
