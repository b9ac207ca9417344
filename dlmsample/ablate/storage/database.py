"""The SQLite file of a store: made at once or not at all, checked whenever it is opened."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

NAME = "results.sqlite"
#: Written into the file's header: a store of ours, and the version of its tables.
APPLICATION, TABLES = 0x444C4D53, 3

#: The statements that make the tables.
SCHEMA = """
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
  positions INTEGER, checksum INTEGER NOT NULL, PRIMARY KEY (cell, idx, environment)
) WITHOUT ROWID;
"""
#: Columns of ``results`` in their order, without the checksum over them.
COLUMNS = (
    *("cell", "idx", "environment", "digest", "text", "extracted", "correct", "steps", "nfe", "prefill", "tokens"),
    *("fills", "replaces", "remasks", "forced", "finish_reason", "wall_seconds", "positions"),
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
                f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={TABLES}; BEGIN; {SCHEMA} COMMIT;"
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
        connection = sqlite3.connect(uri(path, "rw"), uri=True, timeout=30.0)
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


def uri(path: Path, mode: str) -> str:
    """What SQLite opens; where nothing can be written, in the one mode that makes no file beside the database."""
    return f"{path.absolute().as_uri()}?mode={mode if writable(path) else 'ro&immutable=1'}"


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = version(connection, path)
    if found != TABLES:
        raise StoreError(f"{path} was written by another version of dlmsample (tables {found}): name another folder")
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found)
    if _schema(connection) != _expected_schema():
        raise damaged(path, "its tables are not those of a store")
    for table, columns in CHECKED.items():
        check_rows(connection, path, table, columns)


def version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of its tables.

    Raises:
        StoreError: it is no store of ours.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise StoreError(f"{path} is no store of dlmsample: name another folder")
    return connection.execute("PRAGMA user_version").fetchone()[0]


def check_rows(connection: sqlite3.Connection, path: Path, table: str, columns: Sequence[str]) -> None:
    """Check the checksum of every row of a table.

    Raises:
        StoreError: one does not match.
    """
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
        connection.executescript(SCHEMA)
        return _schema(connection)


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
