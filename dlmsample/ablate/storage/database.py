"""The SQLite file of a store: made at once or not at all, checked whenever it is opened."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any, Literal

from dlmsample.ablate.storage.environment import UNKNOWN

NAME = "results.sqlite"
#: Written into the file's header: a store of ours, and the version of its tables.
APPLICATION, TABLES = 0x444C4D53, 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE environments (
  id INTEGER PRIMARY KEY, dlmsample TEXT NOT NULL, torch TEXT NOT NULL, transformers TEXT NOT NULL,
  device TEXT NOT NULL, checksum INTEGER NOT NULL, UNIQUE (dlmsample, torch, transformers, device)
);
CREATE TABLE cells (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, info TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE failures (
  cell INTEGER NOT NULL REFERENCES cells(id), environment INTEGER NOT NULL REFERENCES environments(id),
  error TEXT NOT NULL, traceback TEXT NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (cell, environment)
) WITHOUT ROWID;
CREATE TABLE members (
  position INTEGER PRIMARY KEY, cell INTEGER NOT NULL UNIQUE REFERENCES cells(id),
  environment INTEGER NOT NULL REFERENCES environments(id), labels TEXT NOT NULL, expected INTEGER NOT NULL,
  checksum INTEGER NOT NULL
);
CREATE TABLE prompts (
  digest TEXT PRIMARY KEY, prompt TEXT NOT NULL, reference TEXT NOT NULL, answer TEXT NOT NULL,
  checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE results (
  cell INTEGER NOT NULL REFERENCES cells(id), idx INTEGER NOT NULL,
  environment INTEGER NOT NULL REFERENCES environments(id), digest TEXT NOT NULL REFERENCES prompts(digest),
  text TEXT NOT NULL, extracted TEXT, correct INTEGER NOT NULL, steps INTEGER NOT NULL, nfe INTEGER NOT NULL,
  prefill INTEGER NOT NULL, tokens INTEGER NOT NULL, fills INTEGER NOT NULL, replaces INTEGER NOT NULL,
  remasks INTEGER NOT NULL, forced INTEGER NOT NULL, finish_reason TEXT NOT NULL, wall_seconds REAL NOT NULL,
  checksum INTEGER NOT NULL, PRIMARY KEY (cell, idx, environment)
) WITHOUT ROWID;
"""
#: Columns of ``results`` in their order, without the checksum over them.
COLUMNS = (
    *("cell", "idx", "environment", "digest", "text", "extracted", "correct", "steps", "nfe", "prefill", "tokens"),
    *("fills", "replaces", "remasks", "forced", "finish_reason", "wall_seconds"),
)

#: Table -> what its column ``checksum`` is over: every other column, in the table's order.
CHECKED = {
    "meta": ("key", "value"),
    "environments": ("id", "dlmsample", "torch", "transformers", "device"),
    "cells": ("id", "key", "info"),
    "failures": ("cell", "environment", "error", "traceback"),
    "members": ("position", "cell", "environment", "labels", "expected"),
    "prompts": ("digest", "prompt", "reference", "answer"),
    "results": COLUMNS,
}

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class StoreError(ValueError):
    """A store that is missing, damaged, or not ours; one line that names the file."""


def checksum(values: Sequence[Any]) -> int:
    """CRC-32 of a row's values."""
    return zlib.crc32(_ENCODE(values).encode())


def insert(table: str, otherwise: Literal["ABORT", "IGNORE", "REPLACE"] = "ABORT") -> str:
    """The statement that inserts a row with its checksum, and what to do where its key is there already."""
    marks = ", ".join("?" * (len(CHECKED[table]) + 1))
    return f"INSERT OR {otherwise} INTO {table} VALUES ({marks})"


def checked(values: Sequence[Any]) -> tuple[Any, ...]:
    """A row as :func:`insert` takes it: its values, and the checksum over them."""
    plain = [int(value) if isinstance(value, bool) else value for value in values]
    return (*plain, checksum(plain))


def create(path: Path) -> None:
    """Make an empty database; it appears under its name only when it is complete.

    Raises:
        StoreError: the folder cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        connection = sqlite3.connect(fresh)
        try:
            connection.executescript(
                f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={TABLES}; BEGIN; {_TABLES} COMMIT;"
            )
        finally:
            connection.close()
        os.replace(fresh, path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot make {path}: {error}") from None


def remove(path: Path) -> None:
    """Delete a database and the files that SQLite keeps beside it, and nothing else."""
    for suffix in ("-wal", "-shm", "-journal", ".new", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def connect(path: Path) -> sqlite3.Connection:
    """Open a database and check it: header, tables, structure, and the checksum of every row.

    Where the file or its folder cannot be written, the database is opened for reading alone, and nothing is written.

    Raises:
        StoreError: it is not there, not ours, of another version, or damaged.
    """
    if not path.exists():
        if path.with_name(path.name + "-wal").exists():
            raise damaged(path, "the file is gone, but the journal beside it (-wal) holds results")
        raise StoreError(
            f"{path.parent} holds no {path.name}: run dlmsample ablate GRID.yaml --out {path.parent} first"
        )
    try:
        with path.open("rb") as file:
            header = file.read(16)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    if header != b"SQLite format 3\0":
        raise damaged(path, "it does not begin as an SQLite file")
    if not writable(path):
        journal = path.with_name(path.name + "-wal")
        if journal.exists() and journal.stat().st_size:
            raise StoreError(
                f"{path.parent} cannot be written, and the journal beside {path.name} holds results: copy the folder "
                "to where it can be written, and use it there"
            )
    with reading(path):
        connection = sqlite3.connect(_uri(path, "rw"), uri=True, timeout=30.0)
        try:
            _check(connection, path)
            if writable(path):
                connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
        except BaseException:
            connection.close()
            raise
    return connection


def writable(path: Path) -> bool:
    """Whether a database can be written: the file, and its folder, where SQLite keeps a journal beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _uri(path: Path, mode: str) -> str:
    """What SQLite opens; where nothing can be written, in the one mode that makes no file beside the database."""
    return f"{path.absolute().as_uri()}?mode={mode if writable(path) else 'ro&immutable=1'}"


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection, path)
    if version != TABLES:
        raise StoreError(f"{path} was written by another version of dlmsample (tables {version}): name another folder")
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found)
    if _schema(connection) != _expected_schema():
        raise damaged(path, "its tables are not those of a store")
    for table, columns in CHECKED.items():
        _check_rows(connection, path, table, columns)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise StoreError(f"{path} is no store of dlmsample: name another folder")
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _check_rows(connection: sqlite3.Connection, path: Path, table: str, columns: Sequence[str]) -> None:
    for row in connection.execute(f"SELECT {', '.join(columns)}, checksum FROM {table}"):
        try:
            sound = checksum(row[:-1]) == row[-1]
        except TypeError:  # a value has become one that the tables never hold
            sound = False
        if not sound:
            raise damaged(path, f"a row of table {table} does not match its checksum")


def _schema(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return sorted(connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema").fetchall())


@cache
def _expected_schema() -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_TABLES)
        return _schema(connection)


def outdated(path: Path) -> bool:
    """Whether a file has the tables of the version before, which :func:`migrate` brings up to date."""
    try:
        with closing(sqlite3.connect(_uri(path, "ro"), uri=True, timeout=30.0)) as connection:
            return _version(connection, path) == 1
    except (sqlite3.Error, StoreError):
        return False  # what it is instead, opening it tells


def migrate(path: Path) -> None:
    """Bring the tables of version 1 up to date, in one transaction; the caller holds the folder's lock.

    Version 1 did not record environments: every result gets the one that stands for that,
    :data:`dlmsample.ablate.storage.environment.UNKNOWN`. Its members and notes had no checksum yet: they are taken as
    they are.

    Raises:
        StoreError: the file is damaged, or cannot be written.
    """
    with reading(path), closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as db:
        found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(path, found)
        for table in ("results", "prompts", "cells"):
            columns = [name for name in CHECKED[table] if (table, name) not in _NEW]
            _check_rows(db, path, table, columns)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            _rebuild(db)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


#: Columns that version 1 lacked, or that its checksums did not cover.
_NEW = {("results", "environment"), ("cells", "id")}


def _rebuild(db: sqlite3.Connection) -> None:
    old = ("meta", "cells", "members", "prompts", "results")
    for table in old:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in filter(str.strip, _TABLES.split(";")):
        db.execute(statement)
    db.execute(insert("environments"), checked((1, *astuple(UNKNOWN))))
    unknown = "1 AS environment"
    for table, source in (
        ("meta", "key, value FROM old_meta"),
        ("cells", "id, key, info FROM old_cells"),
        ("failures", f"id, {unknown}, error, coalesce(traceback, '') FROM old_cells WHERE error IS NOT NULL"),
        ("members", f"position, cell, {unknown}, labels, expected FROM old_members"),
        ("prompts", "digest, prompt, reference, answer FROM old_prompts"),
        ("results", f"{', '.join(unknown if name == 'environment' else name for name in COLUMNS)} FROM old_results"),
    ):
        db.executemany(insert(table), map(checked, db.execute(f"SELECT {source}")))
    for table in reversed(old):
        db.execute(f"DROP TABLE old_{table}")
    db.execute(f"PRAGMA user_version={TABLES}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file when SQLite finds it damaged, full or locked.

    Raises:
        StoreError: it did.
    """
    try:
        yield
    except sqlite3.OperationalError as error:  # locked, disk full, read-only: not the file's fault
        if "malformed" in str(error) or "not a database" in str(error):
            raise damaged(path, str(error)) from None
        if "is full" in str(error):
            raise StoreError(
                f"cannot write {path}: the disk is full; every batch that was stored before is safe: free some room "
                "and give the same command again"
            ) from None
        raise StoreError(f"cannot use {path}: {error}") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, what: str) -> StoreError:
    """The error for a damaged file."""
    return StoreError(
        f"{path} is damaged ({' '.join(what.split())}): restore it from a copy, or start over with --fresh, "
        "which deletes it"
    )
