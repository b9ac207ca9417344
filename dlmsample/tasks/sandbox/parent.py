"""The caller's side of the sandbox: prove once that it holds, run programs, judge them."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from dlmsample.tasks.sandbox.process import Jail, Limits, SandboxError, read_until_closed

_START_SECONDS = 30.0
"""What a jail may take beyond its own time, on a loaded machine, before it is given up."""
_JUDGE_SECONDS = 5.0
"""What the judge may take beyond the program's time."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a program ended: ``passed``, else ``reason`` "failed" or "timeout"; its output."""

    passed: bool
    reason: str
    output: str


def judge(program: str, tests: str, given: str = "", names: Sequence[str] = (), limits: Limits | None = None) -> Run:
    """Run ``tests`` on a program that nobody has read, and say whether they came to their end without an exception.

    The program is imported as a module in one confined process (see :func:`run`), the tests run in another one. In
    their namespace ``given`` is run first, then ``names`` are taken from the program; calling them asks the program's
    process, and what it returns arrives as data (``wire``). So the verdict is reached where the program is not: its
    process holds neither the tests, nor what they expect, nor the word that says "passed".

    What remains: a program can still return what the tests expect because it knows them, as any answer can. Objects of
    the program's own classes are equal to nothing but themselves, whatever their ``__eq__`` says; tests cannot pass
    functions or objects of their own classes (the tests then fail). ``limits`` hold for each of the two processes; the
    judge gets a little more time.

    Raises: SandboxError: it cannot be confined here; nothing ran.

    Example:
        >>> judge("def f(x):\\n    return 2 * x", "assert f(2) == 4", names=["f"]).reason  # doctest: +SKIP
        'passed'
    """
    check()
    return _judge(program, tests, given, names, limits or Limits())


def run(program: str, limits: Limits | None = None) -> Run:
    """Run a Python program in confinement and say whether it came to its end without an exception.

    A process of its own: with new namespaces (processes, network, mounts) where the system gives them; as root under a
    user id that nobody else has; Landlock lets it read the libraries of Python and of installed packages and write its
    empty scratch folder, nothing else, and start no other program; seccomp refuses sockets and everything that leads
    out; limits on time, memory, processes and file sizes. At the end everything that it started is killed. Standard
    input is empty; of standard output and error the first ``limits.output`` bytes are kept. Without the new mounts
    (root in a container that lacks them) files together are limited by their number and size only.

    ``passed`` is what the program's own process says, so a program that wants to can say it: a verdict on a program
    that may lie is :func:`judge`'s.

    Raises: SandboxError: it cannot be confined here (see :func:`check`, which the first call runs); nothing ran.

    Example:
        >>> run("assert sum([1, 2]) == 3").reason  # doctest: +SKIP
        'passed'
    """
    check()
    return _run(program, limits or Limits())


def check() -> None:
    """Prove once per process, by harmless attempts, that a confined program can do none of what it must not.

    Raises: SandboxError naming what is missing.
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
        last = (done.output.strip().split("\n") or [done.reason])[-1]
        raise SandboxError(f"generated code is not run, because the sandbox does not hold here: {last}")


def _run(program: str, limits: Limits, namespaces: bool = True) -> Run:
    with Jail("alone", {"program": program}, limits, judging=True, namespaces=namespaces) as jail:
        jail.begin()
        read_until_closed([jail], time.monotonic() + limits.seconds + _START_SECONDS)
    return _ended(jail)


def _judge(program: str, tests: str, given: str, names: Sequence[str], limits: Limits, namespaces: bool = True) -> Run:
    patient = replace(limits, seconds=limits.seconds + _JUDGE_SECONDS)
    with ExitStack() as stack:
        with ExitStack() as ends:  # of the two pipes between them: each process keeps its own, the caller none
            asked, questions = _pipe(ends)
            answered, answers = _pipe(ends)
            served = {"program": program, "questions": asked, "answers": answers}
            order = {"tests": tests, "given": given, "names": list(names), "questions": questions, "answers": answered}
            serving = Jail("serve", served, limits, keeps=(asked, answers), namespaces=namespaces)
            stack.enter_context(serving)
            judging = Jail("judge", order, patient, judging=True, keeps=(questions, answered), namespaces=namespaces)
            stack.enter_context(judging)
        serving.begin()
        judging.begin()
        read_until_closed([serving, judging], time.monotonic() + patient.seconds + _START_SECONDS)
    return _ended(judging, serving)


def _pipe(ends: ExitStack) -> tuple[int, int]:
    both = os.pipe()
    for end in both:
        ends.callback(os.close, end)
    return both


def _ended(last: Jail, *others: Jail) -> Run:
    """What the last of the jails says, with the output of all. Raises: SandboxError: one was not confined."""
    passed = [jail.passed for jail in (*others, last)][-1]
    late = any(jail.timed_out for jail in (*others, last))
    output = "".join(jail.output for jail in (*others, last))
    return Run(passed, "passed" if passed else "timeout" if late else "failed", output)
