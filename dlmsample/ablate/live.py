"""What a run tells experiment trackers while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlmsample.ablate.spec.cells import Cell
from dlmsample.ablate.storage.store import Store
from dlmsample.support.trackers import Trackers


class LiveFigures:
    """Counts of examples and cells after every batch, and a cell's figures when it is complete.

    The step is the number of examples that have a result. Figures of a cell are means over its examples: the share of
    correct answers, forwards, tokens and edits; they stand under ``task/checkpoint/policy/seed/...``.

    Args:
        names: of trackers.
        folder: of the run.
        grid: what is run, as plain data.
        done: examples that have a result already.
    """

    def __init__(self, names: Sequence[str], folder: Path, grid: dict[str, Any], done: int) -> None:
        self._trackers, self._done, self._cells = Trackers(names, folder, grid, start=done), done, 0

    def __enter__(self) -> LiveFigures:
        return self

    def __exit__(self, *_: object) -> None:
        self._trackers.close()

    def batch(self, examples: int, complete: Cell | None, store: Store) -> None:
        """So many more examples are stored, and perhaps a cell is complete."""
        self._done += examples
        self._cells += complete is not None
        figures = {} if complete is None else _figures(complete, store)
        self._trackers.log({"examples": self._done, "cells": self._cells, **figures}, self._done)


def _figures(cell: Cell, store: Store) -> dict[str, float]:
    found = store.columns(cell.key)
    if not len(found):
        return {}
    sums = {"correct": found.correct, "nfe": found.nfe, "tokens": found.tokens}
    sums["edits"] = tuple(map(sum, zip(found.replaces, found.remasks, strict=True)))
    name = f"{cell.task.label}/{cell.checkpoint.label}/{cell.policy}/{cell.seed}"
    return {f"{name}/{figure}": sum(values) / len(found) for figure, values in sums.items()}
