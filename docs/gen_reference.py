"""What mkdocs asks while it builds the site (see ``hooks`` in mkdocs.yml).

* A page for every module of the package, found by walking it, so that no module's path stands in a document.
* Files outside docs/ that a page links to (PAPERS.md, results, examples) become part of the site, and the links
  lead there. In a repository browser the same links lead to the files themselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)((?:#[^)]*)?\))")
INNER = re.compile(r"\]\((?!https?:|#)[^)]*\)")


def modules() -> list[str]:
    """Dotted names of all public modules, in alphabetical order."""
    names = []
    for path in sorted((ROOT / "dlmsample").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    return names


def on_config(config: Any) -> Any:
    """Put the modules' pages into the navigation, by their first folder."""
    groups: dict[str, list[dict[str, str]]] = {}
    for name in modules():
        _, *inner = name.split(".")
        group = inner[0] if len(inner) > 1 else "top level"
        groups.setdefault(group, []).append({".".join(inner): f"reference/python/{name}.md"})
    section = next(entry["Reference"] for entry in config.nav if isinstance(entry, dict) and "Reference" in entry)
    section.append({"Python": [{group: pages} for group, pages in groups.items()]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """The generated pages, and the files of the repository that pages link to."""
    for name in modules():
        text = f"# {name.removeprefix('dlmsample.')}\n\n::: {name}\n"
        files.append(File.generated(config, f"reference/python/{name}.md", content=text))
    for target in sorted({target for file in list(files) for target in _outside(file)}):
        text = (ROOT / target).read_text(encoding="utf-8")
        if target.endswith(".md"):
            text = INNER.sub("]", text)  # links inside a copy lead nowhere
        files.append(File.generated(config, f"repository/{target}", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links that leave docs/ go to the copies."""
    here = dirname(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        target = _target(page.file.src_uri, match[2])
        return match[0] if target is None else f"{match[1]}{relpath(f'repository/{target}', here or '.')}{match[3]}"

    return LINK.sub(moved, markdown)


def _outside(file: File) -> Iterator[str]:
    """Repository paths outside docs/ that a page links to."""
    if not file.is_documentation_page() or file.abs_src_path is None or file.generated_by:
        return
    for match in LINK.finditer(Path(file.abs_src_path).read_text(encoding="utf-8")):
        target = _target(file.src_uri, match[2])
        if target is not None:
            yield target


def _target(page: str, link: str) -> str | None:
    """The repository path of a link, if it leaves docs/ and there is such a file."""
    path = normpath(f"docs/{dirname(page)}/{link}")
    inside = path.startswith(("docs" + os.sep, "docs/", ".."))
    return None if inside or not (ROOT / path).is_file() else path
