"""The examples run, and the README's own code is what the examples hold."""

from __future__ import annotations

import re
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


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


def test_readme_python_runs() -> None:
    """Every Python block of the README, in order, in one namespace."""
    namespace: dict[str, object] = {"__name__": "readme"}
    code = blocks("python")
    assert len(code) >= 2
    for block in code:
        exec(compile(block, "README.md", "exec"), namespace)


def test_readme_policy_is_the_example() -> None:
    """The complete policy in the README is examples/custom_policy.py without its main()."""
    source = (ROOT / "examples" / "custom_policy.py").read_text()
    policy = source[source.index("from __future__") : source.index("\n\ndef main")]
    assert policy.strip() in "\n".join(blocks("python"))


def test_a_third_party_policy_works_with_every_model(nano: ds.Denoiser) -> None:
    patient = runpy.run_path(str(ROOT / "examples" / "custom_policy.py"))["Patient"]()
    cached, plain = (
        ds.Sampler(nano, patient, cache=on).generate(["Tom has 12 pens and buys 30."] * 2, max_new_tokens=48)
        for on in (True, False)
    )
    assert cached.tokens == plain.tokens
    assert not any(s.forced for s in cached.stats)
