"""The notebooks' code runs, cell by cell, without jupyter; they are kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.full) if "train" in path.stem else path for path in NOTEBOOKS],
    ids=lambda p: p.stem,
)
def test_every_cell_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the notebook's own processes use this checkout, too
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] for cell in code)
    namespace: dict[str, object] = {"__name__": path.stem}
    for number, cell in enumerate(code):
        exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), namespace)
