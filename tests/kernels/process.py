"""Cases that need a process of their own: without a GPU Triton must be told to interpret before it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import dlmsample

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")


def run_cases(name: str, *options: str) -> None:
    """Run a file beside this one with pytest; a failure shows what it printed."""
    interpret = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    cases = str(Path(__file__).with_name(name))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", *options, cases]
    root = Path(dlmsample.__file__).parent.parent
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | interpret | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
