"""benchmarks/parallel.py and aup.py: the area by hand, what is resumed, and the page that comes of it."""

from __future__ import annotations

import json
import math
import runpy
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlmsample as ds
from benchmarks import parallel
from benchmarks.aup import Problems, aup, equal_accuracy, resampled
from benchmarks.quality import parse_policy

ROOT = Path(__file__).parents[1]
MAKE = runpy.run_path(str(ROOT / "docs" / "make_parallel.py"))


def test_the_area_by_hand() -> None:
    """rho_1 y_1 and two weighted trapezoids; the last point lies more than five below the first."""
    points = [(4.0, 76.0), (1.0, 80.0), (2.0, 78.0), (6.0, 74.9)]
    w = {y: math.exp(-3 * (1 - y / 90)) for y in (80.0, 78.0, 76.0)}
    by_hand = 80 + 0.5 * 1 * (78 * w[78.0] + 80 * w[80.0]) + 0.5 * 2 * (76 * w[76.0] + 78 * w[78.0])
    assert aup(points, 90.0) == pytest.approx(by_hand)
    assert aup([(1.0, 80.0), (2.0, 80.0)], 80.0) == 160, "without loss of accuracy it is the plain area"
    with pytest.raises(ValueError, match="a point"):
        aup([], 80.0)


def cell_of(right: list[int], tokens: int, nfe: int) -> Problems:
    ones = np.ones(len(right), dtype=np.int64)
    return Problems(np.array(right), tokens * ones, nfe * ones)


def test_equal_accuracy_takes_the_fastest_cell_within_a_point() -> None:
    n = 200
    good, worse, bad = ([1] * k + [0] * (n - k) for k in (180, 178, 160))  # 90, 89 and 80 %
    cells = [cell_of(good, 60, 60), cell_of(worse, 60, 30), cell_of(bad, 60, 10), cell_of(worse, 60, 20)]
    rho, accuracy = resampled(cells, 200)
    series = {("base", "t2m"): [0, 1, 2], ("certainty", "t2m"): [3], ("base", "dsc"): [0]}
    (found,) = equal_accuracy(series, ["slow", "middle", "fast", "own"], rho, accuracy, "certainty")
    assert (found["base"], found["cell"], found["least_accuracy"]) == ("middle", "own", 89.0)
    ratio, points = found["tokens_per_forward_ratio"], found["points"]
    assert ratio == {"value": 1.5, "low": 1.5, "high": 1.5}
    assert points == {"value": 0.0, "low": 0.0, "high": 0.0}, "right on the same problems: paired"
    rho, accuracy = resampled([cells[0], cells[2]], 10)
    (none,) = equal_accuracy({("base", "a"): [0], ("x", "a"): [1]}, ["b", "c"], rho, accuracy, "x")
    assert "cell" not in none


def test_every_policy_is_measured_over_one_option() -> None:
    names = {policy.partition(":")[0] for cells in parallel.SERIES.values() for policy in cells}
    assert names == set(ds.list_policies())
    for cells in parallel.SERIES.values():
        assert len({json.dumps(parse_policy(policy)[0].model_dump(), sort_keys=True) for policy in cells}) == len(cells)
    planned = list(parallel.plan("certainty", list(parallel.SERIES)))
    assert len(planned) == len(set(planned))
    assert {owner for owner, name, _ in planned if name == "dsc"} == {"base"}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two cells, and the file of the results."""
    cells = ("t2m:fill_threshold=0.9", "t2m:fill_threshold=0.5")
    monkeypatch.setattr(parallel, "SERIES", {"t2m": cells, "dsc": ("dsc:tokens_per_step=8",)})
    monkeypatch.setattr(parallel, "AGAIN", 0.0)
    return tmp_path / "parallel.json"


def run(monkeypatch: pytest.MonkeyPatch, file: Path, *more: str) -> None:
    given = ["--device", "cpu", "--limit", "2", "--batch-size", "2", "--max-new-tokens", "8", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["parallel", *given, *more])
    parallel.main()


def test_a_run_goes_on_where_it_stopped(
    few: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, few, "--minutes", "0")
    assert "not complete" in capsys.readouterr().out
    assert json.loads(few.read_text())["cells"] == []
    run(monkeypatch, few, "--series", "t2m")
    assert capsys.readouterr().out.count('"tokens_per_wall_s"') == 2
    run(monkeypatch, few)
    assert capsys.readouterr().out.count('"tokens_per_wall_s"') == 1, "nothing is measured twice"
    record = json.loads(few.read_text())
    assert record["complete"]
    assert [c["policy"] for c in record["cells"]] == [p for cells in parallel.SERIES.values() for p in cells]
    for found in record["cells"]:
        assert found["low"] <= found["accuracy"] <= found["high"]
        seen = parallel.unpacked(found["problems"])
        assert found["tokens_per_forward"] == pytest.approx(seen.tokens.sum() / seen.nfe.sum(), abs=1e-4)
    with pytest.raises(SystemExit):
        run(monkeypatch, few, "--split", "valid")
    assert "results of another split: remove it" in capsys.readouterr().err


def test_a_cell_that_fails_does_not_cost_the_others(
    few: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = parallel.cell

    def failing(*given: Any) -> dict[str, Any]:
        if given[3].endswith("=0.9"):
            raise RuntimeError("out of memory")
        return usual(*given)

    monkeypatch.setattr(parallel, "cell", failing)
    run(monkeypatch, few, "--series", "t2m")
    said = capsys.readouterr().out
    assert "left out: base t2m:fill_threshold=0.9: out of memory" in said
    assert "not complete" in said
    assert [c["policy"] for c in json.loads(few.read_text())["cells"]] == ["t2m:fill_threshold=0.5"]


def record() -> dict[str, Any]:
    """Results of a base and an adapter that were never measured."""
    cells = []
    for checkpoint in ("base", "certainty"):
        for series, policies in parallel.SERIES.items():
            for at, policy in enumerate(policies):
                right = [1] * (90 - 2 * at) + [0] * (10 + 2 * at)
                found = cell_of(right, 60, (60 if checkpoint == "base" else 30) // (at + 1))
                rho, accuracy = resampled([found], 1)
                cells.append(
                    {"checkpoint": checkpoint, "series": series, "policy": policy, "accuracy": accuracy[0, 0] / 100}
                    | {"low": 0.5, "high": 0.9, "tokens_per_forward": rho[0, 0], "tokens_per_wall_s": 1234.5}
                    | {"problems": parallel.packed(found)}
                )
    facts = {"problems": 100, "split": "test", "new_tokens": 160, "batch_size": 8, "dtype": "torch.float32"}
    facts |= {"device": "a card", "torch": "2", "transformers": "5", "command": "python -m benchmarks.parallel"}
    summary = parallel.summarised(cells, "certainty")
    return {**facts, "adapter": "certainty", "complete": False, **summary, "cells": cells}


def test_the_page_shows_every_cell_and_its_picture_asks_nothing_of_the_network() -> None:
    found = record()
    assert all(c["tokens_per_forward_ratio"]["value"] == 2 for c in found["equal_accuracy"])
    made = MAKE["made"](found, found | {"device": "a CPU"})
    page, picture = made[MAKE["PAGE"]], made[MAKE["PICTURE"]]
    assert "Fewer forwards: results/parallel.md" in made[MAKE["SITE"]]
    assert "Not all cells are measured yet" in page
    shown = [c for c in found["cells"] if c["series"] in MAKE["LABELS"]]
    assert page.count(" | 1,234 |") == len(shown)
    assert all(label in picture for label in ("tokens/s, a card", "tokens/s, a CPU", "T2M, certainty"))
    marks = [e for e in ET.fromstring(picture).iter() if (e.get("class") or "").split()[-1:] in (["full"], ["hollow"])]
    pairs = [c for c in found["cells"] if c["series"] in ("unmask-threshold", "t2m")]
    drawn = [c for c in shown if c["checkpoint"] == "base"]
    assert len(marks) == 3 * (len(drawn) + len(pairs)) + len(MAKE["LABELS"]) + 4
    assert picture.count("http") == picture.count("http://www.w3.org/2000/svg")
    alone = {**found, "adapter": None, "cells": drawn, **parallel.summarised(drawn, None)}
    assert "equal accuracy" not in MAKE["made"](alone, None)[MAKE["PAGE"]]


def test_the_committed_page_is_made_from_the_results() -> None:
    gpu, cpu = MAKE["results"]()
    if gpu is None:
        assert not MAKE["PAGE"].exists()
        pytest.skip("not measured yet")
    made: dict[Path, Any] = MAKE["made"](gpu, cpu)
    for path, content in made.items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name} is old: python docs/make_parallel.py"
