"""``--threads``: never more than there are cores, and fewer where others work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dlmsample.cli import screen, threads
from dlmsample.support import cores
from tests.cli.conftest import Call, is_mistake


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Eight cores, all this process's, with files in place of /proc and /sys/fs/cgroup."""
    monkeypatch.setattr(cores, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(cores, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def write(**files: str) -> None:
        for name, text in {"proc/loadavg": "0.00 0 0 1/99 7", "proc/self/cgroup": "0::/a/b\n", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8),
        ({"cgroup/a/b/cpu.max": "max 100000\n"}, 8),
        ({"cgroup/a/b/cpu.max": "250000 100000\n"}, 2),
        ({"cgroup/a/cpu.max": "400000 100000\n", "cgroup/a/b/cpu.max": "max 100000\n"}, 4),  # of a group around it
        ({"cgroup/a/b/cpu.max": "50000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/c\n3:memory:/m\n",
                "cgroup/cpu/c/cpu.cfs_quota_us": "300000\n",
                "cgroup/cpu/c/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/c\n",
                "cgroup/cpu/c/cpu.cfs_quota_us": "-1\n",
                "cgroup/cpu/c/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
        ({"proc/loadavg": "5.10 1 1 6/99 7"}, 3),
        ({"proc/loadavg": "20.0 1 1 30/99 7"}, 1),
        ({"proc/loadavg": "6.00 1 1 1/99 7"}, 8),  # what ran is over
        ({"proc/loadavg": "0.10 1 1 7/99 7"}, 8),  # a moment's crowd
        ({"proc/loadavg": "nonsense"}, None),
    ],
)
def test_free_cores(machine: Any, files: dict[str, str], free: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)
    machine(**files)
    assert cores.free() == (8 if free is None else free)


def test_what_is_chosen_is_said_and_passed_on(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    used: list[int] = []
    notes: list[str] = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(screen, "note", notes.append)
    monkeypatch.setenv(threads.VARIABLE, "")
    machine(**{"proc/loadavg": "5.0 1 1 6/99 7"})
    threads.use(None)
    assert (used, os.environ[threads.VARIABLE], len(notes)) == ([3], "3", 1)
    assert "3 of 8 cores" in notes[0]
    threads.use(None)  # the environment has it now
    assert (used, len(notes)) == ([3], 1)
    threads.use(5)
    threads.use(64)
    assert (used, os.environ[threads.VARIABLE], len(notes)) == ([3, 5, 8], "8", 2)


def test_the_option_reaches_torch(call: Call, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []
    monkeypatch.setattr(threads, "use", seen.append)
    assert call("generate", "x", "--max-new-tokens", "8", "--threads", "1").code == 0
    assert call("generate", "x", "--max-new-tokens", "8").code == 0
    assert seen == [1, None]
    is_mistake(call("generate", "x", "--threads", "0"), "--threads")
