"""Shared fixtures. ``--full`` (``make test-full``) runs the large counts; without it each test takes a sample
of them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.decoding.captured import pool
from dlmsample.policies.registry import POLICIES
from dlmsample.support import reach
from tests.browser import NAMES, Browser, find
from tests.pages import Server
from tests.tape import tapes

#: Policies of which the quick tests take one variant each.
ZOO = {name for name, place in POLICIES.built_in.items() if ".zoo." in place}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the full counts")
    parser.addoption("--every-case", action="store_true", help="with sample counts, but every variant of a policy")
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew: see tests/test_golden.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        sample = set(items) if config.getoption("--every-case") else _sample(items)
        for item in items:
            if item.get_closest_marker("full") or (_case(item) and item not in sample):
                item.add_marker(pytest.mark.skip(reason="runs in make test-full"))


def _sample(items: list[pytest.Item]) -> set[pytest.Item]:
    """Of each test and policy the one variant that quick runs take.

    A hash chooses it, so that the policies of a test together meet every attention, alignment and temperature.
    """
    first: dict[tuple[str, str], pytest.Item] = {}
    for item in sorted(items, key=lambda item: hashlib.sha256(item.nodeid.encode()).digest()):
        if case := _case(item):
            first.setdefault((item.nodeid.partition("[")[0], case), item)
    return set(first.values())


def _case(item: pytest.Item) -> str:
    """The policy, and its options where it is none of the zoo, that a test is parametrised with; "" for none."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    policy = params.get("policy")
    name = getattr(policy, "name", policy)
    if not isinstance(name, str):
        return ""
    return name if name in ZOO else f"{name} {policy!r} {params.get('options')}"


@pytest.fixture(scope="session", autouse=True)
def _hub() -> Iterator[None]:
    """Nothing is asked of the hub: where a test replaces its client, it counts as reachable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach, "_ask", lambda endpoint: None)
        yield


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to run the full counts."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def nano() -> ds.Denoiser:
    """The embedded model in float32 on the CPU."""
    return ds.load("nano")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Captures on the CPU; the tapes that were made."""
    log: list[Any] = []
    monkeypatch.setattr(pool, "cuda_graphs", tapes(log))
    monkeypatch.setattr(pool, "_capturable", lambda config: True)
    return log


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    torch.set_num_threads(1)  # threads that wait for each other cost more than they bring at this size


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless browser; skips without one."""
    program = find()
    if program is None:
        pytest.skip(f"no browser: install chromium (one of {', '.join(NAMES)})")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that remembers what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    serving = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving.server_port, asked
    serving.shutdown()
    serving.server_close()
