"""The loop by hand gives what the Sampler gives, under every policy, and stays on one screen."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

import dlmsample as ds

PATH = Path(__file__).parents[2] / "examples" / "loop_by_hand.py"
POLICIES = [
    ds.Unmask(tokens_per_step=4),
    ds.Unmask(steps=20, score="random"),
    ds.Unmask(entropy_bound=0.5),
    ds.T2T(fill_threshold=0.5),
    ds.T2M(fill_threshold=0.5),
    ds.D3IM(steps=24),
    ds.DSC(tokens_per_step=4, scorer="random"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_same_tokens_as_the_sampler(nano: ds.Denoiser, policy: ds.Policy, full: bool) -> None:
    decode = runpy.run_path(str(PATH))["decode"]
    problems, new = ds.tasks.load("wordproblems", split="valid", limit=2 if full else 1), 72 if full else 40
    out = ds.Sampler(nano, policy).generate([p.prompt for p in problems], max_new_tokens=new, seed=5)
    assert [decode(nano, policy, p.prompt, new, seed=5) for p in problems] == out.tokens


def test_it_fits_on_a_screen() -> None:
    """At most 40 lines of code: docstrings, comments and blank lines not counted."""
    source = PATH.read_text(encoding="utf-8")
    decode = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "decode")
    assert decode.end_lineno is not None
    lines = source.splitlines()[decode.body[1].lineno - 1 : decode.end_lineno]
    assert len([line for line in lines if line.strip() and not line.lstrip().startswith("#")]) <= 40
