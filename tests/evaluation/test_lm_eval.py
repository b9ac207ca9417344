"""The real lm-eval on tasks in local files, without a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.cli.main import run

ROWS = [
    {"question": "Ann had 3 pens and bought 2 more. How many pens does Ann have?", "right": 0},
    {"question": "Tom had 9 pens and bought 2 more. How many pens does Tom have?", "right": 1},
]
TASK = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
"""
WRITTEN = """task: written
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "5"
generation_kwargs: {until: ["Q:"], max_gen_toks: 48, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
CHOSEN = """task: chosen
output_type: multiple_choice
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: [" 3 + 2 = 5", " 9 + 2 = 11"]
doc_to_target: right
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
WHOLE = """task: whole
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}]
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tasks in a folder, and lm-eval without a network or a cache of its own."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    folder = tmp_path / "tasks"
    folder.mkdir()
    for task in (WRITTEN, CHOSEN, WHOLE):
        name = task.splitlines()[0].removeprefix("task: ")
        (folder / f"{name}.yaml").write_text(task + TASK.format(data=json.dumps(str(data))))
    return folder


@pytest.mark.filterwarnings("default")  # of the packages that lm-eval brings
def test_lm_eval_runs_offline(
    tasks: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], nano: ds.Denoiser
) -> None:
    pytest.importorskip("lm_eval", reason="pip install 'dlmsample[eval]' to run lm-eval itself")
    words = ["eval", "--tasks", "written,chosen,whole", "--policy", "t2t", "--set", "fill_threshold=0.9"]
    rest = ["--include_path", str(tasks), "--apply_chat_template", "--log_samples"]
    out_folder = tmp_path / "out"
    before = list(sys.argv)
    assert run([*words, "--samples", "8", "--", *rest, "--output_path", str(out_folder)]) == 0
    assert sys.argv == before
    out = capfd.readouterr().out
    assert "exact_match" in out
    assert "bits_per_byte" in out
    (results,) = out_folder.rglob("results_*.json")
    said: dict[str, Any] = json.loads(results.read_text())
    assert said["results"]["chosen"]["acc,none"] == 1.0
    assert said["results"]["whole"]["bits_per_byte,none"] > 0
    assert said["config"]["policy"].startswith("T2T(fill_threshold=0.9")
    assert said["config"]["likelihood_mean_standard_error"] > 0
    (logged,) = out_folder.rglob("samples_written_*.jsonl")
    answers = [json.loads(line)["resps"][0][0] for line in logged.read_text().splitlines()]
    sampler = ds.Sampler(nano, ds.T2T(fill_threshold=0.9))
    assert answers == sampler.generate([row["question"] for row in ROWS], 48, stop=["Q:"]).texts


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
