"""Progress on a terminal: no field is ever empty."""

from __future__ import annotations

import re
import sys

import pytest

from dlmsample.ablate.workers.progress import GridProgress
from dlmsample.support.progress import Progress
from tests.cli.conftest import Terminal


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return screen


def lines(screen: Terminal) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]", plain) if line.strip()]


def test_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with Progress(3, True) as bar:
        bar.tick(1)
    drawn = lines(screen)
    assert re.search(r"0/3 0 forwards \d", drawn[0])
    assert re.search(r"1/3 1 forwards \d", drawn[-1])


def test_a_grid_in_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line at most every ten seconds after a finished cell, every minute without; a short run says nothing."""
    now = [100.0]
    monkeypatch.setattr("dlmsample.ablate.workers.progress.time.monotonic", lambda: now[0])
    with GridProgress(40, 4, 1, True) as bar:
        for seconds, cells in ((1, 1), (9, 1), (11, 0), (20, 1), (25, 0), (80, 0)):
            now[0] = 100.0 + seconds
            bar.advance(5, cells)
    err = capsys.readouterr().err.splitlines()
    assert err == [
        "cells 4/4, examples 20/40, 1.0 a second, 0:00:20 left",
        "cells 4/4, examples 30/40, 0.4 a second, 0:00:26 left",
    ]
    with GridProgress(40, 4, 1, False) as bar:
        now[0] += 1000
        bar.advance(5, 1)
    assert capsys.readouterr().err == ""


def test_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with GridProgress(40, 4, 1, True) as bar:
        bar.advance(10, 1)
        bar.advance(10, 1)
    drawn = lines(screen)
    assert drawn[0].startswith("cells 1/4")
    assert drawn[0].endswith("0/40 examples")
    assert re.search(r"20/40 examples, [\d.]+ a second, \d+:\d\d:\d\d left$", drawn[-1])
    assert not any(", ," in line or "-:--:--" in line for line in drawn)
