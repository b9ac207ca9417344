"""benchmarks/same.py: what it compares, and that it tells a difference from none."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from benchmarks import same

JOB = same.Job([e.prompt for e in ds.tasks.load("wordproblems", split="test", limit=2)], 32, 1)
FEW = (same.Setting("unmask:tokens_per_step=8"), same.Setting("unmask:tokens_per_step=8", same.stream))


def test_every_policy_and_every_way() -> None:
    assert len({str(setting) for setting in same.SETTINGS}) == len(same.SETTINGS) >= 18
    assert {setting.policy.partition(":")[0] for setting in same.SETTINGS} == set(ds.list_policies())
    assert {setting.way for setting in same.SETTINGS} == {same.generate, same.stop, same.stream, same.fill}


def test_all_is_the_same(nano: ds.Denoiser, made: list[Any]) -> None:
    lines = list(same.check(nano, JOB, FEW, compile=False))
    assert [line.part for line in lines] == ["cpu", "cpu", "refused", "threads", "threads"]
    assert [line.answers for line in lines] == [2, 4, 2, 2, 4]
    assert not any(line.different for line in lines)
    assert [line.logged for line in lines] == [0, 0, 1, 0, 0]
    assert [line.bad for line in lines] == [False, False, True, False, False]  # on the CPU nothing is to be refused
    assert made


def test_a_difference_is_told(nano: ds.Denoiser) -> None:
    def way(sampler: ds.Sampler, job: same.Job) -> list[same.Row]:
        rows = same.generate(sampler, job)
        return rows[::-1] if sampler.graphs else rows

    line = same.compare(nano, same.Setting("unmask:tokens_per_step=8", way), JOB, "cpu")
    assert (line.different, line.bad) == (2, True)
    assert all(line.bad and line.different == 2 for line in same.threads(nano, (same.Setting("t2t", way),), JOB))


def test_a_line_in_the_log_is_told(nano: ds.Denoiser, made: list[Any]) -> None:
    """A capture that fails unasked gives the right tokens, but not what was to be compared."""

    def way(sampler: ds.Sampler, job: same.Job) -> list[same.Row]:
        logging.getLogger("dlmsample").warning("cannot be captured")
        return same.generate(sampler, job)

    line = same.compare(nano, same.Setting("unmask:tokens_per_step=8", way), JOB, "cpu")
    assert (line.different, line.bad) == (0, True)


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong: int
) -> None:
    lines = [same.Found("cpu", "t2t", 3, wrong, 0, wrong > 0), same.Found("compile", "t2t", 3, 2)]
    monkeypatch.setattr(same, "check", lambda *given: iter(lines))
    assert same.main(["--limit", "2", "--json", str(tmp_path / "out.json")]) == wrong
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert said[-1] == f"1 exact settings, 3 answers: {wrong} settings wrong"
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["wrong"], len(record["settings"])) == (wrong, 2)
    assert record["command"].startswith("python -m benchmarks.same --limit 2")
