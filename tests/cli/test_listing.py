"""``policies``, ``models``, ``tasks``."""

from __future__ import annotations

import json
import re

import pytest

import dlmsample
from dlmsample.cli.listing import tables
from tests.cli.conftest import Call


def test_policies_with_defaults_and_papers(call: Call) -> None:
    code, out, err = call("policies")
    assert (code, err) == (0, "")
    rows = dict(re.findall(r"^(\w+)\n((?: .*\n)+)", out, re.MULTILINE))
    assert list(rows) == [*dlmsample.list_policies(), "chain", "backplay"]
    assert all("arXiv:" in row for name, row in rows.items() if name != "chain")
    assert "tokens_per_step=null" in rows["unmask"]
    assert "max_ratio=0.25" in rows["t2m"]


@pytest.mark.parametrize("command", ["policies", "models", "tasks"])
def test_json_lists(command: str, call: Call) -> None:
    code, out, err = call(command, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert rows
    assert all(row["name"] and row["summary"] for row in rows)


def test_json_defaults_make_the_policy(call: Call) -> None:
    for row in json.loads(call("policies", "--json").out):
        made = dlmsample.policy(row["name"], **row["options"])
        assert made == dlmsample.policy(row["name"], **{**row["options"], **made.model_dump()})
        assert made.model_dump().items() <= row["options"].items()


def test_tables_name_what_there_is(call: Call) -> None:
    assert "nano" in call("models").out
    assert "wordproblems" in call("tasks").out


def test_tasks_say_where_they_come_from_and_what_counts(call: Call) -> None:
    rows = {row["name"]: row for row in json.loads(call("tasks", "--json").out)}
    assert {"gsm8k", "math500", "humaneval", "mbpp", "cmath", "triviaqa", "piqa", "countdown", "sudoku"} < rows.keys()
    assert rows["gsm8k"]["splits"] == ["train", "test"]
    assert rows["humaneval"]["options"]["allow_code_execution"] is False
    assert all(row["source"] and row["scorer"] and row["splits"] for row in rows.values())
    assert "openai/human-eval" in " ".join(call("tasks").out.split())


def test_adapters_and_heads_stand_under_their_model(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"body": "qwen3", "block_length": 32}
    rows = [
        {"name": "one", "summary": "s", **facts, "adapters": [], "heads": []},
        {
            "name": "two",
            "summary": "t",
            **facts,
            "adapters": [{"name": "x", "summary": "about x"}],
            "heads": [{"name": "y", "summary": "about y"}],
        },
    ]
    monkeypatch.setattr(tables, "models", lambda: rows)
    assert json.loads(call("models", "--json").out) == rows
    lines = [line.split() for line in call("models").out.splitlines()]
    assert lines[0] == ["name", "summary", "body", "block", "length"]
    assert lines[2:] == [
        ["one", "s", "qwen3", "32"],
        ["two", "t", "qwen3", "32"],
        ["--adapter", "x", "about", "x"],
        ["--head", "y", "about", "y"],
    ]


def test_models_say_what_can_be_attached(call: Call) -> None:
    nano = json.loads(call("models", "--json").out)[0]
    for key in ("adapters", "heads"):
        assert all(part["name"] and part["summary"] for part in nano[key])


@pytest.mark.parametrize("columns", ["40", "80"])
def test_narrow_terminal_loses_nothing(columns: str, terminal_call: Call) -> None:
    for command in ("policies", "tasks", "models"):
        narrow = terminal_call(command, COLUMNS=columns, NO_COLOR="1").out
        assert max(map(len, narrow.splitlines())) <= int(columns)
        wide = terminal_call(command, COLUMNS="500", NO_COLOR="1").out
        assert len(wide.splitlines()) < len(narrow.splitlines())  # a table
        letters = ["".join(c for c in text if not c.isspace()) for text in (narrow, wide)]
        headings = wide.splitlines()[0].split("  ")
        words = [word for line in wide.splitlines()[2:] for word in line.split()]
        assert headings
        assert all(word in letters[0] for word in words)


def test_models_and_tasks_explain_the_one_that_is_named(call: Call) -> None:
    assert call("models", "nano", "--json") == call("models", "--explain", "nano", "--json")
    plain = call("models", "nano").out.splitlines()
    assert all(line == line.rstrip() for line in plain)  # in a pipe nothing is padded
    assert plain[0].split() == ["name", "nano"]
    task = json.loads(call("tasks", "gsm8k", "--json").out)
    assert (task["name"], "--data-dir DIR with" in task["data"]) == ("gsm8k", True)
    assert json.loads(call("tasks", "wordproblems", "--json").out)["first_prompt"]


@pytest.mark.parametrize("command", ["policies", "models", "tasks"])
def test_a_pipe_is_80_columns_wide(command: str, call: Call) -> None:
    out = call(command).out
    assert 40 < max(map(len, out.splitlines())) <= 80
    assert all(line == line.rstrip() for line in out.splitlines())


def test_a_policy_that_cannot_be_imported_is_said_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlmsample.policies.registry import POLICIES

    monkeypatch.setitem(POLICIES.built_in, "broken", "no_such_package:Broken")
    rows = {row["name"]: row for row in tables.policies()}
    assert "cannot be imported" in rows["broken"]["summary"]
    assert rows["t2m"]["options"]
