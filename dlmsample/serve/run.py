"""The server's process: its socket, its signals, its end."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from dlmsample.serve.app import ServerState, make_app
from dlmsample.support.text import one_line

_CONNECTIONS, _WAITING = 1024, 512  #: open at the same time, and not accepted yet


def listen(host: str, port: int) -> socket.socket:
    """A socket that the server will answer at; port 0 takes one that is free.

    Raises:
        ValueError: the address cannot be had.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise ValueError(f"cannot listen at {host} port {port}: {why}; give another --host or --port") from None
    return found


def url_of(listening: socket.socket) -> str:
    """The address of a socket, as a client uses it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(state: ServerState) -> uvicorn.Server:
    """The server, which ends when its ``should_exit`` is set or a signal says so."""
    config = uvicorn.Config(
        make_app(state),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=_CONNECTIONS,
        h11_max_incomplete_event_size=1 << 16,
        timeout_graceful_shutdown=max(1, round(state.limits.drain_seconds)),
    )
    return uvicorn.Server(config)


def run(state: ServerState, listening: socket.socket) -> None:
    """Answer requests until SIGTERM or SIGINT; then take none, finish those that there are, and return."""
    listening.listen(_WAITING)  # from now on clients may come, even before the loop runs
    with _signals():
        served = f"dlmsample serves {', '.join(state.models)} at {url_of(listening)}"
        sys.stderr.write(f"{served}\nThe address is also a page that decodes before your eyes; Ctrl-C ends.\n")
        sys.stderr.flush()
        make_server(state).run(sockets=[listening])


@contextmanager
def _signals() -> Iterator[None]:
    """uvicorn raises the signals that ended it once more when it is done: that must not kill the process."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
