"""``dlmsample serve`` as a process: its start, its end, and its mistakes."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from tests.cli.conftest import Call, is_mistake

SERVE = [sys.executable, "-m", "dlmsample", "serve", "--threads", "1", "--port"]


@contextmanager
def started(*args: str, port: int = 0, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process once it listens, and its port."""
    given = {**os.environ, **environment}
    process = subprocess.Popen([*SERVE, str(port), *args], stderr=subprocess.PIPE, text=True, env=given)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.fullmatch(r"dlmsample serves (.*) at http://127\.0\.0\.1:(\d+)\n", line)
        assert found, line + process.stderr.read()
        yield process, int(found[2])
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def connect(port: int, tokens: int, **more: Any) -> http.client.HTTPConnection:
    """A request that was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = {"model": "nano", "prompt": "Ann had 3 pens.", "max_tokens": tokens, "seed": 0, **more}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connection


def answer(port: int, tokens: int) -> str:
    with closing(connect(port, tokens)) as connection:
        return json.loads(connection.getresponse().read())["choices"][0]["text"]


def test_killed_and_started_again_then_drained() -> None:
    with started("--policy", "t2m", "--set", "threshold=0.2") as (process, port):
        before = answer(port, 16)
        with closing(connect(port, 256, stream=True)) as broken:
            assert broken.getresponse().status == 200
            process.kill()
            process.wait()
    with started("--policy", "t2m", "--set", "threshold=0.2", port=port) as (process, again):
        assert again == port
        assert answer(port, 16) == before
        with closing(connect(port, 128, stream=True, options={"fill_threshold": 0.99})) as connection:
            stream = connection.getresponse()
            assert stream.readline()
            process.send_signal(signal.SIGTERM)
            text = stream.read()  # finished, though the server takes no more
        assert text.rstrip().endswith(b"[DONE]")
        assert process.wait(60) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_key_from_the_environment() -> None:
    with started(DLMSAMPLE_API_KEY="sesame") as (process, port):
        with closing(connect(port, 4)) as connection:
            assert connection.getresponse().status == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read().count("\n") == 1, "what the address is good for, and nothing else"


def test_an_address_that_is_taken(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlmsample, "load", lambda *a, **k: pytest.fail("loaded"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        is_mistake(call("serve", "--port", port), f"port {port}", "give another --host or --port")


def test_mistakes_are_found_before_anything_is_loaded(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dlmsample, "load", lambda *a, **k: pytest.fail("loaded"))
    is_mistake(call("serve", "--policy", "t2mm"), "did you mean 't2m'")
    is_mistake(call("serve", "--api-key-file", str(tmp_path / "none")), "--api-key-file")
    (tmp_path / "two").write_text("one two\n")
    is_mistake(call("serve", "--api-key-file", str(tmp_path / "two")), "without spaces")
    is_mistake(call("serve", "--drain-seconds", "0"), "drain_seconds")


def test_without_its_packages(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    is_mistake(call("serve"), "serve needs uvicorn", "pip install 'dlmsample[serve]'")
