"""``load(compile=True)`` fuses layers, or says that it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

import dlmsample as ds
from tests.models import checkpoints as tiny


def test_what_cannot_be_fused_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    tiny.opened("bert", folder)
    with pytest.raises(ValueError, match=r"compile fuses the layers of glm4_moe, llama, .* leave it out"):
        ds.load(str(folder), compile=True, mask_id=tiny.MASK, eos_ids=[tiny.EOS])
