"""What only a process of its own can show: imports, signals, pipes, streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import dlmsample
from dlmsample import __version__
from dlmsample.cli.main import run
from tests.cli.conftest import Call

COMMAND = [sys.executable, "-m", "dlmsample"]
HEAVY = ("torch", "transformers", "tokenizers", "peft", "numpy", "jinja2")


def imported(*args: str) -> tuple[int, list[str]]:
    """Exit code of a command and which heavy packages it imported."""
    code = (
        "import sys; from dlmsample.cli.main import run; code = run(sys.argv[1:]); "
        f"print(code, *(m for m in {HEAVY} if m in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    status, *packages = done.stderr.splitlines()[-1].split()
    return int(status), packages


@pytest.mark.parametrize("args", [["--help"], ["generate", "--help"], ["-h"], ["--version"], [], ["tasks"]])
def test_imports_nothing_heavy(args: list[str]) -> None:
    assert imported(*args) == (0, [])


@pytest.mark.parametrize("args", [["--help"], ["-h"], []])
def test_help_imports_no_pydantic(args: list[str]) -> None:
    code = "import sys; from dlmsample.cli.main import run; run(sys.argv[1:]); sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, *args], capture_output=True).returncode == 0


def test_models_imports_nothing_heavy() -> None:
    assert imported("models") == (0, [])


def test_early_mistakes_import_nothing_heavy() -> None:
    for args in (["generate", " "], ["genrate"], ["generate", "x", "--policy", "t2"]):
        assert imported(*args) == (2, [])


def test_help_has_examples(call: Call) -> None:
    for args in (["--help"], ["generate", "--help"], []):
        code, out, err = call(*args)
        assert (code, err) == (0, "")
        assert 'dlmsample generate "Ann had 14 boxes' in out


def test_version(call: Call) -> None:
    assert call("--version") == (0, f"dlmsample {__version__}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_options_and_names(shell: str) -> None:
    def complete(line: str) -> str:
        position = str(len(line.split(" ")) - 1)
        asked = {"COMP_WORDS": line, "COMP_CWORD": position, "_TYPER_COMPLETE_ARGS": line}
        action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_DLMSAMPLE_COMPLETE": f"complete_{shell}"}
        done = subprocess.run(COMMAND, env={**os.environ, **asked, **action}, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "generate" in complete("dlmsample gen")
    assert "--policy" in complete("dlmsample generate --pol")
    assert "t2m" in complete("dlmsample generate --policy t2")
    assert "unmask" not in complete("dlmsample generate --policy t2")
    assert "t2m" in complete("dlmsample policies t2")
    assert "wordproblems" in complete("dlmsample tasks word")
    assert "scope" in complete("dlmsample generate --adapter sc")
    assert "uniform" in complete("dlmsample generate --head u")
    assert "nano_scope" in complete("dlmsample train --recipe nano_sc")


def test_the_lines_for_the_shell(call: Call) -> None:
    assert "--install-completion" in call("--help").out
    done = subprocess.run(
        [*COMMAND, "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "_DLMSAMPLE_COMPLETE=complete_bash" in done.stdout


def test_warnings_of_libraries_never_reach_a_user(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even where a library has put a filter of its own in front, nor from a process that a command starts."""

    def load(name: str, **options: object) -> None:
        warnings.simplefilter("always")
        warnings.warn("old", FutureWarning, stacklevel=1)
        subprocess.run([sys.executable, "-c", "import warnings; warnings.warn('old', FutureWarning)"], check=True)
        raise ValueError("enough")

    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    monkeypatch.setattr(dlmsample, "load", load)
    assert run(["generate", "x"]) == 2
    assert capfd.readouterr() == ("", "dlmsample: enough\n")
    assert "PYTHONWARNINGS" not in os.environ


def test_generate_reads_standard_input_and_writes_one_line_a_prompt() -> None:
    args = [*COMMAND, "generate", "-", "--json", "--max-new-tokens", "8"]
    done = subprocess.run(args, input=b"one\n\ntwo\n", capture_output=True)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 2)


def test_standard_input_that_is_not_utf8() -> None:
    done = subprocess.run([*COMMAND, "generate", "-"], input=b"ok\n\xff\n", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert b"line 2" in done.stderr


def test_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "tasks", "--json"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_closed_streams() -> None:
    assert subprocess.run(["sh", "-c", f"{' '.join(COMMAND)} tasks <&- >&- 2>&-"]).returncode == 0


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_interrupt_while_torch_is_imported() -> None:
    process = subprocess.Popen(
        [*COMMAND, "generate", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"dlmsample: interrupted\n")
