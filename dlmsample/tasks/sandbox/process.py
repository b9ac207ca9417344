"""Processes of the sandbox as their caller sees them: started with an order, read from, ended."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

JAIL = Path(__file__).with_name("jail.py")
_TIMED_OUT = 124


class SandboxError(ValueError):
    """Nothing was run, because it could not be confined here."""


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

    def of_kernel(self) -> dict[str, int]:
        """The kernel's own limits, by their names in ``resource``."""
        return {
            "RLIMIT_AS": self.memory,
            "RLIMIT_CPU": int(self.seconds) + 1,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_FSIZE": self.files,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
        }


class Jail:
    """One confined process, from its start to its end (a context); ``work`` is a key of ``jail.WORK``.

    ``judging`` gives it a secret word with which it can say that its work came to its end. ``keeps`` are the file
    descriptors, beside the standard ones, that the work gets; the caller closes its own copies.
    """

    def __init__(
        self,
        work: str,
        arguments: dict[str, Any],
        limits: Limits,
        *,
        judging: bool = False,
        keeps: Sequence[int] = (),
        namespaces: bool = True,
    ) -> None:
        self.limits = limits
        self._secret = secrets.token_hex(16) if judging else ""
        self._result, write = os.pipe()
        self._scratch = tempfile.TemporaryDirectory(prefix="dlmsample-", ignore_cleanup_errors=True)
        scratch = os.path.realpath(self._scratch.name)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", str(JAIL)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(write, *keeps),
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._result)
            self._scratch.cleanup()
            raise
        finally:
            os.close(write)
        assert self.process.stdout is not None
        self._kept = {self.process.stdout.fileno(): bytearray(), self._result: bytearray()}
        self._order = {
            "work": work,
            "arguments": arguments,
            "scratch": scratch,
            "scratch_bytes": limits.files,
            "seconds": limits.seconds,
            "namespaces": namespaces,
            "libraries": package_folders(),
            "parent": os.getpid(),
            "result": write,
            "secret": self._secret,
            "limits": limits.of_kernel(),
        }

    def begin(self) -> None:
        """Give the order."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(self._order).encode())
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def take(self, source: int) -> bool:
        """Read a little from one of ``sources``, keep what is not too much; False: it is closed."""
        data = os.read(source, 65536)
        kept = self._kept[source]
        kept += data[: max(0, self.limits.output - len(kept))]
        return bool(data)

    @property
    def sources(self) -> list[int]:
        """What it can be read from: its output, its result."""
        return list(self._kept)

    @property
    def output(self) -> str:
        """What it wrote to standard output and error."""
        return bytes(self._kept[self.sources[0]]).decode("utf-8", "replace")

    @property
    def passed(self) -> bool:
        """Whether its work came to its end, by the secret word.

        Raises: SandboxError: it was not confined, or its tests cannot be put to a program in another process.
        """
        result = bytes(self._kept[self._result]).decode("utf-8", "replace")
        if result.startswith("!"):
            raise SandboxError(f"generated code is not run, because it cannot be confined here: {result[1:]}")
        if self._secret and result.startswith(".?"):
            raise SandboxError(f"these tests cannot be run: {result[2:]}")
        return bool(self._secret) and result == "." + self._secret

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because of its time."""
        return self.process.returncode in (_TIMED_OUT, -signal.SIGKILL)

    def __enter__(self) -> Jail:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Let it end by itself (not after an interrupt); ask it to; make it."""
        for patience, ask in ((0 if kind else 2, None), (5, self.process.terminate), (5, self.process.kill)):
            if ask is not None:
                ask()
            try:
                self.process.wait(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
        os.close(self._result)
        self._scratch.cleanup()


def read_until_closed(jails: Sequence[Jail], deadline: float, grace: float = 2.0) -> None:
    """Read all jails until they close or the time is over. Once the last one has closed, the others get ``grace``."""
    with selectors.DefaultSelector() as waiting:
        for jail in jails:
            for source in jail.sources:
                waiting.register(source, selectors.EVENT_READ, jail)
        while (open_ones := waiting.get_map()) and time.monotonic() < deadline:
            for key, _ in waiting.select(timeout=deadline - time.monotonic()):
                if not key.data.take(key.fd):
                    waiting.unregister(key.fd)
                    if not any(other.data is jails[-1] for other in open_ones.values()):
                        deadline = min(deadline, time.monotonic() + grace)


def package_folders() -> list[str]:
    """The folders of installed packages that this process imports from: what the sandbox may read beside Python's own.

    Folders by any other name, such as a source tree that a path file or an editable installation names, stay closed.
    """
    folders = (os.path.realpath(path) for path in sys.path if path)
    return [
        path for path in folders if os.path.basename(path) in ("site-packages", "dist-packages") and os.path.isdir(path)
    ]


def _environment(scratch: str) -> dict[str, str]:
    """Nothing of the caller's: no keys, no paths."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", **one_thread}
