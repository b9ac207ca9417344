"""The benchmark's two sides agree, on a tiny model; no time is looked at."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import evaluation
from tests.docs.pages import ROOT


def test_both_sides_agree(tmp_path: Path) -> None:
    small = ["--rows", "3", "--batch-size", "4", "--prompt-tokens", "12", "--new-tokens", "8", "--answer-tokens", "3"]
    shape = ["--width", "32", "--layers", "1", "--vocabulary", "64", "--block-length", "4"]
    evaluation.main([*small, *shape, "--samples", "64", "--repeats", "1", "--json", str(tmp_path / "out.json")])
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["same_answers"] == "3 of 3"
    assert found["likelihoods_apart_in_standard_errors_at_most"] < 5
    assert set(found["rows_per_second"]) == {
        f"{part}_{way}" for part in ("answers", "likelihoods") for way in ("one_by_one", "in_batches")
    }


def test_the_page_says_what_was_measured() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "evaluation.json").read_text())
    page = " ".join((ROOT / "docs" / "how-to" / "lm-eval.md").read_text(encoding="utf-8").split())
    assert f"answered {found['answers_ratio']:.1f} times as many rows" in page
    assert f"gave {found['likelihoods_ratio']:.1f} times as many likelihoods" in page
    assert f"`{found['command']}`" in page
    assert found["same_answers"] == "12 of 12"
