"""The report of a folder: report.md, report.html, cells.csv, comparisons.csv and examples.csv."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from dlmsample.ablate.analysis.comparisons import Flips, SeedResults, flips, in_turn
from dlmsample.ablate.analysis.configs import Config, baselines, group
from dlmsample.ablate.analysis.figures import MeasuredConfig, measure_config
from dlmsample.ablate.analysis.results import ReportRow, Results, results
from dlmsample.ablate.report import csv
from dlmsample.ablate.report.naming import labels
from dlmsample.ablate.report.page import FlippedPair, page
from dlmsample.ablate.report.table import markdown, provenance
from dlmsample.ablate.report.verdict import verdicts
from dlmsample.ablate.storage.store import Store
from dlmsample.support.files import atomic_write

#: Written in this order; examples.csv, the largest, while the store is read.
FILES = ("examples.csv", "cells.csv", "comparisons.csv", "report.md", "report.html")
_FLIPS_A_PAIR, _FLIPS_A_PAGE = 20, 1000


def write(
    folder: Path,
    baseline: str | None = None,
    store: Store | None = None,
    accept_versions: bool = False,
    out: Path | None = None,
) -> list[Path]:
    """Write the report of a store, whatever state its run is in.

    Every column whose name does not contain ``wall`` is a function of the results alone: the files of a run that was
    killed and resumed equal those of an undisturbed one.

    Args:
        folder: the folder of the run, with its store.
        baseline: the label of the configuration that the others are compared to, as "CHECKPOINT POLICY" or
            "TASK: CHECKPOINT POLICY"; None: the grid's, or see :func:`dlmsample.ablate.analysis.configs.baselines`.
        store: of the folder, where it is open already: opening one checks every row of it.
        accept_versions: count results of every environment as the same, where ``store`` does not say so already.
            Otherwise the tables of a task are those of the environment that the last run worked in, and what other
            environments have computed of it stands apart, as "TASK (environment NUMBER)"; the report lists the
            environments with their numbers at its top.
        out: the folder that the files go to, made where there is none; None: that of the run. A run's folder that
            cannot be written is thus reported elsewhere.

    Returns:
        The files, :data:`FILES`.

    Raises: ValueError: no store there or a damaged one, no such baseline, or the folder cannot be written.
    """
    return build(folder, baseline, store, accept_versions, out)[1]


def build(
    folder: Path,
    baseline: str | None = None,
    store: Store | None = None,
    accept_versions: bool = False,
    out: Path | None = None,
) -> tuple[Results, list[Path]]:
    """As :func:`write`, together with what the report says."""
    target = _target(Path(folder), out)
    with Store(folder, accept_versions) if store is None else nullcontext(store) as store:
        grid, configs = store.grid(), group([*store.cells(), *store.apart()])
        wanted = baseline if baseline is not None else grid.get("baseline")
        baselines(configs, {}, wanted)  # a wrong label is told before any work
        paths = [target / name for name in FILES]
        with atomic_write(paths[0]) as file:
            found = dict(_measured(store, configs, file))
        made = results(str(grid.get("name", Path(folder).name)), configs, found, wanted, store.sources())
        made = replace(made, provenance=provenance(grid, store.about()))
        names = {
            number: name
            for rows in made.tasks.values()
            for number, name in labels([row.config for row in rows]).items()
        }
        said = verdicts(made, names)
        for path, lines in (
            (paths[1], csv.csv_lines(csv.CELL_COLUMNS, csv.cell_rows(made))),
            (paths[2], csv.csv_lines(csv.COMPARISON_COLUMNS, csv.comparison_rows(made))),
            (paths[3], [markdown(made, said)]),
            (paths[4], [page(made, list(_pairs(store, made)), names, said, grid)]),
        ):
            with atomic_write(path) as file:
                file.writelines(lines)
        return made, paths


def _target(folder: Path, out: Path | None) -> Path:
    """The folder of the report's files; that it cannot be written is told before any work."""
    if out is None:
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise ValueError(f"cannot write into {folder}: name a folder for the report with --out DIR")
        return folder
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot use --out {str(out)!r}: {error.strerror}; name another folder") from None
    return out


def _measured(store: Store, configs: Iterable[Config], file: TextIO) -> Iterator[tuple[int, MeasuredConfig]]:
    """Measure the configurations one by one and write their examples; only one of them is in memory at a time."""
    file.writelines(csv.csv_lines(csv.EXAMPLE_COLUMNS, ()))
    for config in configs:
        runs = {cell.seed: store.columns(cell.key, cell.environment) for cell in config.cells}
        for cell in config.cells:
            file.write("".join(csv.example_lines(config, cell, runs[cell.seed])))
        if (found := measure_config(config, runs)) is not None:
            yield config.number, found


def _runs(store: Store, config: Config, indices: Sequence[int]) -> SeedResults:
    return {cell.seed: store.examples(cell.key, indices, cell.environment) for cell in config.cells}


def _pairs(store: Store, made: Results) -> Iterator[FlippedPair]:
    """Every compared configuration with its flips: as many as a page can show and stay readable."""
    compared = [row for row in made.rows if row.comparison is not None]
    limit = max(4, min(_FLIPS_A_PAIR, _FLIPS_A_PAGE // max(1, len(compared))))
    for row in compared:
        yield FlippedPair(row, _flips(store, row, limit))


def _flips(store: Store, row: ReportRow, limit: int) -> Flips:
    """The flips of one configuration. Only the answers that are shown are read from the store."""
    versus = row.comparison
    assert versus is not None
    chosen = in_turn(versus.gains, versus.losses, limit)
    if not chosen:
        return Flips((), 0, 0)
    found = flips(_runs(store, versus.baseline, chosen), _runs(store, row.config, chosen), limit)
    return replace(found, gained=versus.gained, lost=versus.lost)
