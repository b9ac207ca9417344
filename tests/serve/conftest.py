"""A server on loopback, in this process, with nano and one adapter."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.serve.app import ServerState
from dlmsample.serve.checkpoints import ServedModel, ServedPolicy
from dlmsample.serve.guard import LOOPBACK
from dlmsample.serve.limits import ServerLimits
from dlmsample.serve.run import listen, make_server


@dataclass
class Running:
    """A server that runs, and raw requests to it."""

    state: ServerState
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: Any = None, /, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a request; a body that is no text or bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        data = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        given = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request("GET" if body is None else "POST", path, data, given)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text.decode()

    def metric(self, name: str) -> float:
        """One figure of /metrics, its labels summed."""
        lines = str(self.ask("/metrics")[1]).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"dlmsample_{name}"))


def until(fact: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for a fact."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@contextmanager
def serving(state: ServerState, send_buffer: int | None = None) -> Iterator[Running]:
    """Run a server in a thread; ``send_buffer``: bytes that the system keeps for a client which does not read."""
    listening = listen("127.0.0.1", 0)
    if send_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = make_server(state)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield Running(state, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()
        assert not thread.is_alive()


#: What the tests' checkpoints recommend beside a policy.
RECOMMENDED = {"block_length": 8, "temperature": 0.5, "top_p": 0.9, "top_k": 20}


def state_of(models: dict[str, ds.Denoiser], key: str | None = None, **limits: Any) -> ServerState:
    """Models under their names, Unmask by default, T2M by recommendation."""
    default, recommended = ServedPolicy(ds.Unmask()), ServedPolicy(ds.T2M(threshold=0.2), RECOMMENDED)
    served = {name: ServedModel(name, model, default, recommended) for name, model in models.items()}
    return ServerState(served, ServerLimits(**limits), key, LOOPBACK)


@pytest.fixture(scope="session")
def scope() -> ds.Denoiser:
    """nano with an adapter."""
    return ds.load("nano", adapter="scope")


@pytest.fixture(scope="session")
def running(nano: ds.Denoiser, scope: ds.Denoiser) -> Iterator[Running]:
    """A server with the usual limits."""
    with serving(state_of({"nano": nano, "nano+scope": scope})) as found:
        yield found
