"""Data flows one way: a module imports only from earlier stages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dlmsample

ROOT = Path(dlmsample.__file__).parent
#: Stage of each module or subpackage: imports go to the same or a lower number, never up.
STAGE = {
    "rng": 0,
    "types": 0,
    "support": 0,
    "tasks": 0,
    "kernels": 0,
    "heads": 1,
    "models": 1,
    "predict": 1,
    "policies": 2,
    "objectives": 2,
    "diagnose": 4,
    "evaluation": 4,
    "decoding": 3,
    "plugins": 4,
    "train": 4,
    "ablate": 5,
    "viewer": 4,
    "serve": 5,
    "cli": 6,
    "__main__": 7,
}
#: Entry points: what is run and never imported stands behind every stage, wherever its file lies.
ENTRIES = {"__main__.py", "train/__main__.py", "evaluation/__main__.py"}
#: Pairs of stages that must not know each other at all, though their numbers would allow it.
APART = {
    ("policies", "models"),
    ("objectives", "policies"),
    ("diagnose", "policies"),
    ("tasks", "models"),
}
#: The same rule inside a room: its folders and modules in their order. Modules that are not named stand behind all.
ROOMS = {
    "decoding": (
        "step",
        "ahead",
        "grow",
        "answers",
        "request",
        "options",
        "arguments",
        "trace",
        "slots",
        "batch",
        "loop",
        "captured",
        "saved",
        "sampler",
        "live",
    ),
    "models": ("embedded", "text", "interface", "denoiser", "fusion", "attention"),
    "policies": (
        *("piece", "select", "base", "detect", "editing", "edit", "fill", "chain"),
        *("unmask", "t2t", "t2m", "d3im", "dsc", "zoo", "registry"),
    ),
    "support": ("registry", "text"),
    "ablate": ("spec", "storage", "workers", "analysis", "report", "papers"),
}


def modules_of(path: Path) -> set[str]:
    """Full names of the modules under ``dlmsample`` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    return {name for name in found if name.startswith("dlmsample.")}


def imported(path: Path) -> set[str]:
    """Top-level names under ``dlmsample`` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if names == ["dlmsample"] and isinstance(node, ast.ImportFrom):
            names = [f"dlmsample.{a.name}" for a in node.names]
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("dlmsample.")}
    return found


FILES = [p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_backwards(path: Path) -> None:
    place = path.relative_to(ROOT)
    own = "__main__" if place.as_posix() in ENTRIES else place.parts[0].removesuffix(".py")
    builder = path.name == "build_tokenizer.py"  # a tool that reads task text to make a data file, not a library module
    for other in imported(path) & STAGE.keys():
        assert STAGE[other] <= STAGE[own], f"{own} imports {other}, a later stage"
        assert builder or (own, other) not in APART | {(b, a) for a, b in APART}, f"{own} must not know {other}"


INSIDE = [p for p in FILES if p.relative_to(ROOT).parts[0] in ROOMS and p.relative_to(ROOT).parts[1] != "__init__.py"]


@pytest.mark.parametrize("path", INSIDE, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_inside_a_room_point_backwards(path: Path) -> None:
    room, own = path.relative_to(ROOT).parts[0], path.relative_to(ROOT).parts[1].removesuffix(".py")
    rank = {name: at for at, name in enumerate(ROOMS[room])}
    there = {child.name.removesuffix(".py") for child in (ROOT / room).iterdir()}
    assert rank.keys() <= there, f"{room} has no {sorted(rank.keys() - there)}"
    parts = [name.split(".") for name in modules_of(path) if name.startswith(f"dlmsample.{room}.")]
    for other in {names[2] for names in parts} & there:
        last = len(rank)
        assert rank.get(other, last) <= rank.get(own, last), f"{room}/{own} imports {room}/{other}, a later stage"


def test_entry_points_are_imported_by_nothing() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in FILES if path.name == "__main__.py"} == ENTRIES
    for path in FILES:
        assert "__main__ import" not in path.read_text(), f"{path.name} imports an entry point"


def test_every_module_has_a_stage_and_stays_small() -> None:
    for path in FILES:
        assert path.relative_to(ROOT).parts[0].removesuffix(".py") in STAGE
        assert len(path.read_text().splitlines()) <= 300, f"{path.name} has grown too large to read"


def test_no_folder_is_crowded() -> None:
    for folder in {path.parent for path in FILES}:
        modules = [path for path in folder.iterdir() if path.suffix == ".py"]
        assert len(modules) <= (8 if folder == ROOT else 15), f"{folder.name} has grown too large to find something in"


def test_no_two_public_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_importing_the_package_is_light() -> None:
    code = "import sys, dlmsample; print([m for m in ('torch', 'transformers', 'pydantic') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_loading_nano_imports_no_peft() -> None:
    code = "import sys, dlmsample as ds; ds.load('nano'); print('peft' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().endswith("False")
