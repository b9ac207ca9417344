"""The contract with SGLang's own wheel, on a CPU, in a Python environment of its own.

The wheel is installed without its dependencies, which are gigabytes of CUDA packages; what its diffusion modules
import is installed beside it or taken from this environment, and torchvision is a stub. Then the tests of this folder
run there once more, with SGLang's classes.

Runs with ``--full``, or where ``DLMSAMPLE_SGLANG_ENV`` names a folder: of such an environment, or for a new one to
keep. ``DLMSAMPLE_SGLANG_VERSION`` asks for another version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = os.environ.get("DLMSAMPLE_SGLANG_ENV")
VERSION = os.environ.get("DLMSAMPLE_SGLANG_VERSION", "0.5.23")
#: What SGLang's diffusion modules import beyond torch, transformers and their dependencies; named with what these need.
PACKAGES = (
    *("aiohappyeyeballs", "aiohttp", "aiosignal", "apache-tvm-ffi", "attrs", "compressed-tensors", "fastapi"),
    *("frozenlist", "gguf", "ipython", "loguru", "msgspec", "multidict", "openai", "opentelemetry-api", "orjson"),
    *(
        "partial-json-parser",
        "pillow",
        "propcache",
        "psutil",
        "pybase64",
        "pyzmq",
        "requests",
        "scipy",
        "sentencepiece",
    ),
    *("starlette", "traitlets", "uvicorn", "yarl", "annotated-doc", "chardet", "urllib3", "certifi", "idna"),
)

pytestmark = [] if KEPT else [pytest.mark.full]


def run(*command: str | Path, **env: str) -> str:
    """What a command says; skips where pip finds no package, fails with its words where anything else goes wrong."""
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **env}
    )
    said = done.stdout + done.stderr
    if "No matching distribution" in said or "NewConnectionError" in said:
        pytest.skip(f"SGLang's wheel cannot be had here: {said.strip().splitlines()[-1]}")
    assert done.returncode == 0, said[-8000:]
    return said


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with SGLang and this package, which sees the packages of this one."""
    place = Path(KEPT) if KEPT else tmp_path_factory.mktemp("sglang")
    python = place / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", place)
        site = next(place.glob("lib/python3*/site-packages"))
        (site / "outer.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        run(*pip, f"sglang=={VERSION}", *PACKAGES)
        run(*pip, "--no-build-isolation", "--no-index", ROOT)
    return python


def test_the_contract_holds_with_sglangs_wheel(python: Path) -> None:
    tests = [ROOT / "tests" / "plugins" / name for name in ("test_sglang.py", "test_sglang_real.py")]
    said = run(python, "-m", "pytest", "-p", "no:xdist", "-W", "default", *tests, DLMSAMPLE_SGLANG_REAL="1")
    print(said)
    assert " passed" in said
