"""A hub that does not answer is told in seconds, with what to do."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

import dlmsample as ds
from dlmsample.cli import options
from dlmsample.evaluation import commands
from dlmsample.support import reach
from tests.cli.conftest import Terminal

_NOBODY = "http://127.0.0.1:9"
ASK = reach._ask  #: as it is, before the fixtures


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers, and the client's own waiting is an error."""

    def ask(endpoint: str) -> None:
        raise ConnectionError(endpoint)

    monkeypatch.setattr(reach, "_ask", ask)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


def test_a_refused_connection_is_no_answer() -> None:
    began = time.monotonic()
    with pytest.raises(Exception) as caught:  # noqa: PT011  the HTTP client's own
        ASK(_NOBODY)
    assert reach.unanswered(caught.value)
    assert time.monotonic() - began < 5


def test_without_the_hub_a_model_is_looked_for_in_the_cache_alone(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []

    def download(name: str, file: str, **how: Any) -> str:
        asked.append(how.get("local_files_only"))
        raise huggingface_hub.errors.LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ValueError, match=r"the hub \(http.*\) cannot be reached .* connect, or give the path"):
        ds.load("org/nothing")
    assert asked == [True]
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="cannot"):
        ds.load("org/nothing")
    assert asked == [True, None]  # the switch is the client's own


def test_a_terminal_is_told_what_is_looked_for(alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a, **k: pytest.fail("loaded"))
    monkeypatch.setattr(ds, "load", lambda *a, **k: None)
    options.CheckpointOptions(adapter="org/a", head="fca").load("org/m")
    options.CheckpointOptions().load(str(tmp_path))
    said = screen.getvalue().splitlines()
    assert [line.split(" on ")[0] for line in said] == ["looking for org/m", "looking for org/a"]


def test_the_client_is_offline_for_a_while(alone: None) -> None:
    with reach.cached_unless_reachable():
        assert huggingface_hub.constants.HF_HUB_OFFLINE
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_data_that_lm_eval_cannot_have_are_named() -> None:
    said = commands._unread(["run", "--tasks", "gsm8k", "--limit", "1"], ConnectionError("no hub"))
    assert said.startswith("the data of gsm8k cannot be read (no hub): connect once")
    assert "--include_path DIR" in said
