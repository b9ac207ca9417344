"""A tiny checkpoint, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ablate.toys import save_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))
