"""The sandbox contains what programs try; every attempt here is harmless if it does not, or small."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dlmsample.tasks import sandbox
from dlmsample.tasks.sandbox import Limits, Run, SandboxError, parent, process

ROOT = os.name == "posix" and os.getuid() == 0
Confined = Callable[..., Run]
JAILED = ("kernel.py", "wire.py", "serve.py", "verdicts.py", "jail.py")


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "user id alone"])
def confined(request: pytest.FixtureRequest) -> Confined:
    """Runs a program. The proof, in which a bounded number of processes is tried, comes first."""
    if not request.param and not ROOT:
        pytest.skip("needs root")
    try:
        parent._prove(request.param)
    except SandboxError as error:
        if os.environ.get("DLMSAMPLE_SANDBOX") == "required":
            raise
        pytest.skip(str(error))
    return lambda program, seconds=20.0: parent._run(program, Limits(seconds=seconds), request.param)


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No scratch folder and no process of a confined user is left behind."""
    start, jails, folders = subprocess.Popen, [], []

    def noted(*arguments: Any, **options: Any) -> Any:
        started = start(*arguments, **options)
        if "pass_fds" in options:
            jails.append(started.pid)
            folders.append(options["cwd"])
        return started

    monkeypatch.setattr(subprocess, "Popen", noted)
    monkeypatch.setenv("DLMSAMPLE_SECRET", "of the caller")
    yield
    assert not any(Path(folder).exists() for folder in folders)
    assert not strangers() & {1_900_000_000 + jail % 4_194_304 for jail in jails}


def strangers() -> set[int]:
    """The users of all processes."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.add(folder.stat().st_uid)
    return found


def test_good_and_bad_programs(confined: Confined) -> None:
    assert confined("print('said')\nassert sum([1, 2]) == 3") == Run(True, "passed", "said\n")
    bad = confined("assert sum([1, 2]) == 4, 'wrong sum'")
    assert (bad.passed, bad.reason) == (False, "failed")
    assert "wrong sum" in bad.output


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise KeyboardInterrupt",
        "import ctypes; ctypes.string_at(0)",
        "import os; os.abort()",
        "def f(): f()\nf()",
        "import os\nif os.fork():\n    os._exit(0)",
        "def",
        "\0",
    ],
)
def test_ending_early_is_no_success(confined: Confined, program: str) -> None:
    assert confined(program).reason == "failed"


def test_the_standard_library_and_scratch_files_work(confined: Confined) -> None:
    program = """
import asyncio, bisect, collections, datetime, decimal, hashlib, heapq, itertools, json, math, random, re, tempfile
open("here", "w").write("x")
assert open("here").read() == "x"
with tempfile.TemporaryFile() as file:
    file.write(b"y")
async def three(): return 3
try:
    three().send(None)
except StopIteration as end:
    assert end.value == 3
if __name__ == "__main__":
    raise AssertionError("a demonstration was run")
import os
assert not set(os.environ) & {"PATH", "USER", "PYTHONPATH", "DLMSAMPLE_SECRET"}
assert __import__("sys").stdin.read() == ""
"""
    done = confined(program)
    assert done.passed, done.output


@pytest.mark.parametrize("program", ["while True: pass", "import time; time.sleep(60)"])
def test_an_endless_program_is_stopped(confined: Confined, program: str) -> None:
    before = time.monotonic()
    assert confined(program, 1.0).reason == "timeout"
    assert time.monotonic() - before < 15


def test_ten_gigabytes_are_refused(confined: Confined) -> None:
    done = confined("x = bytearray(10 << 30)")
    assert done.reason == "failed"
    assert "MemoryError" in done.output


def test_memory_in_small_pieces_is_refused_too(confined: Confined) -> None:
    done = confined("x = []\nwhile True: x.append(bytearray(50 << 20))")
    assert done.reason in ("failed", "timeout")


HOME = Path.home()


@pytest.mark.parametrize(
    "attempt",
    [
        f"os.listdir({str(HOME)!r})",
        f"open({str(HOME / '.profile')!r}).read()" if (HOME / ".profile").exists() else "os.listdir('/home')",
        "open('/etc/passwd').read()",
        "os.listdir('/')",
        "open('/proc/1/environ').read()",
        "open('/proc/self/maps').read()",
        f"open({__file__!r}).read()",
        "open('/tmp/dlmsample_outside', 'w')",
        "open('/dev/shm/dlmsample_outside', 'w')",
        "os.mkdir('/var/tmp/dlmsample_outside')",
        "os.remove('/tmp')",
        "os.chmod('.', 0o777)",
        "os.truncate('/etc/hostname', 0)",
        "os.utime('.')",
        "os.setxattr('.', 'user.x', b'x')",
        "socket.socket()",
        "socket.socket(socket.AF_INET6)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.create_connection(('127.0.0.1', 9))",
        "subprocess.run(['/bin/true'])",
        "os.execv(sys.executable, [sys.executable])",
        "os.setuid(0)",
        "os.memfd_create('x')",
        "os.chroot('.')",
        "os.kill(os.getppid() or 10**6, 9)",
    ],
)
def test_ways_out_are_closed(confined: Confined, attempt: str) -> None:
    done = confined(
        f"import os, socket, subprocess, sys\ntry:\n    {attempt}\nexcept OSError: pass\nelse: raise SystemError"
    )
    assert done.passed, done.output


def test_namespaces_cannot_be_entered_by_system_call(confined: Confined) -> None:
    program = """
import ctypes
call = ctypes.CDLL(None, use_errno=True)
assert call.unshare(0x10000000) == -1
assert call.syscall(435, None, 0) == -1 and ctypes.get_errno() == 38
assert call.ptrace(0, 0, 0, 0) == -1
"""
    done = confined(program)
    assert done.passed, done.output


def test_processes_are_few(confined: Confined) -> None:
    """A count, before anything forks without end."""
    program = """
import os, time
started = 0
for _ in range(20):
    try:
        if not os.fork():
            time.sleep(5)
            os._exit(0)
    except OSError:
        break
    started += 1
assert 1 <= started < 8, started
"""
    done = confined(program)
    assert done.passed, done.output


def test_a_fork_bomb_ends_with_its_time(confined: Confined) -> None:
    test_processes_are_few(confined)
    program = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    assert confined(program, 1.0).reason == "timeout"


def test_threads_are_few(confined: Confined) -> None:
    program = "import threading, time\nfor _ in range(30): threading.Thread(target=time.sleep, args=(9,)).start()"
    assert confined(program).reason == "failed"


def test_what_slips_into_the_background_is_killed(confined: Confined) -> None:
    program = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(60)
"""
    assert confined(program).passed  # the fixture looks for what is left


def test_output_is_bounded(confined: Confined) -> None:
    done = confined("import sys\nfor _ in range(300): print('x' * 10_000)")
    assert done.passed
    assert len(done.output) == Limits().output


def test_files_are_bounded(confined: Confined) -> None:
    assert confined("with open('f', 'wb') as f:\n    for _ in range(80): f.write(bytes(1 << 20))").reason == "failed"


def test_a_copy_of_the_program_cannot_say_it_passed(confined: Confined) -> None:
    assert confined("import os\nif os.fork():\n    assert False").reason == "failed"


@pytest.mark.usefixtures("confined")
def test_a_killed_caller_leaves_nothing() -> None:
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    code = (
        "from dlmsample.tasks.sandbox import *; check(); print(flush=True);"
        "run('import time; time.sleep(60)', Limits(seconds=60))"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={"TMPDIR": folder})
    assert caller.stdout is not None
    caller.stdout.readline()
    time.sleep(1.0)
    jails = children(caller.pid)
    jails += [inside for jail in jails for inside in children(jail)]
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    until = time.monotonic() + 5
    while any(Path(f"/proc/{jail}").exists() for jail in jails) and time.monotonic() < until:
        time.sleep(0.05)
    shutil.rmtree(folder)  # an empty folder is all that a killed caller leaves
    assert len(jails) == 2
    assert not any(Path(f"/proc/{jail}").exists() for jail in jails)


def children(process: int | str) -> list[str]:
    """Process ids of the children, from any of its threads."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


@pytest.mark.skipif(not ROOT, reason="root alone can become somebody else")
def test_an_ordinary_user_is_confined_or_refused() -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    code = (
        "import sys; sys.version_info >= (3, 11) or sys.exit(77)\n"
        f"sys.path.insert(0, {str(Path(parent.__file__).parents[3])!r})\n"
        "try:\n    from dlmsample.tasks import sandbox\nexcept OSError:\n    sys.exit(77)\n"
        "try:\n    sandbox.check()\nexcept sandbox.SandboxError as error:\n    sys.exit(str(error))\n"
        "assert sandbox.run('pass').passed and not sandbox.run('assert False').passed\n"
    )
    if python is None:
        pytest.skip("needs a python3 that everybody may start")
    somebody = 65534
    done = subprocess.run(
        [python, "-c", code], user=somebody, group=somebody, extra_groups=[], cwd="/", capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip("needs Python 3.11 and a package that everybody may read")
    assert done.returncode == 0 or "cannot be confined here" in done.stderr, done.stderr


def test_refused_where_a_step_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "jail.py"
    for name in JAILED:
        source = process.JAIL.with_name(name).read_text()
        broken.with_name(name).write_text(source.replace("_CREATE_RULESET, _ADD_RULE", "_ADD_RULE, _CREATE_RULESET"))
    monkeypatch.setattr(process, "JAIL", broken)
    with pytest.raises(SandboxError, match=r"is not run, because it cannot be confined here: .*Landlock"):
        parent._run(f"open({str(tmp_path / 'ran')!r}, 'w')", Limits())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("kernel.filter_calls()", "opening a socket"),
        ("kernel.restrict_files(rules)", "reading files"),
    ],
)
def test_refused_where_the_proof_fails(step: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in JAILED:
        (tmp_path / name).write_text(process.JAIL.with_name(name).read_text().replace(step, "pass"))
    monkeypatch.setattr(process, "JAIL", tmp_path / "jail.py")
    monkeypatch.setattr(parent, "_proved", set())
    with pytest.raises(SandboxError, match=f"does not hold here: SystemError: {says}"):
        sandbox.run("pass")


def test_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "_proved", set())
    monkeypatch.setattr(parent.sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="on Linux only"):
        sandbox.run("pass")
