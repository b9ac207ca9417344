"""Stores that an earlier version wrote are brought up to date, in one transaction."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from dlmsample.ablate.storage.database import (
    CHECKED,
    COLUMNS,
    SCHEMA,
    TABLES,
    StoreError,
    check_rows,
    checked,
    damaged,
    insert,
    reading,
    uri,
    version,
)
from dlmsample.ablate.storage.environment import UNKNOWN

#: Version of the tables -> those whose rows had checksums, and the columns that they lacked or did not cover.
_OLD: dict[int, tuple[tuple[str, ...], set[tuple[str, str]]]] = {
    1: (
        ("results", "prompts", "cells"),
        {("results", "environment"), ("results", "positions"), ("cells", "id")},
    ),
    2: (tuple(CHECKED), {("results", "positions")}),
}
#: Column of ``results`` that older tables lack -> what it holds for their rows.
_ABSENT = {"environment": "1 AS environment", "positions": "NULL AS positions"}


def outdated(path: Path) -> bool:
    """Whether a file has the tables of an earlier version, which :func:`migrate` brings up to date."""
    try:
        with closing(sqlite3.connect(uri(path, "ro"), uri=True, timeout=30.0)) as connection:
            return version(connection, path) in _OLD
    except (sqlite3.Error, StoreError):
        return False  # what it is instead, opening it tells


def migrate(path: Path) -> None:
    """Bring older tables up to date, in one transaction; the caller holds the folder's lock.

    Version 1 did not record environments: every result gets the one that stands for that,
    :data:`dlmsample.ablate.storage.environment.UNKNOWN`. Its members and notes had no checksum yet: they are taken as
    they are. Versions 1 and 2 did not count the positions forwarded: their results have none.

    Raises:
        StoreError: the file is damaged, or cannot be written.
    """
    with reading(path), closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as db:
        found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(path, found)
        old = version(db, path)
        if old not in _OLD:  # another process was faster
            return
        tables, lacking = _OLD[old]
        for table in tables:
            check_rows(db, path, table, [name for name in CHECKED[table] if (table, name) not in lacking])
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            if old == 1:
                _from_first(db)
            else:
                _results(db, lacking)
            db.execute(f"PRAGMA user_version={TABLES}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def copied(path: Path, folder: Path) -> Path:
    """A copy of an older store in another folder, brought up to date; the store itself is only read.

    Raises:
        StoreError: the store is damaged, or the copy cannot be written.
    """
    target = folder / path.name
    for suffix in ("", "-wal"):  # what the journal holds belongs to it
        if (source := path.with_name(path.name + suffix)).exists():
            shutil.copyfile(source, target.with_name(target.name + suffix))
    migrate(target)
    return target


def _columns(lacking: set[tuple[str, str]]) -> str:
    """The columns of ``results`` as a query over older tables."""
    return ", ".join(_ABSENT[name] if ("results", name) in lacking else name for name in COLUMNS)


def _results(db: sqlite3.Connection, lacking: set[tuple[str, str]]) -> None:
    """The table of results anew."""
    db.execute("ALTER TABLE results RENAME TO old_results")
    db.execute(next(statement for statement in SCHEMA.split(";") if "CREATE TABLE results" in statement))
    source = db.execute(f"SELECT {_columns(lacking)} FROM old_results")
    db.executemany(insert("results"), map(checked, source))
    db.execute("DROP TABLE old_results")


def _from_first(db: sqlite3.Connection) -> None:
    """All tables anew, from those of version 1."""
    old = ("meta", "cells", "members", "prompts", "results")
    for table in old:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in filter(str.strip, SCHEMA.split(";")):
        db.execute(statement)
    db.execute(insert("environments"), checked((1, *astuple(UNKNOWN))))
    unknown = _ABSENT["environment"]
    for table, source in (
        ("meta", "key, value FROM old_meta"),
        ("cells", "id, key, info FROM old_cells"),
        ("failures", f"id, {unknown}, error, coalesce(traceback, '') FROM old_cells WHERE error IS NOT NULL"),
        ("members", f"position, cell, {unknown}, labels, expected FROM old_members"),
        ("prompts", "digest, prompt, reference, answer FROM old_prompts"),
        ("results", f"{_columns(_OLD[1][1])} FROM old_results"),
    ):
        db.executemany(insert(table), map(checked, db.execute(f"SELECT {source}")))
    for table in reversed(old):
        db.execute(f"DROP TABLE old_{table}")
