"""Mathematical equivalence by math-verify, in one helper process that may be stopped at any moment."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

SECONDS = 10.0
"""Time for one pair of expressions; the helper's start is not counted."""

_START_SECONDS = 120.0
_WORKER = Path(__file__).with_name("worker.py")
_REMEDY = "math500 needs math-verify: pip install 'dlmsample[tasks]'"


class Verdict(NamedTuple):
    """Whether the two are equivalent, and how the second was understood (None: it was not)."""

    same: bool
    parsed: str | None


def check() -> None:
    """Raises: ValueError: math-verify is not installed."""
    if importlib.util.find_spec("math_verify") is None:
        raise ValueError(_REMEDY)


def equivalent(gold: str, said: str) -> Verdict:
    r"""Whether ``said`` states what ``gold`` does; both are text with LaTeX in it.

    Too slow, too large or not understood counts as different. Threads may call it; they take turns.

    Raises: ValueError: math-verify is not installed.

    Example:
        >>> equivalent(r"$\frac{1}{2}$", "$0.5$").same  # doctest: +SKIP
        True
    """
    with _lock:
        return _helper().ask(gold, said)


class _Helper:
    """The process, and the process id that may use it: a forked copy must start its own."""

    def __init__(self) -> None:
        check()
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._answer(_START_SECONDS) is None:
            self.stop()
            raise ValueError(f"math-verify does not start; {_REMEDY}")

    def ask(self, gold: str, said: str) -> Verdict:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([gold, said]).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.stop()
            return Verdict(False, None)
        answer = self._answer(SECONDS)
        if answer is None:
            self.stop()
            return Verdict(False, None)
        return Verdict(bool(answer[0]), answer[1])

    def _answer(self, seconds: float) -> list | None:
        """The next line; None: it took too long, or the process ended."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def stop(self) -> None:
        """End the process (by a process that does not own it: only forget it)."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


_lock = threading.Lock()
_running: list[_Helper] = []


def _helper() -> _Helper:
    if _running and (_running[0].owner != os.getpid() or _running[0].process.poll() is not None):
        _running.pop().stop()
    if not _running:
        _running.append(_Helper())
    return _running[0]


@atexit.register
def _stop() -> None:
    while _running:
        _running.pop().stop()
