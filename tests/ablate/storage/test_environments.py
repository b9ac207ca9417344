"""Versions and devices of results: kept side by side, shown apart, counted together only on demand; old stores."""

from __future__ import annotations

import csv
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlmsample.ablate import run as runs
from dlmsample.ablate.estimate import estimate
from dlmsample.ablate.report.write import build
from dlmsample.ablate.spec import identity
from dlmsample.ablate.spec.cells import ResolvedGrid, choices
from dlmsample.ablate.storage import database, environment, lock, migrations
from dlmsample.ablate.storage.environment import UNKNOWN
from dlmsample.ablate.storage.store import Store, StoreError
from dlmsample.support.yamlfile import Marks
from tests.ablate.storage.test_store import HERE, THERE, begin, filled, layout, result
from tests.ablate.test_run import made, numbers

__all__ = ["layout"]


def test_the_key_depends_on_no_source_and_no_version(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed docstring or a release throws no finished run away; only the number of semantics does."""
    grid = made(tiny_folder)
    choice = choices(grid, Marks())[0]
    parts = identity.of_cell(grid, grid.tasks[0], {}, "float32", "cpu", choice.policy, choice.settings, 0, "test")
    assert set(parts) == {
        *("schema", "semantics", "checkpoint", "dtype", "device", "task", "policy", "seed", "settings"),
        *("top_p", "top_k"),
    }
    assert (parts["task"]["source"], parts["policy"]["source"]) == (None, None)
    monkeypatch.setattr("dlmsample.__version__", "9.9.9")
    assert (
        identity.of_cell(grid, grid.tasks[0], {}, "float32", "cpu", choice.policy, choice.settings, 0, "test") == parts
    )


def test_policies_of_others_keep_the_hash_of_their_source() -> None:
    assert len(identity.of_source(type(ResolvedGrid)) or "") > 0
    assert identity.of_source(csv.DictReader) != identity.of_source(random.Random)


def both(folder: Path, layout: ResolvedGrid) -> str:
    """A cell with six results of one environment, and three others of the same examples of the present one."""
    key, digests = layout.cells[0].key, layout.digests[layout.cells[0].task.label]
    with filled(folder, layout) as store:
        begin(store, layout, environment=THERE)
        assert store.missing(key) == list(range(6))
        store.add(key, [result(at, correct=False, text="later") for at in range(3)], digests[:3])
    return key


def test_other_versions_are_kept_and_shown_apart(tmp_path: Path, layout: ResolvedGrid) -> None:
    key = both(tmp_path, layout)
    with Store(tmp_path) as store:
        assert [(cell.done, cell.status) for cell in store.cells()] == [(3, "pending"), (0, "pending"), (0, "pending")]
        assert store.missing(key) == [3, 4, 5]
        assert [r.text for r in store.examples(key)] == ["later"] * 3
        (other,) = store.apart()
        assert (other.key, other.environment, other.done, other.status) == (key, 1, 6, "done")
        assert store.examples(key, environment=1) == [result(at) for at in range(6)]
        assert [(s.number, s.environment, s.answers) for s in store.sources()] == [(1, HERE, 6), (2, THERE, 3)]
        assert (len(store.stored(key, HERE)), len(store.stored(key, THERE)), store.stored(key, UNKNOWN)) == (6, 3, {})
        begin(store, layout)
        assert store.missing(key) == []


def test_accepted_versions_count_as_the_same_and_the_present_one_is_preferred(
    tmp_path: Path, layout: ResolvedGrid
) -> None:
    key = both(tmp_path, layout)
    with Store(tmp_path, accept_versions=True) as store:
        assert (store.cells()[0].done, store.cells()[0].status, store.missing(key), store.apart()) == (
            6,
            "done",
            [],
            [],
        )
        assert [r.text == "later" for r in store.examples(key)] == [True] * 3 + [False] * 3
        assert store.columns(key).index == tuple(range(6))
        assert len(store.stored(key, UNKNOWN)) == 6
        begin(store, layout)
        assert [r.text == "later" for r in store.examples(key)] == [False] * 6


def test_a_cell_fails_in_its_environment_alone(tmp_path: Path, layout: ResolvedGrid) -> None:
    key = layout.cells[1].key
    with filled(tmp_path, layout) as store:
        store.fail(key, "out of memory", "there")
        begin(store, layout, environment=THERE)
        assert (store.cells()[1].status, store.traceback(key)) == ("pending", None)
        store.forgive([key])
        begin(store, layout)
        assert (store.cells()[1].error, store.traceback(key)) == ("out of memory", "there")


def torch_is(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment.present([None])
    monkeypatch.setattr(environment, "present", lambda devices: replace(found, torch=version))


def test_a_run_with_another_torch_computes_anew_and_mixes_nothing(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_is("1.0", monkeypatch)
    runs.run(made(tiny_folder), tmp_path, report=False)
    before = numbers(tmp_path)
    torch_is("2.0", monkeypatch)
    accepted = runs.run(made(tiny_folder), tmp_path, report=False, accept_versions=True)
    assert (accepted.done, accepted.ran) == (3, 0)
    summary = runs.run(made(tiny_folder, batch_size=1), tmp_path)
    assert (summary.done, summary.ran) == (3, 18)
    assert numbers(tmp_path) == before  # the same package computed them

    page = (tmp_path / "report.md").read_text()
    top = page[: page.index("\n## ")]
    assert "torch 1.0" in top
    assert "torch 2.0" in top
    assert top.count(": 18 answers") == 2
    with (tmp_path / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    label = "wordproblems(max_steps=5)"
    assert [row["task"] for row in rows] == [label] * 3 + [f"{label} (environment 1)"] * 3
    with (tmp_path / "comparisons.csv").open(newline="") as file:
        assert [row["task"] for row in csv.DictReader(file)] == [label] * 2 + [f"{label} (environment 1)"] * 2
    results, _ = build(tmp_path, accept_versions=True)
    assert list(results.tasks) == [label]
    assert [source["answers"] for source in results.asdict()["environments"]] == [18, 18]


def test_the_estimate_counts_the_present_environment(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.run(made(tiny_folder), tmp_path, report=False)
    assert estimate(made(tiny_folder), tmp_path).stored == 18
    found = environment.present([None])
    monkeypatch.setattr("dlmsample.ablate.estimate.present", lambda devices: replace(found, device="cuda: a card"))
    assert estimate(made(tiny_folder), tmp_path).stored == 0
    assert estimate(made(tiny_folder), tmp_path, accept_versions=True).stored == 18


VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cells (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, info TEXT NOT NULL, checksum INTEGER NOT NULL, error TEXT,
  traceback TEXT
);
CREATE TABLE members (
  position INTEGER PRIMARY KEY, cell INTEGER NOT NULL UNIQUE REFERENCES cells(id), labels TEXT NOT NULL,
  expected INTEGER NOT NULL
);
CREATE TABLE prompts (
  digest TEXT PRIMARY KEY, prompt TEXT NOT NULL, reference TEXT NOT NULL, answer TEXT NOT NULL,
  checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE results (
  cell INTEGER NOT NULL REFERENCES cells(id), idx INTEGER NOT NULL, digest TEXT NOT NULL REFERENCES prompts(digest),
  text TEXT NOT NULL, extracted TEXT, correct INTEGER NOT NULL, steps INTEGER NOT NULL, nfe INTEGER NOT NULL,
  prefill INTEGER NOT NULL, tokens INTEGER NOT NULL, fills INTEGER NOT NULL, replaces INTEGER NOT NULL,
  remasks INTEGER NOT NULL, forced INTEGER NOT NULL, finish_reason TEXT NOT NULL, wall_seconds REAL NOT NULL,
  checksum INTEGER NOT NULL, PRIMARY KEY (cell, idx)
) WITHOUT ROWID;
"""


def old_store(folder: Path, layout: ResolvedGrid) -> None:
    """What the version before wrote: the first cell done, the second failed."""
    filled(folder / "new", layout).close()
    source = folder / "new" / database.NAME
    with closing(sqlite3.connect(source)) as new, closing(sqlite3.connect(folder / database.NAME)) as old:
        old.executescript(f"PRAGMA application_id={database.APPLICATION}; PRAGMA user_version=1; {VERSION_1}")
        old.execute("PRAGMA journal_mode=WAL")
        with old:
            move(new, old, "meta", "key, value")
            for number, key, info, _ in new.execute("SELECT * FROM cells"):
                failed = ("broke", "somewhere") if number == 2 else (None, None)
                old.execute(
                    "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?)",
                    (number, key, info, database.checksum((key, info)), *failed),
                )
            move(new, old, "members", "position, cell, labels, expected")
            move(new, old, "prompts", "*")
            names = [name for name in database.COLUMNS if name not in ("environment", "positions")]
            for row in new.execute(f"SELECT {', '.join(names)} FROM results"):
                old.execute(f"INSERT INTO results VALUES ({', '.join('?' * 17)})", (*row, database.checksum(row)))


def move(new: sqlite3.Connection, old: sqlite3.Connection, table: str, columns: str) -> None:
    for row in new.execute(f"SELECT {columns} FROM {table}"):
        old.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


@pytest.fixture
def old(tmp_path: Path, layout: ResolvedGrid) -> Path:
    (tmp_path / "new").mkdir()
    old_store(tmp_path, layout)
    return tmp_path


def test_a_store_of_the_tables_before_is_brought_up_to_date(old: Path, layout: ResolvedGrid) -> None:
    key = layout.cells[0].key
    for _ in range(2):
        with Store(old) as store:
            assert store.grid()["name"] == "toy"
            assert store.examples(key) == [result(at, positions=None) for at in range(6)]
            assert [cell.status for cell in store.cells()] == ["done", "failed", "pending"]
            assert store.traceback(layout.cells[1].key) == "somewhere"
            assert [(s.environment, s.answers) for s in store.sources()] == [(UNKNOWN, 6)]
    assert "unknown (before" in UNKNOWN.text
    with lock.held(old), Store.open_or_create(old) as store:
        begin(store, layout)
        assert (store.missing(key), store.apart()[0].done) == (list(range(6)), 6)


def test_a_store_that_counted_no_positions_keeps_all_else(tmp_path: Path, layout: ResolvedGrid) -> None:
    key, path = layout.cells[0].key, tmp_path / database.NAME
    filled(tmp_path, layout).close()
    with closing(sqlite3.connect(path)) as db:
        before = db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
        names = [name for name in database.COLUMNS if name != "positions"]
        rows = db.execute(f"SELECT {', '.join(names)} FROM results").fetchall()
        made = next(sql for _, name, sql in before if name == "results").replace("positions INTEGER, ", "")
        db.executescript(f"DROP TABLE results; {made}; PRAGMA user_version=2;")
        with db:
            for row in rows:
                db.execute(f"INSERT INTO results VALUES ({', '.join('?' * 18)})", (*row, database.checksum(row)))
    assert migrations.outdated(path)
    with Store(tmp_path) as store:
        assert store.examples(key) == [result(at, positions=None) for at in range(6)]
        assert store.sources()[0].environment != UNKNOWN
    assert not migrations.outdated(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall() == before


def test_an_old_store_that_cannot_be_written_is_read_from_a_copy(
    old: Path, layout: ResolvedGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = old / database.NAME, database.writable
    monkeypatch.setattr(database, "writable", lambda asked: asked != path and whole(asked))
    before = path.read_bytes()
    with Store(old) as store:
        assert store.examples(layout.cells[0].key) == [result(at, positions=None) for at in range(6)]
        copy = store.path
        assert copy != path
    assert not copy.exists()
    assert path.read_bytes() == before


def test_an_old_store_in_use_or_damaged_is_left_alone(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old / database.NAME
    with lock.held(old), pytest.raises(ValueError, match="in use by process"):
        Store(old)
    assert migrations.outdated(path)
    data = path.read_bytes()
    path.write_bytes(data.replace("é <b>".encode(), "è <b>".encode(), 1))
    with pytest.raises(StoreError, match="is damaged"):
        Store(old)
    assert migrations.outdated(path)
    path.write_bytes(data)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    whole = migrations.checked
    monkeypatch.setattr(migrations, "checked", killed)
    with pytest.raises(KeyboardInterrupt):
        Store(old)
    monkeypatch.setattr(migrations, "checked", whole)
    assert migrations.outdated(path)
    Store(old).close()


def held_by(folder: Path) -> list[Any]:
    """Everything a report reads."""
    with Store(folder) as store:
        cells = [*store.cells(), *store.apart()]
        answers = [store.examples(cell.key, environment=cell.environment) for cell in cells]
        columns = [store.columns(cell.key, cell.environment) for cell in cells]
        where = [store.traceback(cell.key) for cell in cells]
        return [store.grid(), store.about(), store.sources(), cells, answers, columns, where]


def test_a_flipped_byte_is_found_or_changes_nothing(tmp_path: Path, layout: ResolvedGrid, full: bool) -> None:
    both(tmp_path, layout)
    with Store(tmp_path) as store:
        store.fail(layout.cells[1].key, "broke", "somewhere")
        store.note(command="a command", torch="2")
    expected = held_by(tmp_path)
    path = tmp_path / database.NAME
    data = path.read_bytes()
    chance = random.Random(0)
    used = [at for at, byte in enumerate(data) if byte]
    places = [*range(100), *(used if full else chance.sample(used, 500))]
    found = 0
    for at in places:
        broken = bytearray(data)
        broken[at] ^= chance.randrange(1, 256)
        database.remove(path)
        path.write_bytes(broken)
        try:
            assert held_by(tmp_path) == expected, f"byte {at} of {len(data)}"
        except StoreError:
            found += 1
    assert found > len(places) / 4
