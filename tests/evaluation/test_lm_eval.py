"""The real lm-eval on tasks in local files, without a network."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.cli.main import run
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "lm-eval.md"
TASK = """
dataset_path: json
dataset_kwargs: {data_files: {test: pens.jsonl}}
test_split: test
"""
CHOSEN = """task: chosen
output_type: multiple_choice
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: [" 3 + 2 = 5", " 9 + 2 = 11"]
doc_to_target: "{{['5', '11'].index(answer)}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
WHOLE = """task: whole
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}]
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The page's task and two more in the working directory, and lm-eval without a network or a cache of its own."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    (data,), (task,) = blocks(PAGE, "json"), blocks(PAGE, "yaml")
    (tmp_path / "pens.jsonl").write_text(data)
    (tmp_path / "pens.yaml").write_text(task)
    for name, text in (("chosen", CHOSEN), ("whole", WHOLE)):
        (tmp_path / f"{name}.yaml").write_text(text + TASK)
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.filterwarnings("default")  # of the packages that lm-eval brings
def test_the_page_s_command_runs_offline(
    rows: list[dict[str, str]], tmp_path: Path, capfd: pytest.CaptureFixture[str], nano: ds.Denoiser
) -> None:
    pytest.importorskip("lm_eval", reason="pip install 'dlmsample[eval]' to run lm-eval itself")
    (line,) = (
        line for block in blocks(PAGE, "sh") for line in block.splitlines() if "--tasks pens --model nano" in line
    )
    words = shlex.split(line.replace("--tasks pens", "--tasks pens,chosen,whole --samples 8"))[1:]
    before = list(sys.argv)
    assert run(words) == 0
    assert sys.argv == before
    out, err = capfd.readouterr()
    assert "exact_match" in out
    assert "fatal" not in err  # git's word where there is no repository
    assert "bits_per_byte" in out
    (results,) = (tmp_path / "runs" / "eval").rglob("results_*.json")
    said: dict[str, Any] = json.loads(results.read_text())
    assert said["results"]["chosen"]["acc,none"] == 1.0
    assert said["results"]["whole"]["bits_per_byte,none"] > 0
    assert said["config"]["policy"].startswith("T2T(fill_threshold=0.9")
    assert said["config"]["likelihood_mean_standard_error"] > 0
    (logged,) = (tmp_path / "runs" / "eval").rglob("samples_pens_*.jsonl")
    answers = [json.loads(line)["resps"][0][0] for line in logged.read_text().splitlines()]
    sampler = ds.Sampler(nano, ds.T2T(fill_threshold=0.9))
    assert answers == sampler.generate([row["question"] for row in rows], 48, stop=["Q:"]).texts


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def said(*words: str) -> str:
        assert run(["eval", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "give --tasks" in said()
    assert "did you mean 't2t'" in said("--tasks", "x", "--policy", "t2tt")
    assert "--set takes option=value" in said("--tasks", "x", "--set", "threshold")
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.api.registry", None)
    assert "pip install 'dlmsample[eval]'" in said("--tasks", "x")
