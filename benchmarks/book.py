"""A folder of measured cells, a line of JSON each, so that a run that was cut short goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol


class Named(Protocol):
    """A cell: its key is what decides its numbers."""

    @property
    def key(self) -> str: ...

    def about(self) -> dict[str, Any]: ...


class Book:
    """What has been measured: a line of JSON for each cell in ``cells.jsonl``, read again by a later call."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "cells.jsonl"
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        whole = [line for line in lines if line.endswith("}")]  # the last may be cut short
        self.rows: dict[str, dict[str, Any]] = {row["key"]: row for row in map(json.loads, whole)}

    def add(self, row: dict[str, Any]) -> None:
        self.rows[row["key"]] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * (file.tell() > 0) + json.dumps(row))

    def of(self, wanted: Iterable[Named]) -> list[dict[str, Any]]:
        """Those of the cells that have been measured, with what each says of itself now."""
        found = ((cell, self.rows.get(cell.key)) for cell in wanted)
        return [{**row, **cell.about()} for cell, row in found if row is not None]
