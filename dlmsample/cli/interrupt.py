"""Ctrl-C: leave at once, except where something has to be tidied up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def say() -> None:
    """The one line of an interrupted run."""
    os.write(2, b"dlmsample: interrupted\n")


def _leave(signum: int, frame: FrameType | None) -> None:
    say()
    os._exit(130)


def _handle(handler: Any) -> Any:
    """Handle SIGINT so, unless it is ignored or this is not the main thread; gives what did so before, or None."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return None
    return signal.signal(signal.SIGINT, handler)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Ctrl-C ends the process, up to :func:`raise_from_here`: imports can swallow a KeyboardInterrupt."""
    before = _handle(_leave)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def raise_from_here() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt, so that progress bars and temporary files go away."""
    _handle(signal.default_int_handler)
