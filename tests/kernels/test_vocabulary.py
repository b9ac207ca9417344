"""Runs cases.py in a process of its own: without a GPU Triton must be told to interpret before it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import dlmsample
from dlmsample.predict import _LARGE, plain, predict

CASES = Path(__file__).with_name("cases.py")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")


@needs_triton
@pytest.mark.parametrize("part", ["sample", "not sample"])
def test_the_kernel_equals_plain_torch(part: str) -> None:
    interpret = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "-k", part, str(CASES)]
    root = Path(dlmsample.__file__).parent.parent
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | interpret | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_triton
def test_constants_are_those_of_plain_torch() -> None:
    code = "from dlmsample.kernels import scan; print(scan.LARGE.value)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout) == _LARGE


def test_on_the_cpu_predict_is_plain_and_triton_stays_out() -> None:
    code = (
        "import sys, torch; from dlmsample.predict import predict;"
        "predict(torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.long), 3); print('triton' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_error_of_the_head_is_added_to_either() -> None:
    logits, current = torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.long)
    error = torch.tensor([[0.0, 100.0]])
    assert predict(logits, current, 3, needs={"error"}, error=error).error is not None
    assert predict(logits, current, 3, error=error).error is None
    assert plain(logits, current, 3).error is None
