"""The zoo's own table: its grid names what there is, cells are chosen and compared as said, the page is the JSON's."""

from __future__ import annotations

import json
import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlmsample as ds
from benchmarks import zoo
from benchmarks.zoo_figures import BUDGETS, figures, tuned
from dlmsample.ablate.analysis.stats import sign_flip_test

ROOT = Path(__file__).parents[1]
GRID = str(ROOT / "examples" / "zoo_on_nano.yaml")
MAKE = runpy.run_path(str(ROOT / "docs" / "make_zoo.py"))
SMALL = """
name: small
tasks: [{name: wordproblems, split: valid, limit: 2}]
checkpoints: [{model: nano, dtype: float32}]
policies:
  - {policy: unmask, checkpoints: [nano]}
  - {policy: unmask, tokens_per_step: [2, 8]}
  - {policy: t2m, block_length: all}
  - {policy: t2m, fill_threshold: 0.5}
max_new_tokens: 16
"""


def options(**changes: Any) -> Namespace:
    given = {"limit": None, "problems": 1000, "device": None, "tf32": False, "batch_size": None}
    given["max_new_tokens"] = None
    return Namespace(**{**given, **changes})


def test_the_grid_has_every_policy_at_its_defaults_on_every_checkpoint() -> None:
    cells = zoo.candidates(GRID, [], [], options())
    defaults = [cell for cell in cells if cell.default]
    for name in ds.list_policies():
        mine = {cell.checkpoint.label for cell in defaults if cell.policy == name}
        heads = {"nano/fca", "nano/uniform", "nano/prism", "nano+joint/joint"}
        adapters = ("mdm", "random_t2t", "self_generated_t2t", "scope", "certainty")
        bodies = {"nano", *(f"nano+{name}" for name in adapters)}
        assert mine == (heads if "error" in ds.policy(name).needs else bodies), name
        assert all(cell.options == ds.policy(name).model_dump(mode="json") for cell in defaults if cell.policy == name)
    assert {cell.split for cell in cells} == {"valid"}
    assert zoo.on_test(cells[0], options())[8:10] == ("test", 1000)


def test_a_policy_with_a_budget_of_steps_has_a_candidate_for_every_budget() -> None:
    cells = [cell for cell in zoo.candidates(GRID, ["nano"], [], options()) if "steps" in cell.options]
    for name in {cell.policy for cell in cells}:
        most = {ds.policy(name, **cell.options).max_steps(_whole(160)).item() for cell in cells if cell.policy == name}
        for least, budget in zip((9, *BUDGETS), BUDGETS, strict=False):
            assert any(least < steps <= budget for steps in most), (name, budget)


def _whole(size: int) -> Any:
    from dlmsample.ablate.estimate import _blocks

    settings = Namespace(max_new_tokens=size, block_length="all")
    return _blocks(Namespace(settings=settings))  # type: ignore[arg-type]


def row(policy: str, nfe: float, right: list[int], label: str = "", checkpoint: str = "nano") -> dict[str, Any]:
    return {
        "key": f"{checkpoint} {policy} {label}",
        "checkpoint": checkpoint,
        "policy": policy,
        "label": label or policy,
        "default": not label,
        "problems": len(right),
        "accuracy": sum(right) / len(right),
        "nfe": nfe,
        "correct": np.packbits(np.array(right, dtype=bool)).tobytes().hex(),
    }


def test_the_most_accurate_within_a_budget_is_chosen_and_of_equals_the_cheaper() -> None:
    trials = [
        row("t2t", 40.0, [1, 1, 0, 0], "a"),
        row("t2t", 30.0, [1, 1, 0, 0], "b"),
        row("t2t", 16.0, [1, 0, 0, 0], "c"),
    ]
    trials += [row("t2t", 60.0, [1, 0, 0, 0], "d"), row("t2m", 65.0, [1, 1, 1, 1])]
    assert [(one["label"], one["budget"]) for one in tuned(trials)] == [
        ("c", 16),
        ("c", 24),
        ("b", 32),
        ("b", 48),
        ("b", 64),
    ]


def test_comparisons_are_with_unmask_of_the_same_budget_and_corrected_for_all() -> None:
    rng = np.random.default_rng(0)
    base, better = rng.random(400) < 0.5, rng.random(400) < 0.9
    tested = [row("unmask", 16.0, [*base]), row("rcr", 16.0, [*better]), row("dsc", 16.0, [*base], "x", "nano/fca")]
    picked = [{**one, "budget": 16} for one in tested]
    found = figures(tested, picked, tested)
    assert [(c["policy"], c["checkpoint"], c["verdict"]) for c in found["comparisons"]] == [
        ("rcr", "nano", "better"),
        ("dsc", "nano/fca", "undecided"),
    ]
    p = sign_flip_test(better.astype(int) - base.astype(int))
    assert found["comparisons"][0]["p_holm"] == pytest.approx(2 * p)
    best = {one["among"]: one for one in found["best"]}
    assert (best["all"]["policy"], best["all"]["close"]) == ("rcr", [])
    assert best["nano/fca"]["policy"] == "dsc"


def test_what_was_chosen_and_not_measured_is_said() -> None:
    tested = [row("unmask", 16.0, [1, 0])]
    picked = [{**one, "budget": 16} for one in [*tested, row("rcr", 16.0, [1, 1])]]
    found = figures(tested, picked, tested)
    assert [(one["policy"], one["budget"]) for one in found["unmeasured"]] == [("rcr", 16)]
    assert [one["policy"] for one in found["tuned"]] == ["unmask"]
    about = {"device": ["GPU"], "torch": "2", "transformers": "5", "dtype": "float32", "tf32": False, "command": "zoo"}
    left = {"tf32_check": None, "left": 1, "failed": {}, "checkpoints": {"nano": ""}, "budgets": [16]}
    found["cells"].append({**found["cells"][0], "policy": "rcr", "key": "another", "default": False})
    found["trials"].append({**found["trials"][0], "label": "rcr"})
    assert "| `rcr` | not run |" in MAKE["page"]({**about, **left, **found})


def test_a_run_goes_on_and_makes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid, file = tmp_path / "small.yaml", tmp_path / "zoo.json"
    grid.write_text(SMALL, encoding="utf-8")
    given = [str(grid), "--limit", "2", "--out", str(tmp_path / "runs"), "--json", str(file)]
    assert zoo.main([*given, "--minutes", "0"]) == 0
    record = json.loads(file.read_text(encoding="utf-8"))
    assert (record["trials_left"], record["tuned"]) == (5, [])
    assert MAKE["page"](record) == MAKE["UNMEASURED"]
    assert "cells are left: the same command goes on" in capsys.readouterr().out

    assert zoo.main(given) == 0
    record = json.loads(file.read_text(encoding="utf-8"))
    assert (record["left"], record["failed"], record["problems"]) == (0, {}, 2)
    assert {one["label"] for one in record["cells"]} >= {"unmask", "t2m(block_length=all)"}
    assert {one["budget"] for one in record["tuned"] if one["policy"] == "t2m"} >= {32, 48, 64}
    page = MAKE["page"](record)
    assert "| `t2m` |" in page
    assert "Not whole" not in page
    before = (tmp_path / "runs" / "cells.jsonl").read_text(encoding="utf-8")
    assert zoo.main(given) == 0
    assert (tmp_path / "runs" / "cells.jsonl").read_text(encoding="utf-8") == before, "nothing is measured twice"


def test_a_cell_that_fails_costs_the_others_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = tmp_path / "small.yaml"
    grid.write_text(SMALL, encoding="utf-8")

    def measure(cell: zoo.Cell) -> dict[str, Any]:
        if cell.policy == "t2m":
            raise RuntimeError("no memory")
        return {**row(cell.policy, 8.0, [1, 0]), **cell.about(), "wall_seconds": 0.1, "where": "toy"}

    monkeypatch.setattr(zoo, "measure", measure)
    file = tmp_path / "zoo.json"
    assert zoo.main([str(grid), "--out", str(tmp_path / "runs"), "--json", str(file)]) == 1
    record = json.loads(file.read_text(encoding="utf-8"))
    assert set(record["failed"].values()) == {"RuntimeError: no memory"}
    assert {one["policy"] for one in record["tuned"]} == {"unmask"}
    assert "1 cells have not been measured, 2 failed" not in MAKE["page"](record)
    assert "0 cells have not been measured" in MAKE["page"](record)


def test_the_page_is_what_was_measured() -> None:
    assert MAKE["PAGE"].read_text(encoding="utf-8") == MAKE["page"](MAKE["measured"]()), "python docs/make_zoo.py"
