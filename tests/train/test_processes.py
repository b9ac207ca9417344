"""Two processes end where one does: data parallel, and with parameters sharded over them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dlmsample.train.config import load
from dlmsample.train.trainer import Trainer
from tests.train.processes import Job
from tests.train.standin import recipe

ROOT = Path(__file__).parents[2]
CASES = {
    "all": ["ema=0.9"],
    "lora": ["lora={rank: 4, alpha: 8}", "objective.name=self_generated_t2t"],
    "joint": [
        "head={width: 16, heads: 2, mlp: 32, calibration_rows: 8, operating: {problems: 0}}",
        "objective={name: fca, options: {gamma: 1}}",
    ],
}


def start(jobs: list[Job]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.train.processes", json.dumps(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=200, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def assert_close(one: Path, two: Path, step: int) -> None:
    for name in ("model", "average"):
        file = f"checkpoint-{step}/{name}.safetensors"
        if (one / file).exists():
            a, b = load_file(one / file), load_file(two / file)
            assert a.keys() == b.keys()
            assert all(torch.allclose(a[key], b[key], atol=1e-5) for key in a)
    losses = [
        [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()] for out in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    texts = [(out / "metrics.jsonl").read_text() for out in (one, two)]
    lines = [[json.loads(line) for line in text.split("\n") if line] for text in texts]
    for a, b in zip(*lines, strict=True):
        kept = a.keys() - {"seconds", "tokens_per_s", "peak_gib"}
        assert kept == b.keys() - {"seconds", "tokens_per_s", "peak_gib"}
        assert {key: a[key] for key in kept} == pytest.approx({key: b[key] for key in kept}, rel=1e-4, abs=1e-5)
    names = [{str(f.relative_to(out / "final")) for f in (out / "final").rglob("*")} for out in (one, two)]
    assert names[0] == names[1]


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    """The sharded runs are stopped and resumed on the way: what a checkpoint gathers is scattered again."""
    path = recipe(tmp_path, steps=3, log_every=1)
    jobs = []
    for name, changes in CASES.items():
        assert Trainer(load(str(path), changes), tmp_path / name).run()
        jobs.append(Job("plain", None, str(path), str(tmp_path / f"{name}-parallel"), changes))
        out = str(tmp_path / f"{name}-sharded")
        jobs += [Job("sharded", 2, str(path), out, changes), Job("efficient", None, str(path), out, changes)]
    start(jobs)
    for name in CASES:
        for kind in ("parallel", "sharded"):
            assert_close(tmp_path / name, tmp_path / f"{name}-{kind}", 3)
