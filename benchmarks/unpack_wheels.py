"""Unpack wheels from the folder .whl whose packages this Python lacks, or has only in an older version.

    python benchmarks/unpack_wheels.py runs/site      # then put runs/site on PYTHONPATH

For machines without a network. It needs nothing but the standard library, and does nothing where there is no .whl.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import zipfile
from pathlib import Path


def numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version, to compare it by.

    Example:
        >>> numbers("2.11.0+cu130") > numbers("2.9")
        True
    """
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def unpack(wheels: Path, site: Path) -> list[str]:
    """Unpack what is missing; gives the names of the wheels that were."""
    done: list[str] = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        try:
            there = importlib.metadata.version(name.replace("_", "-"))
        except importlib.metadata.PackageNotFoundError:
            there = "0"
        if numbers(there) < numbers(version):
            site.mkdir(parents=True, exist_ok=True)
            zipfile.ZipFile(wheel).extractall(site)
            print("unpacked", wheel.name, "beside", there)
            done.append(wheel.name)
    return done


if __name__ == "__main__":
    unpack(Path(".whl"), Path(sys.argv[1]))
