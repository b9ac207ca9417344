"""Shared fixtures. ``--full`` (``make test-full``) runs the large counts; without it each test takes a sample
of them."""

from __future__ import annotations

import pytest
import torch

import dlmsample as ds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the full counts")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="runs in make test-full"))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to run the full counts."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def nano() -> ds.Denoiser:
    """The embedded model in float32 on the CPU."""
    return ds.load("nano")


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    torch.set_num_threads(1)  # threads that wait for each other cost more than they bring at this size
