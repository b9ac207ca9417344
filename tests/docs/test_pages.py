"""Pages tell no lies: links lead somewhere, code runs, commands are understood."""

from __future__ import annotations

import io
import re
import runpy
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, name, tables

WITH_CODE = [page for page in PAGES if blocks(page, "python")]
COMMANDS = sorted(
    {
        line
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("dlmsample ") and line.count('"') % 2 == 0
    }
)
CHEAP = ("dlmsample policies", "dlmsample models", "dlmsample tasks", "dlmsample train --list")


def words(line: str) -> list[str]:
    """A command's words without its comment and what the shell takes."""
    given = shlex.split(line, comments=True)
    return next((given[:at] for at, word in enumerate(given) if word in ("<", ">", "|", "&&")), given)


def call(given: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and output of a command, run inside this process."""
    monkeypatch.setattr(sys, "argv", given)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as left:
        runpy.run_module("dlmsample", run_name="__main__")
    return int(left.value.code or 0), said.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_python_runs(page: Path) -> None:
    """Every Python block of a page, in order, in one namespace."""
    namespace: dict[str, object] = {"__name__": "__page__"}
    for number, block in enumerate(blocks(page, "python"), 1):
        exec(compile(block, f"{name(page)}, block {number}", "exec", dont_inherit=True), namespace)


def test_the_policy_of_the_how_to_is_the_example() -> None:
    source = (ROOT / "examples" / "custom_policy.py").read_text(encoding="utf-8")
    policy = source[source.index("from __future__") : source.index("\n\ndef main")]
    assert any(policy.strip() in block for block in blocks(ROOT / "docs" / "how-to" / "add-a-policy.md", "python"))


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown commands and options are refused before --help is answered; what stands after -- is no option of ours."""
    given = words(line)
    own = given[: given.index("--")] if "--" in given else given
    code, said = call([*own, "--help"], monkeypatch)
    assert code == 0, said
    for file in re.findall(r"\bexamples/[\w.]+", line):
        assert (ROOT / file).is_file()


GRIDS = [(page, block) for page in PAGES for block in blocks(page, "yaml") if re.search(r"^policies:", block, re.M)]


@pytest.mark.parametrize(("page", "block"), GRIDS, ids=lambda value: name(value) if isinstance(value, Path) else "")
def test_grids_are_understood(page: Path, block: str) -> None:
    """Where a block shows the policies alone, the rest of a grid is put in front of it."""
    from dlmsample.ablate.spec.cells import resolve
    from dlmsample.ablate.spec.grid import parse

    rest = "name: g\ntasks: [{name: wordproblems, limit: 1}]\ncheckpoints: [{model: nano}]\n"
    text = block if "tasks:" in block else rest + block
    assert resolve(parse(text)).cells


@pytest.mark.parametrize("line", CHEAP)
def test_cheap_commands_run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert line in COMMANDS
    code, said = call(words(line), monkeypatch)
    assert code == 0, said
    assert "nano" in said or "t2m" in said or "wordproblems" in said


def test_wrong_options_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(["dlmsample", "generate", "x", "--no-such-option", "--help"], monkeypatch)[0] != 0


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_policy_says_when_and_at_what_cost() -> None:
    import dlmsample as ds

    page = (ROOT / "docs" / "how-to" / "choose-a-policy.md").read_text(encoding="utf-8")
    sections = {part.split("\n")[0].lower(): part for part in page.split("\n## ")[1:]}
    for policy in ds.list_policies():
        for phrase in ("**Use it**", "**Do not use it**", "**It costs**"):
            assert phrase in sections[policy]


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "T2M" in (tmp_path / "how-to" / "choose-a-policy.html").read_text(encoding="utf-8")


def test_a_policy_s_option_is_that_of_its_chain() -> None:
    """The page's table of names: what the policy's option is set to, the piece's has."""
    (rows,) = (found for found in tables(ROOT / "docs" / "how-to" / "add-a-policy.md") if "in the chain" in found[0])
    for row in rows:
        value = 3 if row["its option"] == "max_remasks" else 0.625
        dump: Any = dlmsample.policy(row["policy"], **{row["its option"]: value}).chain.model_dump()
        for part in row["in the chain"].split("."):
            dump = dump[part]
        assert dump == value, row
