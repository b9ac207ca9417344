"""The picture of the page on matched training is drawn from what was measured."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "matched-training.md"
MAKE = runpy.run_path(str(ROOT / "docs" / "make_matched.py"))
RECORD = json.loads(MAKE["FIGURES"].read_text(encoding="utf-8"))


def test_the_picture_is_what_was_measured() -> None:
    assert MAKE["PICTURE"].read_text(encoding="utf-8") == MAKE["draw"](RECORD), "python docs/make_matched.py"


def test_every_line_has_all_its_points() -> None:
    drawn = {title: MAKE["lines_of"](RECORD, *chosen) for title, chosen in MAKE["PANELS"].items()}
    points = {title: {len(one.cells) for one in lines} for title, lines in drawn.items()}
    assert list(points.values()) == [{3}, {3}, {2}, {4}]
    assert [len(lines) for lines in drawn.values()] == [5, 5, 5, 3]


def test_what_the_page_says_of_the_seeds() -> None:
    cells = json.loads((ROOT / "benchmarks" / "results" / "ablations.json").read_text(encoding="utf-8"))["cells"]
    found = {(cell["checkpoint"], cell["policy"]): 100 * cell["accuracy"] for cell in cells}
    said = " ".join(PAGE.read_text(encoding="utf-8").split())

    def runs(member: str, policy: str) -> list[float]:
        shipped = member if (member, policy) in found else f"base+{member}"
        names = (shipped, f"{member}_seed1", f"{member}_seed2")
        return sorted(found[name, policy] for name in names if (name, policy) in found)

    members = {key[0].removesuffix("_seed1") for key in found if key[0].endswith("_seed1")}
    assert {len(runs(*key)) for key in found if key[0] in members - {"uniform"}} == {3}
    widest = max(max(runs(*key)) - min(runs(*key)) for key in found if key[0] in members)
    assert f"differ by {widest:.1f} points at most" in said
    for policy, better, worse in (
        ("t2t:fill_threshold=0.3", "self_generated_t2t", "random_t2t"),
        ("d3im:steps=24,block_length=all", "scope", "mdm"),
        ("dsc:tokens_per_step=3", "fca", "uniform"),
    ):
        assert min(runs(better, policy)) > max(runs(worse, policy))
        for member in (better, worse):
            low, high = runs(member, policy)[0], runs(member, policy)[-1]
            assert f"{low:.1f} to {high:.1f} %" in said
