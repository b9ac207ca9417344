"""Families that other packages declare."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from dlmsample.models.families.base import Family
from dlmsample.models.families.registry import FAMILIES, family, published
from dlmsample.support import registry

THEIRS = Family(
    name="theirs", summary="a family of another package", architectures=r"TheirsModel", model_types=r"theirs"
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", f"{__name__}:THEIRS", "dlmsample.families")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])


def test_a_family_of_another_package_is_recognised(installed: None) -> None:
    assert "theirs" in FAMILIES
    assert family("theirs") is THEIRS
    assert published({"architectures": ["TheirsModel"]}) is THEIRS


def test_built_in_families_are_asked_first(installed: None) -> None:
    known = published({"architectures": ["DreamModel"]})
    assert known is not None
    assert known.name == "dream"


def test_without_it_the_config_is_of_no_family() -> None:
    assert published({"architectures": ["TheirsModel"]}) is None
