"""What users see of the package: its names, their types, what objects say of themselves, and policies as files."""

from __future__ import annotations

import inspect
import os
import pydoc
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.ablate.run import run
from dlmsample.policies.registry import list_policies

ONE_OF_EACH = [
    ds.Unmask(tokens_per_step=2),
    ds.T2T.speed(),
    ds.T2M(threshold=0.25, detector="logit_diff"),
    ds.D3IM(steps=7),
    ds.DSC(scorer="random"),
    ds.chain(ds.fill.Quota(2), ds.edit.Replace(0.9)),
]


def test_every_public_name_is_there_and_nothing_else_is_listed() -> None:
    assert set(ds.__all__) == {*ds._EXPORTS, *ds._MODULES}
    assert len(set(ds.__all__)) == len(ds.__all__)
    assert all(getattr(ds, name) is not None for name in ds.__all__)
    assert set(dir(ds)) == {*ds.__all__, "__version__"}


def test_packages_that_can_be_called() -> None:
    import dlmsample.ablate
    import dlmsample.train

    assert dlmsample.ablate is ds.ablate
    assert callable(ds.ablate)
    assert callable(ds.train)
    with pytest.raises(ValueError, match="engine"):
        ds.ablate("grid.yaml", "out", engine="loccal")
    with pytest.raises(TypeError):
        ds.train()  # type: ignore[call-arg]
    assert list(inspect.signature(ds.ablate).parameters)[:2] == ["grid", "out"]
    assert "recipe" in inspect.signature(ds.train).parameters
    assert dlmsample.ablate.run.run is run  # type: ignore[attr-defined]


@pytest.mark.parametrize("policy", ONE_OF_EACH, ids=repr)
@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_a_policy_as_a_file(tmp_path: Path, policy: Any, ending: str) -> None:
    assert ds.policy(policy.entry()) == policy
    path = tmp_path / f"mine.{ending}"
    policy.save(path)
    assert ds.policy(path) == ds.policy(str(path)) == policy


def test_options_win_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("policy: t2m\nthreshold: 1e-1\n")
    assert ds.policy(path) == ds.T2M(threshold=0.1)
    assert ds.policy(path, threshold=0.4) == ds.T2M(threshold=0.4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no policy"),
        ("[1]", "no policy"),
        ("threshold: 0.2", "no policy"),
        ("policy: 5", "no policy"),
        ("policy: t2n", "t2m"),
        ("policy: t2m\npolicy: t2t", "twice"),
        ("{", "not YAML"),
        ("policy: t2m\nthresholdx: 1", r"p.yaml: .*did you mean 'threshold'"),
        ("policy: t2m\nthreshold: 2\nmax_remasks: x", r"p.yaml: t2m: threshold must be <= 1 .*; max_remasks"),
        ("policy: t2m\nnull: 2", r"p.yaml: unknown option of policy t2m 'None'"),
        ("policy: t2m\nthreshold: true", r"p.yaml: t2m: threshold must not be True"),
        ("policy: chain\nfill: {rule: quota, tokens_per_step: .inf}", r"p.yaml: chain: fill: tokens_per_step"),
    ],
)
def test_files_that_hold_no_policy(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        ds.policy(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="cannot read policy"):
        ds.policy(tmp_path / "none.json")


@pytest.mark.parametrize("name", list_policies())
def test_help_is_about_the_policy(name: str) -> None:
    cls = ds.policy(name).__class__
    shown = pydoc.render_doc(cls, renderer=pydoc.plaintext)  # type: ignore[attr-defined]
    assert "Rule" in shown
    assert "pydantic_" not in shown
    assert "json_schema" not in shown
    assert len(shown.splitlines()) < 200
    assert not any(member.startswith("_") for member in dir(cls))
    assert set(cls.model_fields) <= set(dir(ds.policy(name)))


def test_what_objects_say(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, ds.Unmask(tokens_per_step=4))
    assert repr(sampler).startswith("Sampler(Denoiser('nano'")
    assert "Unmask(tokens_per_step=4" in repr(sampler)
    assert str(sampler.policy) == repr(sampler.policy)
    out = sampler.generate(["12 + 3", "4 + 4"], 8)
    said = repr(out)
    assert said.startswith("Output(2 rows")
    assert f"{sum(s.nfe for s in out.stats)} forwards" in said
    assert len(said) < 200
    (answer,) = sampler.stream(["12 + 3"], 8)
    assert isinstance(answer, ds.Answer)


def test_embedded_models_are_listed() -> None:
    (nano,) = ds.list_models()
    assert nano["name"] == "nano"
    assert {"scope", "mdm"} <= {adapter["name"] for adapter in nano["adapters"]}


USER = """
import dlmsample as ds

sampler = ds.Sampler(ds.load("nano"), ds.T2M(threshold=0.2))
out: ds.Output = sampler.generate("a prompt")
texts: list[str] = out.texts
wrong: int = out.texts
for answer in sampler.stream(["a"]):
    number: int = answer.number
summary = ds.ablate("grid.yaml", "out")
done: int = summary.done
"""


@pytest.mark.full
@pytest.mark.skipif(shutil.which("mypy", path=str(Path(sys.executable).parent)) is None, reason="mypy is not installed")
def test_mypy_sees_the_types(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "user.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": ""},
        capture_output=True,
        text=True,
    )
    errors = [line for line in ran.stdout.splitlines() if "error" in line and line.startswith("user.py")]
    assert len(errors) == 1, ran.stdout
    assert "user.py:7" in errors[0]
    assert "list[str]" in errors[0]
