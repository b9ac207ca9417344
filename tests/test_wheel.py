"""The built wheel holds everything that is needed and works away from the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dlmsample"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = {str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert tracked <= packed
    assert {"dlmsample/models/nano/model.safetensors", "dlmsample/recipes/nano.yaml"} <= packed
    examples = {f"dlmsample/examples/{p.name}" for p in (ROOT / "examples").iterdir() if p.is_file()}
    assert {"dlmsample/examples/problems.txt", "dlmsample/examples/messages.json"} <= examples <= packed
    assert any(name.endswith("licenses/LICENSE") for name in packed)
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in packed)


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 40e6
    with zipfile.ZipFile(wheel) as archive:
        nano = [file for file in archive.infolist() if file.filename.startswith("dlmsample/models/nano/")]
        own = [file for file in nano if "/adapters/" not in file.filename and "/heads/" not in file.filename]
        assert sum(file.compress_size for file in own) < 20e6
        assert all(file.compress_size < 3e6 for file in nano if file not in own)


def test_it_works_when_installed(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import dlmsample, sys; assert dlmsample.__file__.startswith(sys.argv[1]), dlmsample.__file__\n"
        "from dlmsample.cli.main import run; sys.argv = ['dlmsample', 'generate', 'Tom has 12 pens.',"
        " '--policy', 't2t', '--max-new-tokens', '32', '--json']; run()"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    row = json.loads(done.stdout)
    assert set(row) == {"index", "prompt", "text", "tokens", "stats"}
    assert (site / "bin" / "dlmsample").is_file()
