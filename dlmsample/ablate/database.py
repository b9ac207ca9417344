"""The SQLite file of a store: made at once or not at all, checked whenever it is opened."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "results.sqlite"
#: Written into the file's header: a store of ours, and the version of its tables.
APPLICATION, TABLES = 0x444C4D53, 1

_TABLES = """
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
#: Columns of ``results`` in their order, without the checksum over them.
COLUMNS = (
    *("cell", "idx", "digest", "text", "extracted", "correct", "steps", "nfe", "prefill", "tokens", "fills"),
    *("replaces", "remasks", "forced", "finish_reason", "wall_seconds"),
)


#: Table -> what its column ``checksum`` is over.
_CHECKED = {"results": COLUMNS, "prompts": ("digest", "prompt", "reference", "answer"), "cells": ("key", "info")}


_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class StoreError(ValueError):
    """A store that is missing, damaged, or not ours; one line that names the file."""


def checksum(values: Sequence[Any]) -> int:
    """CRC-32 of a row's values."""
    return zlib.crc32(_ENCODE(values).encode())


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
    """Open a database and check it: header, structure, and the checksum of every row.

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
    with reading(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30.0)
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise StoreError(f"{path} is no store of dlmsample: name another folder")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != TABLES:
        raise StoreError(f"{path} was written by another version of dlmsample (tables {version}): name another folder")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found)
    for table, columns in _CHECKED.items():
        for row in connection.execute(f"SELECT {', '.join(columns)}, checksum FROM {table}"):
            if checksum(row[:-1]) != row[-1]:
                raise damaged(path, f"a row of table {table} does not match its checksum")
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")


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
        raise StoreError(f"cannot use {path}: {error}") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, what: str) -> StoreError:
    """The error for a damaged file."""
    return StoreError(
        f"{path} is damaged ({' '.join(what.split())}): restore it from a copy, or start over with --fresh, "
        "which deletes it"
    )
