"""benchmarks/quantized.py: both of its parts on a CPU, going on from what is there, and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import quantized
from tests.docs.pages import ROOT, tables

SHAPES = "shapes --small --device cpu --shape sdar_4b --batch 2 --prompt 32 --new 64 --peer ours_plain --repeats 1"
ANSWERS = "answers --limit 2 --batch-size 2 --max-new-tokens 32 --policy unmask:tokens_per_step=16"


def run(words: str, path: Path) -> dict[str, Any]:
    quantized.main([*words.split(), "--json", str(path)])
    return json.loads(path.read_text(encoding="utf-8"))


def test_published_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(SHAPES, tmp_path / "shapes.json")
    assert {"command", "device", "dtype", "machine", "torch", "versions"} <= record.keys()
    cells = {(c["form"], c.get("batch")): c for c in record["cells"]}
    assert cells.keys() == {(form, batch) for form in ("full", "fp8", "fp8_dynamic") for batch in (None, 2)}
    assert cells["fp8", None]["relative_error"] < cells["fp8_dynamic", None]["relative_error"] < 0.2
    assert cells["fp8", None]["narrow_bytes"] == cells["fp8_dynamic", None]["narrow_bytes"]
    full, narrow = cells["full", None], cells["fp8", None]
    assert (full["relative_error"], full["same_best"], full["narrow_bytes"]) == (0, 1, 0)
    assert 0 < narrow["relative_error"] <= narrow["largest_relative_error"] < 0.2
    assert full["weight_bytes"] - narrow["weight_bytes"] > 2 * narrow["narrow_bytes"]  # of float32
    timed = [cells[form, 2] for form in ("full", "fp8")]
    assert all(c["tokens_per_s"] > 0 for c in timed)
    assert timed[0]["step_bytes"] > timed[1]["step_bytes"]

    def fails(*_: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(quantized, "attempt", fails)
    assert run(SHAPES, tmp_path / "shapes.json")["cells"] == record["cells"]


def test_a_cell_that_was_left_out_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    outcomes = iter([{"skipped": "out of memory"}, {"x": 1}])
    for words, device in (("one", "a"), ("two", "a"), ("one", "a"), ("three", "b")):
        record = quantized.Record({"device": device}, words, path)
        record.cell({"form": "fp8"}, lambda: next(outcomes, {"x": 2}))
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept == {"command": ["three"], "device": "b", "cells": [{"form": "fp8", "x": 2}]}, "another machine's"
    record = quantized.Record({"device": "b"}, "four", path)
    assert record.content["command"] == ["three", "four"]


def test_answers_of_nano(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = run(ANSWERS, tmp_path / "answers.json")
    logits = {c["form"]: c for c in record["cells"] if c.get("what") == "logits"}
    assert list(logits) == [*quantized.FORMS, "fp8, LM head too"]
    assert logits["fp8"]["narrow_bytes"] < logits["fp8, LM head too"]["narrow_bytes"]
    assert logits["float32"]["relative_error"] == 0 < logits["bfloat16"]["relative_error"] < 0.05
    off = [logits[form]["relative_error"] for form in ("bfloat16", "fp8", "fp8_dynamic")]
    assert off == sorted(off)
    assert off[-1] < 0.2
    sizes = [logits[form]["weight_bytes"] for form in quantized.FORMS]
    assert sizes == sorted(sizes, reverse=True)
    found = [(row["form"], row["against"]) for row in record["comparisons"]]
    assert found == list(quantized.AGAINST)
    assert "fp8 against bfloat16, unmask:tokens_per_step=16: " in capsys.readouterr().out


def test_comparisons_are_paired() -> None:
    right = np.random.default_rng(0).random((2, 300)) < [[0.5], [0.9]]
    cells = [
        {"form": form, "policy": "t2m", "correct": np.packbits(answers).tobytes().hex()}
        for form, answers in zip(("bfloat16", "fp8"), right, strict=True)
    ]
    (row,) = quantized.comparisons(cells, 300)
    assert (row["form"], row["against"], row["policy"]) == ("fp8", "bfloat16", "t2m")
    assert row["gained"] - row["lost"] == right[1].sum() - right[0].sum()
    assert row["points"] == pytest.approx((row["gained"] - row["lost"]) / 3, abs=0.06)
    assert row["low"] > 0
    assert row["p_holm"] < 1e-6


def test_errors_do_not_depend_on_a_constant() -> None:
    wanted = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0))
    none = quantized.errors([wanted + 100], [wanted])
    assert none["largest_relative_error"] < 1e-4
    assert none["same_best"] == 1
    centred = wanted - wanted.mean(-1, keepdim=True)
    found = quantized.errors([wanted + 0.1 * centred], [wanted])
    assert found["relative_error"] == pytest.approx(0.1, rel=1e-3)
    assert quantized.errors([-wanted], [wanted])["same_best"] == 0


PAGE = ROOT / "docs" / "results" / "quantized.md"
RECORD = json.loads((ROOT / "benchmarks" / "results" / "quantized_answers.json").read_text(encoding="utf-8"))


def test_the_page_s_answers_are_those_of_the_file() -> None:
    (shown,) = [rows for rows in tables(PAGE) if "fp8 - bfloat16" in rows[0]]
    share = {(c["form"], c["policy"]): f"{100 * c['accuracy']:.1f} %" for c in RECORD["cells"] if "policy" in c}
    off = {(c["form"], c["against"], c["policy"]): c for c in RECORD["comparisons"]}
    assert {row["policy"] for row in shown} == {policy for _, policy in share}
    for row in shown:
        policy = row["policy"]
        assert [row[form] for form in quantized.FORMS] == [share[form, policy] for form in quantized.FORMS]
        for one, two in (("fp8", "bfloat16"), ("fp8_dynamic", "bfloat16"), ("bfloat16", "float32")):
            c = off[one, two, policy]
            assert row[f"{one} - {two}"] == f"{c['points']:+.1f} [{c['low']:+.1f}, {c['high']:+.1f}]"


def test_the_page_s_logits_are_those_of_the_file() -> None:
    (shown,) = [rows for rows in tables(PAGE) if "relative error of logits" in rows[0]]
    cells = {c["form"]: c for c in RECORD["cells"] if c.get("what") == "logits"}
    for row in shown:
        c = cells[row["nano in"]]
        assert row["bytes of weights"] == f"{c['weight_bytes']:,}"
        assert row["relative error of logits"] == f"{100 * c['relative_error']:.2f} %"
        assert row["largest at a position"] == f"{100 * c['largest_relative_error']:.1f} %"
        assert row["same best token"] == f"{100 * c['same_best']:.1f} %"
