"""The examples run."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import dlmsample as ds

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert "####" in capsys.readouterr().out


def test_a_third_party_policy_works_with_every_model(nano: ds.Denoiser) -> None:
    patient = runpy.run_path(str(ROOT / "examples" / "custom_policy.py"))["Patient"]()
    cached, plain = (
        ds.Sampler(nano, patient, cache=on).generate(["Tom has 12 pens and buys 30."] * 2, max_new_tokens=48)
        for on in (True, False)
    )
    assert cached.tokens == plain.tokens
    assert not any(s.forced for s in cached.stats)
