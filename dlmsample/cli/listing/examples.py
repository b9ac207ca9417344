"""``dlmsample examples``: the example files that come with the package."""

from __future__ import annotations

import json
import shutil
from itertools import takewhile
from pathlib import Path
from typing import Any

import dlmsample


def examples_folder() -> Path:
    """Where the example files lie: inside an installed package, beside the package in a checkout."""
    package = Path(dlmsample.__file__).parent
    return next(folder for folder in (package / "examples", package.parent / "examples") if folder.is_dir())


def examples(copied_to: str | None = None) -> list[dict[str, Any]]:
    """The example files with the first line of what each says of itself.

    Args:
        copied_to: name them in this folder and not where the package has them.
    """
    folder = examples_folder()
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc")
    return [
        {"file": str(Path(copied_to or folder) / path.name), "summary": _ABOUT.get(path.name) or _first_line(path)}
        for path in files
    ]


#: What files say that cannot hold a comment.
_ABOUT = {
    "questions.jsonl": "Questions with answers: dlmsample ablate demo_grid.yaml --task questions.jsonl --scorer number",
    "problems.txt": "Word problems, one per line: dlmsample generate --policy t2m < problems.txt",
    "messages.json": "A conversation: dlmsample generate --chat messages.json",
}


def _first_line(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    first = text.partition("\n\n")[0] if path.suffix == ".py" else _comment(text)
    return " ".join(first.replace('"""', "").split()).partition(". ")[0].rstrip(".") + "."


def _comment(text: str) -> str:
    """The comment or heading that a file begins with."""
    lines = list(takewhile(lambda line: line.startswith("#"), text.split("\n")))
    return "\n".join(line.lstrip("# ") for line in lines if not line.startswith("#   ")) or text.partition("\n")[0]


def copy_examples(target: str) -> list[str]:
    """Copy the example files into a folder, which is made where there is none; a file that is there is not changed.

    Returns:
        the names of those that were there already.

    Raises:
        ValueError: the folder cannot be written, or it holds another file of such a name.
    """
    folder, there = Path(target).expanduser(), list[str]()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(path for path in examples_folder().iterdir() if path.is_file()):
            copy = folder / source.name
            if copy.exists() and copy.read_bytes() != source.read_bytes():
                raise ValueError(f"{str(copy)!r} is there already and differs: copy the examples into another folder")
            if copy.exists():
                there.append(copy.name)
            else:
                shutil.copyfile(source, copy)
    except OSError as e:
        raise ValueError(f"cannot copy the examples to {target!r}: {e.strerror}; name another folder") from e
    return there
