"""``dlmsample report`` on a real run: files, table, JSON, and every mistake in one line."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dlmsample.ablate.report.trace import trace_command
from dlmsample.ablate.report.write import FILES
from dlmsample.ablate.run import run
from dlmsample.ablate.spec.grid import parse
from dlmsample.ablate.storage.store import Store
from tests.cli.conftest import Call

GRID = """
name: small
tasks: [{name: wordproblems, limit: 3, options: {min_steps: 2, max_steps: 2}}]
checkpoints: [{model: nano}]
policies: [{policy: unmask, tokens_per_step: [8, 16]}, {policy: t2m, threshold: 0.1}]
seeds: [0, 1]
max_new_tokens: 32
"""
FIRST = "nano unmask(tokens_per_step=8)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run without its report."""
    made = tmp_path_factory.mktemp("run")
    summary = run(parse(GRID), made, report=False)
    assert (summary.cells, summary.failed) == (6, 0)
    return made


def test_files_table_and_json(call: Call, folder: Path) -> None:
    code, out, err = call("report", str(folder))
    assert (code, err) == (0, "")
    assert all((folder / name).stat().st_size > 0 for name in FILES)
    assert out.splitlines()[-len(FILES) :] == [str(folder / name) for name in FILES]
    table = [line.split() for line in out.splitlines()]
    assert ["1", "nano", "unmask(tokens_per_step=8)", "6"] in [line[:4] for line in table]

    code, out, err = call("report", str(folder), "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    data = json.loads(out)
    assert data["name"] == "small"
    assert data["files"] == [str(folder / name) for name in FILES]
    first, second, third = data["configurations"]
    assert (first["label"], first["is_baseline"], first["comparison"]) == (FIRST, True, None)
    assert first["seeds"] == [0, 1]
    assert (first["figures"]["examples"], first["figures"]["answers"]) == (3, 6)
    assert second["comparison"]["baseline"] == third["comparison"]["baseline"] == FIRST

    with open(folder / "examples.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["policy"], row["seed"], row["index"]) for row in rows[:7]] == [
        *(("unmask(tokens_per_step=8)", seed, index) for seed in "01" for index in "012"),
        ("unmask(tokens_per_step=16)", "0", "0"),
    ]
    right = sum(int(row["correct"]) for row in rows if row["policy"] == "unmask(tokens_per_step=8)")
    assert right == first["figures"]["right"]


def test_the_command_under_a_flipped_example_gives_its_answer(
    call: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(folder) as store:
        cell = store.cells()[-1]
        (result,) = store.examples(cell.key, [1])
        command = trace_command(store.grid(), cell, result)
    assert (cell.policy_name, cell.seed) == ("t2m", 1)
    monkeypatch.chdir(tmp_path)
    _, verb, *words = shlex.split(command or "")
    code, out, err = call(verb, "--json", *words)
    assert (code, err) == (0, "page of the steps: trace-1.html\n")
    said = json.loads(out)
    assert (said["text"], said["stats"]["nfe"]) == (result.text.strip(), result.nfe)
    assert "<!doctype html>" in (tmp_path / "trace-1.html").read_text()


def test_baseline(call: Call, folder: Path) -> None:
    label = "nano t2m(threshold=0.1)"
    data = json.loads(call("report", str(folder), "--json", "--baseline", label).out)
    assert [c["label"] for c in data["configurations"] if c["is_baseline"]] == [label]
    assert {c["comparison"]["baseline"] for c in data["configurations"] if c["comparison"]} == {label}


def test_twice_gives_the_same_bytes(call: Call, folder: Path) -> None:
    found = []
    for _ in range(2):
        assert call("report", str(folder)).code == 0
        found.append({name: (folder / name).read_bytes() for name in FILES})
    assert found[0] == found[1]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


CLAIMS = """
grid: small
papers:
- arxiv: "2604.18738"
  title: A title
  model: a model
  claims:
  - {where: Table 1, says: One beats the other., numbers: 1 -> 2, expect: higher, against: {checkpoint: nano, policy: unmask, tokens_per_step: 8}, cell: {checkpoint: nano, policy: t2m, threshold: 0.1}}
"""  # noqa: E501


def test_claims_are_judged_beside_the_report(call: Call, folder: Path, tmp_path: Path) -> None:
    file, ledger = tmp_path / "c.yaml", tmp_path / "PAPERS.md"
    file.write_text(CLAIMS)
    code, out, err = call("report", str(folder), "--claims", str(file), "--papers", str(ledger))
    assert (code, err) == (0, "")
    assert "1 claim: " in out
    assert out.splitlines()[-1] == str(ledger)
    text = ledger.read_text()
    assert f"dlmsample report {folder} --claims {file} --papers {ledger}\n```" in text
    assert "3 problems a cell; 32 new tokens; seed 0, 1" in text
    data = json.loads(call("report", str(folder), "--claims", str(file), "--json").out)
    assert data["files"][-1] == str(folder / "PAPERS.md")
    (claim,) = data["claims"]
    assert claim["comparisons"][0]["cells"][1] == f"wordproblems(min_steps=2, max_steps=2): {FIRST}"
    assert "claims" not in json.loads(call("report", str(folder), "--json").out)

    file.write_text(CLAIMS.replace("threshold: 0.1", "threshold: 0.2"))
    for words, remedy in (
        (("--claims", str(file)), "c.yaml:8: grid small has no cell 'nano t2m(threshold=0.2)'"),
        (("--claims", str(tmp_path / "nowhere.yaml")), "cannot read claims"),
        (("--papers", str(ledger)), "--claims"),
    ):
        code, out, err = call("report", str(folder), *words)
        assert (code, out, err.count("\n")) == (2, "", 1), (words, err)
        assert remedy in err


def test_narrow_terminal(terminal_call: Call, folder: Path) -> None:
    page = terminal_call("report", str(folder), NO_COLOR="1")
    assert page.code == 0
    lines = [line for line in page.out.splitlines() if not line.startswith("/")]
    assert max(map(len, lines)) <= 80
    assert "left out at 80 columns: 95 %, p Holm, tok/fwd; a terminal of 120" in page.out


def test_mistakes(call: Call, folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    file = tmp_path / "file"
    file.write_text("x")
    for words, remedy in (
        ((str(empty),), "dlmsample ablate"),
        ((str(tmp_path / "nowhere"),), "dlmsample ablate"),
        ((str(file),), "dlmsample ablate"),
        ((str(folder), "--baseline", "nano t2m(threshold=0.2)"), "did you mean 'nano t2m(threshold=0.1)'"),
        ((str(folder), "--baseline", ""), "unknown baseline"),
        ((), "DIR"),
        ((str(folder), "--basline", "x"), "did you mean '--baseline'"),
    ):
        code, out, err = call("report", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), (words, err)
        assert remedy in err


def test_a_damaged_store_is_named(call: Call, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    code, out, err = call("report", str(tmp_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "results.sqlite" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.sqlite"]


def test_it_needs_no_torch_and_no_scipy(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dlmsample.ablate.report.write import write;"
        "write(Path(sys.argv[1]));"
        "print([name for name in ('torch', 'transformers', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
