"""Runs cases.py in a process of its own: without a GPU Triton must be told to interpret before it is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from dlmsample.predict import _LARGE, plain, predict
from tests.kernels.process import needs_triton, run_cases


@needs_triton
@pytest.mark.parametrize("part", [pytest.param("sample", marks=pytest.mark.full), "not sample"])
def test_the_kernel_equals_plain_torch(part: str) -> None:
    run_cases("cases.py", "-k", part)


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
