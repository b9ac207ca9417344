"""Write constraints.txt: the exact versions of an environment in which the tests are green."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

#: What is no dependency: this package, and what every environment brings.
_OTHERS = {"dlmsample", "pip", "setuptools", "wheel"}
_HEAD = """\
# Exact versions with which the tests are green; `make demo`, `make test` and `make docs` install these and no others.
# How it is renewed: CONTRIBUTING.md, "Dependencies".
"""


def locked() -> list[str]:
    """``name==version`` of every package that is installed beside this one, by name, without local version labels."""
    versions = {dist.name.lower().replace("_", "-"): dist.version.split("+")[0] for dist in distributions()}
    return [f"{name}=={version}" for name, version in sorted(versions.items()) if name not in _OTHERS]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "constraints.txt"
    target.write_text(_HEAD + "\n".join(locked()) + "\n", encoding="utf-8")
