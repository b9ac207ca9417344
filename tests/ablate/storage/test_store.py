"""The store: what it keeps, what it notices, and who may use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlmsample.ablate.report.write import write
from dlmsample.ablate.spec.cells import ResolvedGrid, resolve
from dlmsample.ablate.spec.grid import validate
from dlmsample.ablate.storage import database, lock
from dlmsample.ablate.storage.environment import Environment
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.ablate.storage.store import Store, StoreError
from dlmsample.support.yamlfile import Marks
from tests.ablate import toys
from tests.ablate.fakes import columns

ROOT = Path(__file__).parents[3]


@pytest.fixture
def layout(tiny_folder: Path) -> ResolvedGrid:
    return resolve(validate(toys.grid(tiny_folder), Marks()))


HERE, THERE = Environment("1", "2", "3", "cpu: abacus"), Environment("1", "2.1", "3", "cpu: abacus")


def begin(store: Store, layout: ResolvedGrid, limit: int = 6, environment: Environment = HERE) -> None:
    digests = {label: found[:limit] for label, found in layout.digests.items()}
    store.begin(layout.grid.model_dump(mode="json"), layout.cells, digests, {"tiny": environment})


def result(index: int, **changes: Any) -> ExampleResult:
    values: dict[str, Any] = {
        **{"index": index, "prompt": f"p{index}", "reference": "r", "answer": "a", "text": "\x00 é <b>"},
        **{"extracted": None, "correct": True, "steps": 3, "nfe": 4, "prefill": 1, "tokens": 9, "fills": 9},
        **{"replaces": 1, "remasks": 2, "forced": False, "finish_reason": "eos", "wall_seconds": 0.1, "positions": 128},
    }
    return ExampleResult(**{**values, **changes})


def filled(folder: Path, layout: ResolvedGrid) -> Store:
    store = Store.open_or_create(folder)
    begin(store, layout)
    digests = layout.digests[layout.cells[0].task.label]
    store.add(layout.cells[0].key, [result(i) for i in range(6)], digests)
    return store


def test_what_goes_in_comes_out(tmp_path: Path, layout: ResolvedGrid) -> None:
    key = layout.cells[0].key
    with filled(tmp_path, layout):
        pass
    with Store(tmp_path) as store:
        assert store.examples(key) == [result(i) for i in range(6)]
        assert store.examples(key, [4, 1, 9]) == [result(1), result(4)]
        assert [(c.status, c.done, c.expected) for c in store.cells()] == [("done", 6, 6), *[("pending", 0, 6)] * 2]
        assert store.cells()[2].policy == "t2m(temperature=0.9)"
        assert (store.cells()[2].options["detector"], store.cells()[2].temperature) == ("low_prob", 0.9)
        assert store.grid()["name"] == "toy"
        assert store.missing(layout.cells[1].key) == list(range(6))
        with pytest.raises(KeyError):
            store.examples("nosuch")


def test_columns_are_the_examples(tmp_path: Path, layout: ResolvedGrid) -> None:
    key, empty = layout.cells[0].key, layout.cells[1].key
    with filled(tmp_path, layout) as store:
        assert store.columns(key) == columns(store.examples(key))
        assert len(store.columns(empty)) == 0
        begin(store, layout, limit=2)
        assert store.columns(key).index == (0, 1)
        with pytest.raises(KeyError):
            store.columns("nosuch")


def test_nothing_is_stored_twice_and_a_batch_is_all_or_nothing(tmp_path: Path, layout: ResolvedGrid) -> None:
    key, digests = layout.cells[1].key, layout.digests[layout.cells[1].task.label]
    with filled(tmp_path, layout) as store:
        store.add(key, [result(0)], digests[:1])
        with pytest.raises(StoreError):
            store.add(key, [result(1), result(0)], [digests[1], digests[0]])
        assert [r.index for r in store.examples(key)] == [0]


def test_a_folder_that_cannot_be_written_is_read_and_left_alone(
    tmp_path: Path, layout: ResolvedGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, key = tmp_path / "run", layout.cells[0].key
    folder.mkdir()
    filled(folder, layout).close()
    for suffix in ("-wal", "-shm"):
        (folder / f"{database.NAME}{suffix}").unlink(missing_ok=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in (folder, folder / database.NAME))
    with Store(folder) as store:
        assert store.examples(key) == [result(i) for i in range(6)]
        with pytest.raises(StoreError, match="readonly"):
            store.note(command="x")
    with pytest.raises(ValueError, match=r"^cannot write into [^\n]*--out DIR$"):
        write(folder)
    assert {path.parent for path in write(folder, out=tmp_path / "a" / "b")} == {tmp_path / "a" / "b"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / f"{database.NAME}-wal").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"^[^\n]*journal beside[^\n]*copy the folder[^\n]*$"):
        Store(folder)


def test_a_full_disk_says_what_is_safe(tmp_path: Path, layout: ResolvedGrid) -> None:
    """Nothing of the batch that found no room is stored, and everything before it is."""
    key, digests = layout.cells[1].key, layout.digests[layout.cells[1].task.label]
    with filled(tmp_path, layout) as store:
        store.add(key, [result(0)], digests[:1])
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreError, match=r"^[^\n]*the disk is full[^\n]*stored before is safe[^\n]*$"):
            store.add(key, [result(1, text="x" * 100_000)], [digests[1]])
        assert [r.index for r in store.examples(key)] == [0]
    with Store(tmp_path) as store:
        assert [r.index for r in store.examples(key)] == [0]


def test_a_limit_hides_and_a_changed_example_is_forgotten(tmp_path: Path, layout: ResolvedGrid) -> None:
    key = layout.cells[0].key
    with filled(tmp_path, layout) as store:
        begin(store, layout, limit=2)
        assert [r.index for r in store.examples(key)] == [0, 1]
        begin(store, layout)
        assert len(store.examples(key)) == 6
        label = layout.cells[0].task.label
        changed = {label: ["other", *layout.digests[label][1:]]}
        store.begin({}, layout.cells, changed, {"tiny": HERE})
        assert store.missing(key) == [0]


def test_errors_of_cells(tmp_path: Path, layout: ResolvedGrid) -> None:
    one, other = layout.cells[0].key, layout.cells[1].key
    with filled(tmp_path, layout) as store:
        store.fail(other, "out of memory", "somewhere")
        cell = store.cells()[1]
        assert (cell.status, cell.error, store.traceback(other)) == ("failed", "out of memory", "somewhere")
        assert store.traceback(one) is None
        store.forgive([other])
        assert (store.cells()[1].status, store.cells()[1].error) == ("pending", None)


DAMAGE = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "no database": lambda data: b"x" * 5000,
    "header": lambda data: b"\0" * 16 + data[16:],
    "a page": lambda data: data[:4096] + b"\xaa" * 4096 + data[8192:],
    "a text": lambda data: data.replace("é <b>".encode(), "è <b>".encode(), 1),
    "a prompt": lambda data: data.replace(b"p3r", b"p9r", 1),
    "an option": lambda data: data.replace(b"low_prob", b"low_pr0b", 1),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_named_and_never_repaired_by_itself(how: str, tmp_path: Path, layout: ResolvedGrid) -> None:
    filled(tmp_path, layout).close()
    path = tmp_path / database.NAME
    data = path.read_bytes()
    broken = DAMAGE[how](data)
    assert broken != data
    path.write_bytes(broken)
    for attempt in (Store, Store.open_or_create):
        with pytest.raises(StoreError, match=r"^[^\n]*is damaged[^\n]*--fresh[^\n]*$") as caught:
            attempt(tmp_path)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == broken
    Store.delete(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_lost_file_beside_its_journal_is_damage(tmp_path: Path) -> None:
    (tmp_path / f"{database.NAME}-wal").write_bytes(b"x")
    with pytest.raises(StoreError, match="the journal beside it"):
        Store.open_or_create(tmp_path)


def test_no_store_another_program_and_another_version(tmp_path: Path) -> None:
    import sqlite3

    with pytest.raises(StoreError, match="dlmsample ablate"):
        Store(tmp_path)
    path = tmp_path / database.NAME
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    with pytest.raises(StoreError, match="no store of dlmsample"):
        Store(tmp_path)
    other.executescript(f"PRAGMA application_id={database.APPLICATION}; PRAGMA user_version=999;")
    other.close()
    with pytest.raises(StoreError, match="another version"):
        Store(tmp_path)


def test_a_half_made_store_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / f"{database.NAME}.new").write_bytes(b"killed while this was written")
    with Store.open_or_create(tmp_path) as store:
        assert (store.cells(), store.grid()) == ([], {})


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from dlmsample.ablate.storage import lock\n"
        "with lock.held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ValueError, match=f"in use by process {other.pid} on "), lock.held(tmp_path):
            pass
        other.kill()
    with lock.held(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()
    with lock.held(tmp_path):
        pass
