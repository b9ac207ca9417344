"""The Markdown pages of the project, and what their tests read in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    """How a test names a page."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


def prose(page: Path) -> str:
    """The page without its fenced blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "``", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M))


def links(page: Path) -> list[str]:
    """Targets of links and pictures that lead to no other host."""
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if not re.match(r"[a-z]+:", t)]


def anchors(page: Path) -> set[str]:
    """What ``#...`` may name: the headings, as repository browsers and mkdocs spell them."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def tables(page: Path) -> Iterator[list[dict[str, str]]]:
    """Tables as rows by column; bold and code marks left out."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines[1:], 1):
        if re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+", line):
            columns, rows = _cells(lines[at - 1]), []
            for row in lines[at + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(dict(zip(columns, _cells(row), strict=True)))
            yield rows


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("**", "").replace("`", "") for cell in line.strip().strip("|").split("|")]
