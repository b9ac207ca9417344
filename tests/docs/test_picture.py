"""The README's picture shows what its runs did, and asks nothing of the network."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("fill", "replace", "remask")


def count(root: ET.Element, kind: str) -> int:
    return sum(element.get("class") == kind for element in root.iter())


def test_the_committed_picture_is_whole() -> None:
    text = (ROOT / "docs" / "assets" / "two_policies.svg").read_text(encoding="utf-8")
    root = ET.fromstring(text)
    assert all(count(root, kind) for kind in KINDS)
    assert "<script" not in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")
    assert "prefers-color-scheme:dark" in text
    assert "prefers-reduced-motion" in text


def test_one_step_stands_where_nothing_moves() -> None:
    picture = runpy.run_path(str(ROOT / "docs" / "make_picture.py"))
    frame, run, block = picture["Frame"], picture["Run"], picture["BLOCK"]
    frames = [frame([None] * block, ["mask"] * block), frame(["a<b"] * block, ["fill"] * block)]
    drawn = picture["draw"]([run("left", "right", frames), run("R & B", "wrong", frames)])
    root = ET.fromstring(drawn)
    standing = [e for e in root.iter() if "last" in (e.get("class") or "").split()]
    assert len(standing) == 2
    assert [e.text for e in standing[0].iter() if e.tag.endswith("text")] == ["a<b"] * block


def test_the_committed_picture_is_of_the_shipped_nano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its title says what both policies answered; and one of them is right where the other is wrong."""
    monkeypatch.setattr("sys.argv", ["make_picture.py", "--out", str(tmp_path / "made.svg")])
    runpy.run_path(str(ROOT / "docs" / "make_picture.py"), run_name="__main__")
    paths = (tmp_path / "made.svg", ROOT / "docs" / "assets" / "two_policies.svg")
    made, committed = (ET.parse(path).getroot()[0].text or "" for path in paths)
    assert made == committed
    assert ("wrong" in committed, committed.endswith("right")) == (True, True)
