"""benchmarks/unpack_wheels.py: what is missing or older is unpacked, the rest is left alone."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.unpack_wheels import numbers, unpack


def test_only_what_is_missing_or_older_is_unpacked(tmp_path: Path) -> None:
    newer = f"{numbers(version('pytest'))[0] + 1}.0"
    for name in (f"pytest-{newer}", f"packaging-{version('packaging')}", "not_there_at_all-0.1"):
        with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name.split('-')[0]}.txt", "")
    done = unpack(tmp_path, tmp_path / "site")
    assert done == ["not_there_at_all-0.1-py3-none-any.whl", f"pytest-{newer}-py3-none-any.whl"]
    assert {path.name for path in (tmp_path / "site").iterdir()} == {"not_there_at_all.txt", "pytest.txt"}


def test_without_wheels_nothing_happens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unpack(tmp_path / "none", tmp_path / "site") == []
    assert not (tmp_path / "site").exists()
    assert capsys.readouterr().out == ""
