"""The caller's side of the sandbox: start the jail, read what comes out, prove once that it holds."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_JAIL = Path(__file__).with_name("jail.py")
_TIMED_OUT = 124
_START_SECONDS = 30.0
"""What the jail may take beyond the program's own time, on a loaded machine, before it is given up."""


class SandboxError(ValueError):
    """The program was not run, because it could not be confined here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use: seconds of the clock, bytes of memory (each process) and of files, processes, output.

    Example:
        >>> Limits(seconds=3.0).processes
        8
    """

    seconds: float = 10.0
    memory: int = 1 << 30
    processes: int = 8
    files: int = 64 << 20
    output: int = 64 << 10


@dataclass(frozen=True, slots=True)
class Run:
    """How a program ended: ``passed`` (it came to its end), else ``reason`` "failed" or "timeout"; its output."""

    passed: bool
    reason: str
    output: str


def run(program: str, limits: Limits | None = None) -> Run:
    """Run a Python program in confinement and say whether it came to its end without an exception.

    A process of its own: with new namespaces (processes, network, mounts) where the system gives them; as root under a
    user id that nobody else has; Landlock lets it read Python's libraries and write its empty scratch folder, nothing
    else, and start no other program; seccomp refuses sockets and everything that leads out; limits on time, memory,
    processes and file sizes. At the end everything that it started is killed. Standard input is empty; of standard
    output and error the first ``limits.output`` bytes are kept. Without the new mounts (root in a container that lacks
    them) files together are limited by their number and size only.

    Errors: SandboxError: it cannot be confined here (see :func:`check`, which the first call runs); nothing ran.

    Example:
        >>> run("assert sum([1, 2]) == 3").reason  # doctest: +SKIP
        'passed'
    """
    check()
    return _run(program, limits or Limits())


def check() -> None:
    """Prove once per process, by harmless attempts, that a confined program can do none of what it must not.

    Errors: SandboxError naming what is missing.
    """
    with _lock:
        if os.getpid() not in _proved:
            _prove()
            _proved.add(os.getpid())


_lock = threading.Lock()
_proved: set[int] = set()

# Each line that fails names itself in the traceback's last line. The processes wait on a pipe, so that a missing limit
# costs a dozen of them for a moment.
_ATTEMPTS = """
import os, socket
def refused(what, attempt, *arguments):
    try:
        attempt(*arguments)
    except (OSError, MemoryError):
        return
    raise SystemError(what + " is possible in it")
if os.getuid() == 0:
    raise SystemError("it runs as root")
refused("reading files", open, CANARY)
refused("listing folders", os.listdir, os.path.dirname(CANARY))
refused("writing files", open, CANARY + ".new", "w")
refused("cutting files short", os.truncate, CANARY, 0)
refused("changing modes", os.chmod, CANARY, 0o600)
refused("changing times", os.utime, CANARY)
refused("removing files", os.remove, CANARY)
refused("reading the home folder", os.listdir, HOME)
refused("opening a socket", socket.socket, socket.AF_INET, socket.SOCK_STREAM)
refused("opening a datagram socket", socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
refused("opening a local socket", socket.socket, socket.AF_UNIX, socket.SOCK_STREAM)
refused("starting a program", os.execv, "/bin/true", ["true"])
refused("taking memory", bytearray, MEMORY)
open(os.path.abspath("scratch"), "w").write("x")
ours, theirs = os.pipe()
started = 0
for _ in range(PROCESSES + 4):
    try:
        child = os.fork()
    except OSError:
        break
    if not child:
        os.close(theirs)
        os.read(ours, 1)
        os._exit(0)
    started += 1
os.close(theirs)
for _ in range(started):
    os.wait()
if started >= PROCESSES:
    raise SystemError("starting any number of processes is possible in it")
"""


def _prove(namespaces: bool = True) -> None:
    if not sys.platform.startswith("linux"):
        raise SandboxError("generated code is confined on Linux only: run this task there, or in a Linux container")
    limits = Limits(seconds=20.0)
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder, "canary")
        canary.write_text("x")
        os.chmod(folder, 0o777)
        names = {
            "CANARY": str(canary),
            "HOME": str(Path.home()),
            "MEMORY": 2 * limits.memory,
            "PROCESSES": limits.processes,
        }
        head = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        done = _run(head + _ATTEMPTS, limits, namespaces)
    if not done.passed:
        last = (done.output.strip().splitlines() or [done.reason])[-1]
        raise SandboxError(f"generated code is not run, because the sandbox does not hold here: {last}")


def _run(program: str, limits: Limits, namespaces: bool = True) -> Run:
    secret = secrets.token_hex(16)
    read, write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="dlmsample-", ignore_cleanup_errors=True) as scratch:
        order = {
            "program": program,
            "scratch": os.path.realpath(scratch),
            "scratch_bytes": limits.files,
            "seconds": limits.seconds,
            "namespaces": namespaces,
            "parent": os.getpid(),
            "result": write,
            "secret": secret,
            "limits": _limits(limits),
        }
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", str(_JAIL)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(write,),
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        finally:
            os.close(write)
        try:
            output, result = _converse(process, json.dumps(order).encode(), read, limits)
        except BaseException:  # an interrupt, above all: do not wait for the program
            process.terminate()
            raise
        finally:
            _end(process)
            os.close(read)
    if result.startswith("!"):
        raise SandboxError(f"generated code is not run, because it cannot be confined here: {result[1:]}")
    passed = result == secret
    reason = "passed" if passed else "timeout" if process.returncode in (_TIMED_OUT, -signal.SIGKILL) else "failed"
    return Run(passed, reason, output)


def _limits(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_AS": limits.memory,
        "RLIMIT_CPU": int(limits.seconds) + 1,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_FSIZE": limits.files,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
    }


def _environment(scratch: str) -> dict[str, str]:
    """Nothing of the caller's: no keys, no paths."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", **one_thread}


def _converse(process: subprocess.Popen[bytes], order: bytes, result: int, limits: Limits) -> tuple[str, str]:
    """Give the order, then read both pipes until they close or the time is over; what is too much is dropped."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(order)
        process.stdin.close()
    except BrokenPipeError:
        pass
    deadline = time.monotonic() + limits.seconds + _START_SECONDS
    kept = {process.stdout.fileno(): bytearray(), result: bytearray()}
    with selectors.DefaultSelector() as waiting:
        for source in kept:
            waiting.register(source, selectors.EVENT_READ)
        while waiting.get_map() and time.monotonic() < deadline:
            for key, _ in waiting.select(timeout=deadline - time.monotonic()):
                data = os.read(key.fd, 65536)
                kept[key.fd] += data[: max(0, limits.output - len(kept[key.fd]))]
                if not data:
                    waiting.unregister(key.fd)
    output, word = (bytes(part).decode("utf-8", "replace") for part in kept.values())
    return output, word


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the jail end by itself; ask it to; make it."""
    for ask in (None, process.terminate, process.kill):
        if ask is not None:
            ask()
        try:
            process.wait(timeout=5)
            break
        except subprocess.TimeoutExpired:
            continue
    if process.stdout is not None:
        process.stdout.close()
