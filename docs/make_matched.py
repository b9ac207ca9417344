"""docs/assets/matched.svg, a picture of docs/explanation/matched-training.md: what benchmarks/family.py measured.

python docs/make_matched.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import SubElement

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dlmsample.ablate.report.svg import markup, picture  # noqa: E402  run as a file
from docs.make_parallel import GAP, HIGH, LEFT, WIDE, Line, legend, panel, style  # noqa: E402

FIGURES = ROOT / "benchmarks" / "results" / "nano_family.json"
PICTURE = ROOT / "docs" / "assets" / "matched.svg"
ADAPTERS = {
    "base": "nano as it is",
    "mdm": "mdm",
    "random_t2t": "random_t2t",
    "self_generated_t2t": "self_generated_t2t",
    "scope": "scope",
}
HEADS = {"base": "random scorer, no head", "base+uniform": "head uniform", "base+fca": "head fca"}
PANELS = {
    "T2T, fill threshold 0.3, 0.5, 0.7": ("t2t", "edit_threshold=0.5", ADAPTERS),
    "T2M, fill threshold 0.3, 0.5, 0.7": ("t2m", "", ADAPTERS),
    "D3IM, 24 and 48 steps": ("d3im", "", ADAPTERS),
    "DSC, 5 to 2 tokens a step": ("dsc", "", HEADS),
}
"""Title of a panel -> the policy, a text that its options hold, and the checkpoints."""
_TOP = 84.0


def lines_of(record: dict[str, Any], policy: str, holds: str, checkpoints: dict[str, str]) -> list[Line]:
    """A line for each checkpoint, over forwards."""
    found = []
    for look, (name, label) in enumerate(checkpoints.items()):
        cells = [c for c in record["cells"] if c["checkpoint"] == name]
        cells = [c for c in cells if c["policy"].partition(":")[0] == policy and holds in c["policy"]]
        found.append(Line(label, sorted(cells, key=lambda c: c["nfe"]), look, name != "base"))
    return found


def draw(record: dict[str, Any]) -> str:
    """The four panels; follows light and dark."""
    across = WIDE + LEFT
    about = f"{record['problems']:,} problems; nano and its adapters under three samplers, and its two heads under DSC"
    root = picture(
        "matched", 2 * across + 40, _TOP + 2 * (HIGH + GAP + 24), "Accuracy over forwards, by training", about
    )
    SubElement(root, "style").text = style()
    for at, (title, chosen) in enumerate(PANELS.items()):
        drawn = lines_of(record, *chosen)
        if at == 0:  # three of the panels have the same lines
            legend(root, LEFT, 16, drawn, columns=3, step=190)
        x, y = LEFT + at % 2 * across, _TOP + at // 2 * (HIGH + GAP + 24)
        panel(root, x, y, title, "forwards an answer", "nfe", drawn)
        if chosen[2] is HEADS:
            legend(root, x + 130, y + HIGH - 60, drawn, columns=1, step=0)
    return markup(root)


if __name__ == "__main__":
    PICTURE.write_text(draw(json.loads(FIGURES.read_text(encoding="utf-8"))), encoding="utf-8")
