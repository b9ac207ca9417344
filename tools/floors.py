"""Print the oldest version of every dependency that pyproject.toml admits, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

FLOOR = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9A-Za-z.]*)")


def floors(text: str) -> list[str]:
    """``name==version`` for each requirement of the package that has a floor.

    Example:
        >>> floors('[project]\\ndependencies = ["torch>=2.9", "math-verify[antlr4_13_2]>=0.8,<1"]')
        ['torch==2.9', 'math-verify==0.8']
    """
    project = tomllib.loads(text)["project"]
    found = (FLOOR.match(line) for line in project["dependencies"])
    return [f"{match[1]}=={match[2]}" for match in found if match is not None]


if __name__ == "__main__":
    path = Path(__file__).parent.parent / "pyproject.toml"
    sys.stdout.write("\n".join(floors(path.read_text(encoding="utf-8"))) + "\n")
