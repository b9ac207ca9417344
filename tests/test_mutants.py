"""The table of mutations is in step with the code: each of them still applies, and names tests that are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutants
from tests.mutants import MUTANTS, ROOT, Mutant, place


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_it_applies(mutant: Mutant) -> None:
    path = place(mutant, ROOT / "dlmsample")
    assert mutant.new != mutant.old
    source = path.read_text(encoding="utf-8").replace(mutant.old, mutant.new)
    compile(source, str(path), "exec")
    for test in mutant.tests.partition(" -k ")[0].split():
        file, _, name = test.partition("::")
        assert (ROOT / file).exists()
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_text_that_is_gone_or_there_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("a < b\nc < d\n")
    for old in ("<", "a > b"):
        with pytest.raises(LookupError, match=r"rules-1: found [02] times"):
            place(Mutant("rules-1", "rules.py", old, "<=", ""), tmp_path)
    assert place(Mutant("rules-1", "rules.py", "a <", "a <=", ""), tmp_path).name == "rules.py"


def test_an_exception_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once hid that pytest did not start: ``make mutants`` said 3 and no more."""

    def run(mutant: Mutant, copy: Path) -> int:
        raise SystemExit("pytest cannot start")

    monkeypatch.setattr(mutants, "run", run)
    assert mutants.attempt(MUTANTS[0], tmp_path) == 3
    assert "SystemExit: pytest cannot start" in capfd.readouterr().err


@pytest.mark.full
def test_without_a_mutation_tests_pass_and_with_one_they_fail() -> None:
    """A crew of its own, as ``make mutants`` has it: pytest starts there, and imports the copy."""
    command = [sys.executable, str(ROOT / "tests" / "mutants.py"), "-j", "1", "--only"]
    done = subprocess.run([*command, "holm(values)"], capture_output=True, text=True, timeout=600)
    said = [line.rpartition(" s ")[2] for line in done.stdout.splitlines()]
    assert said == ["passes", "noticed", "1 mutations, 0 errors"], done.stdout + done.stderr
