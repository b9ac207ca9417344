"""What ``auto`` means with and without a GPU, and that a record holds what it came to."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlmsample.train.config import device, load


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(device, "usable", lambda: 16)
    return monkeypatch


def values(*given: str) -> tuple[Any, ...]:
    config = load("nano_scope", given)
    return config.precision, config.compile, config.workers


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_a_recipe_of_ours_neither_compiles_nor_emulates() -> None:
    assert values() == ("no", False, 0)


def test_on_a_gpu(gpu: pytest.MonkeyPatch) -> None:
    assert values() == ("bf16", True, 14)
    gpu.setenv("LOCAL_WORLD_SIZE", "4")
    assert values()[2] == 2, "the cores are shared by four processes"
    gpu.setattr(device, "usable", lambda: 1)
    gpu.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert values() == ("no", True, 0), "bfloat16 that is only emulated is not taken"


def test_what_is_given_stays(gpu: pytest.MonkeyPatch) -> None:
    assert values("precision=no", "compile=false", "workers=2") == ("no", False, 2)


def test_the_configuration_holds_what_auto_came_to() -> None:
    assert "auto" not in str(load("nano_scope", ["precision=auto", "compile=auto", "workers=auto"]).model_dump())


@pytest.mark.parametrize("wrong", ["precision=fast", "compile=perhaps", "workers=-1", "workers=many"])
def test_anything_else_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.split("=")[0]):
        load("nano_scope", [wrong])
