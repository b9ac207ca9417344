"""``run``: the entry point. Whatever happens becomes an exit code and at most one line on standard error."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from dlmsample.cli import interrupt

#: Exit codes.
FAILED, MISTAKE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
#: Set to 1, this environment variable lets tracebacks and library warnings through.
DEBUG = "DLMSAMPLE_DEBUG"
_CHILDREN = "PYTHONWARNINGS"  #: what Python processes that are started from here do with warnings


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done; 2: a user's mistake, told in one line on standard error; 1: unexpected; 130: interrupted;
    141: the reader of standard output went away.

    Args:
        args: the words after ``dlmsample``; None: those of the process.
    """
    with interrupt.leaving_at_once(), _streams(), _quiet(debugging()):
        try:
            from dlmsample.cli.app import call

            code = call(list(sys.argv[1:] if args is None else args))
            sys.stdout.flush()
        except KeyboardInterrupt:
            interrupt.say()
            return INTERRUPTED
        except BrokenPipeError:
            _settle_stdout()
            return BROKEN_PIPE
        except Exception as error:
            _settle_stdout()
            return _report(error)
        return code


def debugging() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def _report(error: Exception) -> int:
    """One line for an error; mistakes of the user are ValueErrors throughout the library."""
    from dlmsample.support.text import one_line

    message = one_line(str(error))
    mistake = isinstance(error, ValueError)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        message, mistake = f"no file has so long a name: {str(error.filename)[:60]}...", True
    if debugging():
        import traceback

        traceback.print_exception(error)
    if not mistake:
        message = f"unexpected error {type(error).__name__}: {message}; set {DEBUG}=1 to see where"
    sys.stderr.write(f"dlmsample: {message}\n")
    return MISTAKE if mistake else FAILED


@contextmanager
def _streams() -> Iterator[None]:
    """Standard streams that exist and never fail on a character that the locale's encoding lacks."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout, sys.stderr = (s if s is not None else nowhere for s in before)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def _quiet(loud: bool) -> Iterator[None]:
    """Keep warnings and log lines of libraries off standard error: it is for progress and our one line."""
    if loud:
        yield
        return
    level, inherited = logging.root.manager.disable, os.environ.get(_CHILDREN)
    os.environ.setdefault(_CHILDREN, "ignore")  # of workers, which are processes of their own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.showwarning = lambda *_args, **_more: None  # some libraries put filters of their own in front
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(level)
            if inherited is None:
                del os.environ[_CHILDREN]


def _settle_stdout() -> None:
    """Write what is left; where nobody reads any more, keep the interpreter's last flush from complaining."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
