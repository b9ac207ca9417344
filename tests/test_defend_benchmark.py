"""The benchmark that holds our fast path against libraries runs, and its alternatives decode alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.alternatives import ALTERNATIVES, differs
from benchmarks.defend import main, table

TINY = ["--shape", "tiny", "--device", "cpu", "--backend", "eager", "--prompt", "32", "--repeats", "1"]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What a test compiles is dropped behind it."""
    yield
    torch.compiler.reset()


@pytest.mark.full
def test_every_alternative_commits_our_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "defend.json"
    main([*TINY, "--batch", "2", "--out", str(file)])
    record = json.loads(file.read_text(encoding="utf-8"))
    cells = {c["alternative"]: c for c in record["cells"]}
    assert list(cells) == list(ALTERNATIVES)
    assert cells.pop("fused_cublas")["skipped"] == "the same as ours: it is for few rows"
    assert not {name: c["skipped"] for name, c in cells.items() if "skipped" in c}
    assert {c["agrees"] for c in cells.values()} == {1.0}
    assert {c["filled"] for c in cells.values()} == {120}, "16 forwards of two rows: one of each only writes its block"
    printed = capsys.readouterr().out
    assert table(record) in printed
    assert {line.count("|") for line in table(record).splitlines()} == {10}


def test_few_rows_can_do_without_our_product(tmp_path: Path) -> None:
    file = tmp_path / "defend.json"
    main([*TINY, "--batch", "1", "--alternative", "ours", "--alternative", "fused_cublas", "--out", str(file)])
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    assert [c["agrees"] for c in cells] == [1.0, 1.0]
    assert cells[0]["ratio"] == 1.0
    assert cells[1]["ratio"] > 0


def test_without_time_no_cell_is_begun(tmp_path: Path) -> None:
    file = tmp_path / "defend.json"
    main([*TINY, "--batch", "1", "--alternative", "ours", "--limit-seconds", "-1", "--out", str(file)])
    (cell,) = json.loads(file.read_text(encoding="utf-8"))["cells"]
    assert cell["skipped"] == "no time left"


def test_our_product_is_left_out_only_where_it_would_be_used() -> None:
    cublas = ALTERNATIVES["fused_cublas"]
    assert (differs(cublas, 32), differs(cublas, 33)) == (True, False)
    assert differs(ALTERNATIVES["sdpa"], 1024)
