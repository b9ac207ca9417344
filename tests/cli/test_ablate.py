"""``dlmsample ablate``: the run, the estimate, exit codes, and every mistake in one line."""

from __future__ import annotations

import dataclasses
import json
import platform
from importlib import metadata
from pathlib import Path

import pytest

from dlmsample.ablate.storage import environment, lock
from dlmsample.ablate.storage.store import Store
from dlmsample.ablate.workers import local
from dlmsample.ablate.workers.worker import Worker
from tests.ablate import toys
from tests.cli.conftest import Call


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def grid(tiny_folder: Path, tmp_path: Path) -> str:
    return str(toys.write(tmp_path / "g.yaml", toys.grid(tiny_folder)))


def test_a_run_and_the_same_again(call: Call, grid: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    code, said, err = call("ablate", grid, "--out", out)
    assert (code, err) == (0, "")
    assert "toy: 3/3 cells done; 18 examples, 18 run now in " in said
    written = [out + "/report.html", *call("report", out).out.split("\n\n")[0].split("\n")]
    assert all(line in said for line in written)
    assert said.index(written[0]) < said.index(written[1])  # it ends with the tables of the report
    code, said, err = call("ablate", grid, "--out", out, "--json")
    assert (code, err) == (0, "")
    summary = json.loads(said)
    assert (summary["cells"], summary["done"], summary["failed"], summary["ran"]) == (3, 3, 0, 0)
    assert all(Path(path).is_file() for path in summary["report"])
    assert "18 run now" in call("ablate", grid, "--out", out, "--fresh").out


def test_limit_and_batch_size_take_the_place_of_the_grid_s(call: Call, grid: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    less = ("--limit", "2", "--batch-size", "1")
    assert "3 cells, 6 examples" in call("ablate", grid, "--dry-run", *less).out
    assert "6 examples, 6 run now" in call("ablate", grid, "--out", str(out), *less).out
    with Store(out) as store:
        about = store.about()
        assert (store.grid()["tasks"][0]["limit"], store.grid()["batch_size"]) == (2, 1)
    assert about["command"] == f"dlmsample ablate {grid} --out {out} --limit 2 --batch-size 1"
    assert about["device"].startswith(platform.machine())
    assert about["torch"] == metadata.version("torch")
    assert "18 examples, 12 run now" in call("ablate", grid, "--out", str(out)).out
    with Store(out) as store:
        assert store.about() == {**about, "command": f"dlmsample ablate {grid} --out {out}"}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells' work in this process, where it can be tampered with (and is quicker)."""
    monkeypatch.setattr(local, "separate", lambda where, isolate: False)


def test_dry_run_writes_nothing(call: Call, grid: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, err = call("ablate", grid, "--out", str(out), "--dry-run")
    assert (code, err) == (0, "")
    assert "3 cells, 18 examples" in said
    assert "time      about " in said
    assert not out.exists()
    code, said, err = call("ablate", grid, "--dry-run", "--json")
    assert (code, err) == (0, "")
    found = json.loads(said)
    assert (found["cells"], found["examples"], found["stored"]) == (3, 18, 0)
    assert found["forwards"] > 0
    assert found["seconds"] > 0


def test_failed_cells_give_exit_code_1(call: Call, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("CUDA out of memory\nand more")

    monkeypatch.setattr(Worker, "results", breaks)
    out = str(tmp_path / "out")
    code, said, err = call("ablate", grid, "--out", out)
    assert (code, err) == (1, "")
    assert "0/3 cells done, 3 failed" in said
    assert "unmask(tokens_per_step=4), seed 0: RuntimeError: CUDA out of memory and more\n" in said
    assert "--retry" in said
    monkeypatch.undo()
    assert call("ablate", grid, "--out", out).code == 1
    assert call("ablate", grid, "--out", out, "--retry").code == 0


def test_ctrl_c_keeps_what_is_done(call: Call, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, left = Worker.results, [2]

    def interrupted(self: Worker, unit: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return whole(self, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "results", interrupted)
    out = tmp_path / "out"
    code, said, err = call("ablate", grid, "--out", str(out))
    assert (code, said, err) == (130, "", "dlmsample: interrupted; the same command goes on\n")
    with Store(out) as store:
        assert [cell.done for cell in store.cells()] == [4, 0, 0]
    monkeypatch.undo()
    assert "18 examples, 14 run now" in call("ablate", grid, "--out", str(out)).out


def test_mistakes_are_one_line(call: Call, grid: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path(grid).read_text() + "sedes: [0]\n")
    number = len(wrong.read_text().splitlines())
    out = ("--out", str(tmp_path / "out"))
    for words, remedy in (
        ((grid,), "give --out DIR"),
        (("nowhere.yaml", *out), "cannot read grid"),
        ((str(wrong), *out), f"wrong.yaml:{number}: unknown key 'sedes'; did you mean 'seeds'"),
        ((grid, *out, "--engine", "rai"), "did you mean 'ray'"),
        ((grid, *out, "--address", "auto"), "--engine ray"),
        ((grid, "--out", grid), "--out"),
        ((grid, *out, "--limit", "0"), "--limit"),
    ):
        code, said, err = call("ablate", *words)
        assert (code, said, err.count("\n")) == (2, "", 1), words
        assert remedy in err
        assert not (tmp_path / "out").exists()


def test_a_folder_in_use_and_a_damaged_store(call: Call, grid: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with lock.held(out):
        code, said, err = call("ablate", grid, "--out", str(out))
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert "is in use by process " in err
    (out / "results.sqlite").write_bytes(b"SQLite format 3\0 and nothing else")
    code, said, err = call("ablate", grid, "--out", str(out))
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert f"{out / 'results.sqlite'} is damaged" in err
    assert call("ablate", grid, "--out", str(out), "--fresh").code == 0


def test_other_versions_are_named_and_count_only_if_accepted(
    call: Call, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, label = str(tmp_path / "out"), "wordproblems(max_steps=5)"
    assert call("ablate", grid, "--out", out).code == 0
    now = environment.present([None])
    monkeypatch.setattr(environment, "present", lambda devices: dataclasses.replace(now, torch="99.0"))
    accepted = json.loads(call("ablate", grid, "--out", out, "--accept-versions", "--json").out)
    assert (accepted["done"], accepted["ran"]) == (3, 0)
    anew = call("ablate", grid, "--out", out, "--limit", "2").out
    assert "6 examples, 6 run now" in anew
    assert "apart   6 answers of other versions or devices" in anew

    apart = call("report", out).out
    for line in (f"1: {now.text}: 6 answers", f"2: {environment.present([]).text}: 6 answers"):
        assert line in " ".join(apart.split())
    tasks = [row["task"] for row in json.loads(call("report", out, "--json").out)["configurations"]]
    assert set(tasks) == {label, f"{label} (environment 1)"}
    together = json.loads(call("report", out, "--accept-versions", "--json").out)
    assert {row["task"] for row in together["configurations"]} == {label}
    with Store(tmp_path / "out") as store:
        assert store.about()["command"] == f"dlmsample ablate {grid} --out {out} --limit 2"
