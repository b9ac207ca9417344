"""The picture of the page on matched training is drawn from what was measured."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKE = runpy.run_path(str(ROOT / "docs" / "make_matched.py"))
RECORD = json.loads(MAKE["FIGURES"].read_text(encoding="utf-8"))


def test_the_picture_is_what_was_measured() -> None:
    assert MAKE["PICTURE"].read_text(encoding="utf-8") == MAKE["draw"](RECORD), "python docs/make_matched.py"


def test_every_line_has_all_its_points() -> None:
    drawn = {title: MAKE["lines_of"](RECORD, *chosen) for title, chosen in MAKE["PANELS"].items()}
    points = {title: {len(one.cells) for one in lines} for title, lines in drawn.items()}
    assert list(points.values()) == [{3}, {3}, {2}, {4}]
    assert [len(lines) for lines in drawn.values()] == [5, 5, 5, 3]
