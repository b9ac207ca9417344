"""The page on how it is built says what benchmarks/moves.py counted, and what the import test enforces."""

from __future__ import annotations

import json
import re
import runpy
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from benchmarks.moves import in_fresh_process
from tests.docs.pages import ROOT, blocks
from tests.test_imports import STAGE

MAKE = runpy.run_path(str(ROOT / "docs" / "make_ways.py"))
FIGURES: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "moves.json").read_text(encoding="utf-8"))
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def test_page_and_drawings_are_made_from_the_figures() -> None:
    for path, content in MAKE["made"](FIGURES).items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name} is old: python docs/make_ways.py"


def test_every_way_is_less_than_half_as_long_as_before() -> None:
    assert "less than half as often as before" in PAGE.read_text(encoding="utf-8")
    for way, (_, before) in MAKE["BEFORE"].items():
        assert FIGURES[way]["moves"] < before / 2, way


@pytest.mark.parametrize("way", MAKE["DRAWINGS"])
def test_a_drawing_shows_every_file(way: str) -> None:
    text = MAKE["DRAWINGS"][way].read_text(encoding="utf-8")
    boxes = [element for element in ET.fromstring(text).iter() if element.get("class") == "file"]
    assert len(boxes) == FIGURES[way]["files"]
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")


@pytest.mark.parametrize(
    "way", ["command", *(pytest.param(way, marks=pytest.mark.full) for way in ("token", "training step"))]
)
def test_the_figures_are_those_of_this_code(way: str) -> None:
    """Within a fifth: other versions of Python and transformers change a few moves."""
    now = in_fresh_process(way)
    for figure in ("files", "moves"):
        assert now[figure] == pytest.approx(FIGURES[way][figure], rel=0.2), "run benchmarks/moves.py --json anew"


def test_the_order_of_imports_is_the_enforced_one() -> None:
    (told_block,) = [b for b in blocks(PAGE, "") if b.startswith("0  ")]
    told = {name: int(line[0]) for line in told_block.splitlines() for name in line[1:].split()}
    assert told == {name: at for name, at in STAGE.items() if name != "__main__"}


def test_the_tree_names_every_room() -> None:
    (tree,) = [b for b in blocks(PAGE, "") if b.startswith("dlmsample/")]
    named = {line.split()[0].removesuffix("/").removesuffix(".py") for line in tree.splitlines()[1:]}
    named |= set(re.findall(r"\b(\w+)\.py", tree)) | {n.removesuffix("/") for n in re.findall(r"\b\w+/", tree)}
    assert STAGE.keys() - {"__main__"} <= named
