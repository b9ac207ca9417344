"""Ctrl-C: leave at once, except where something has to be tidied up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any


def say() -> None:
    """The one line of an interrupted run."""
    os.write(2, b"dlmsample: interrupted\n")


def _leave(signum: int, frame: FrameType | None) -> None:
    say()
    os._exit(130)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Handle SIGINT so within the block, unless it is ignored or this is not the main thread."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


#: For the time of imports, which can swallow a KeyboardInterrupt or print its traceback.
leaving_at_once = partial(_handling, _leave)
#: For decoding and writing: KeyboardInterrupt, so that the progress bar and temporary files go away.
raising = partial(_handling, signal.default_int_handler)
