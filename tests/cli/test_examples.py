"""``examples``: the files, their copies, and the commands they are for."""

from __future__ import annotations

import json
from pathlib import Path

from dlmsample.ablate.spec.grid import read
from tests.cli.conftest import Call, is_mistake

ROOT = Path(__file__).parents[2]
SHORT = ("--max-new-tokens", "8", "--json")


def test_list_and_copy(call: Call, tmp_path: Path) -> None:
    rows = json.loads(call("examples", "--json").out)
    names = {Path(row["file"]).name for row in rows}
    assert names == {path.name for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert {"problems.txt", "messages.json", "demo_grid.yaml"} < names
    assert all(row["summary"].strip("{}[] ") for row in rows)  # words, of notebooks too

    target = tmp_path / "new" / "folder"
    code, out, err = call("examples", "--copy", str(target))
    count = len(names)
    assert (code, err) == (0, f"copied to {target}: {count} of {count} files\n")
    assert {path.name for path in target.iterdir()} == names
    assert "problems.txt" in out
    assert call("examples", "--copy", str(target)).err == (
        f"left as it was: every file\ncopied to {target}: 0 of {count} files\n"
    )
    for name in names - {"problems.txt", "messages.json"}:
        (target / name).unlink()
    assert call("examples", "--copy", str(target)).err.startswith("left as it was: messages.json, problems.txt\n")
    (target / "problems.txt").write_text("mine")
    is_mistake(call("examples", "--copy", str(target)), "problems.txt", "another folder")
    assert (target / "problems.txt").read_text() == "mine"
    is_mistake(call("examples", "--copy", str(target / "problems.txt")), "another folder")


def test_the_files_are_what_their_commands_read(call: Call, tmp_path: Path) -> None:
    assert call("examples", "--copy", str(tmp_path)).code == 0
    problems = (tmp_path / "problems.txt").read_bytes()
    done = call("generate", "--policy", "d3im", "--set", "steps=4", *SHORT, stdin=problems)
    assert (done.code, done.out.count("\n")) == (0, problems.count(b"\n"))
    assert call("generate", "--chat", str(tmp_path / "messages.json"), *SHORT).code == 0
    read(str(tmp_path / "demo_grid.yaml"))
