"""benchmarks/approximate.py: every cell of a tiny checkpoint, what it counts, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from benchmarks.approximate import CACHES, Cell, comparisons, measure
from tests.ablate.toys import save_tiny

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = save_tiny(tmp_path_factory.mktemp("bidirectional"))
    config = json.loads((made / "config.json").read_text())
    config["dlmsample"]["attention"] = "bidirectional"
    (made / "config.json").write_text(json.dumps(config))
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    lines: list[str] = []
    policies = ("unmask:tokens_per_step=4", "d3im:steps=4")
    made = measure(ds.load(str(folder)), 3, "test", policies, 3, 8, 16, say=lines.append)
    assert len(lines[0].splitlines()) == 1 + len(made["cells"])
    return made


def test_every_policy_with_every_cache(found: dict[str, Any]) -> None:
    cells = found["cells"]
    assert len(cells) == 2 * len(CACHES) == 22
    assert len(found["comparisons"]) == 20
    assert all(c["forwards"] > 0 and c["wall_seconds"] > 0 and c["low"] <= c["accuracy"] <= c["high"] for c in cells)


def test_a_whole_forward_every_time_costs_what_no_cache_costs(found: dict[str, Any]) -> None:
    by = {(c["policy"], c["cache"], c["refresh"]): c for c in found["cells"]}
    for policy in ("unmask:tokens_per_step=4", "d3im:steps=4"):
        none, dual = by[policy, "none", None], by[policy, "dual", None]
        for kind in ("prefix", "dual"):
            same = by[policy, kind, 1]
            assert [same[k] for k in ("forwards", "nfe", "accuracy")] == [
                none[k] for k in ("forwards", "nfe", "accuracy")
            ]
        assert dual["forward_tokens"] < by[policy, "dual", 1]["forward_tokens"]


def test_comparisons_are_paired() -> None:
    def made(cache: Any, accuracy: float, tokens: int) -> Cell:
        return Cell("t2t", cache, None, accuracy, 0.0, 1.0, 10.0, 20.0, 5, tokens, 2.0)

    right = [[True, True, False, False], [True, False, True, True]]
    (one,) = comparisons([made("none", 0.5, 100), made("dual", 0.75, 25)], right)
    assert (one["gained"], one["lost"], one["difference"], one["p"]) == (2, 1, 0.25, 1.0)
    assert one["forward_tokens_ratio"] == 0.25


@pytest.mark.full
def test_the_command_writes_its_record_and_refuses_other_checkpoints(folder: Path, tmp_path: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks.approximate", *words, "--limit", "1", "--max-new-tokens", "8"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    out = tmp_path / "out.json"
    done = call(str(folder), "--policy", "unmask:tokens_per_step=8", "--json", str(out))
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert record["command"].startswith("python -m benchmarks.approximate ")
    assert (record["problems"], len(record["cells"])) == (1, len(CACHES))
    assert {"device", "dtype", "torch", "transformers", "dlmsample"} <= set(record)
    (tmp_path / "causal").mkdir()
    refused = call(str(save_tiny(tmp_path / "causal")))
    assert refused.returncode == 2
    assert "--recipe nano_bidirectional" in refused.stderr
