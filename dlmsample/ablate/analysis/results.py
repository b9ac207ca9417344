"""Everything a report says, before it is put into any format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dlmsample.ablate.analysis.comparisons import Comparison, compare
from dlmsample.ablate.analysis.configs import Config, baselines
from dlmsample.ablate.analysis.figures import Figures, MeasuredConfig
from dlmsample.ablate.storage.records import CellInfo, ResultSource


@dataclass(frozen=True)
class ReportRow:
    """A configuration, its figures, and how it compares."""

    config: Config
    measured: MeasuredConfig | None  #: None without any result
    comparison: Comparison | None  #: None for a baseline, and where nothing is shared with it
    is_baseline: bool

    @property
    def figures(self) -> Figures | None:
        return None if self.measured is None else self.measured.figures


@dataclass(frozen=True)
class Results:
    """A whole grid; configurations of a task stand together, in the grid's order."""

    name: str
    rows: tuple[ReportRow, ...]
    sources: tuple[ResultSource, ...] = ()  #: the environments that the answers come from
    provenance: tuple[tuple[str, str], ...] = ()  #: what the results came from, as name and text

    @property
    def tasks(self) -> dict[str, list[ReportRow]]:
        """Task -> its rows."""
        found: dict[str, list[ReportRow]] = {}
        for row in self.rows:
            found.setdefault(row.config.task, []).append(row)
        return found

    @property
    def cells(self) -> list[CellInfo]:
        """All cells, configuration by configuration."""
        return [cell for row in self.rows for cell in row.config.cells]

    @property
    def failed(self) -> list[CellInfo]:
        """Cells that failed."""
        return [cell for cell in self.cells if cell.status == "failed"]

    def asdict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        sources = [asdict(source) for source in self.sources]
        return {"name": self.name, "environments": sources, "configurations": [_plain(row) for row in self.rows]}


def results(
    name: str,
    configs: Sequence[Config],
    measured: Mapping[int, MeasuredConfig],
    baseline: str | None = None,
    sources: Sequence[ResultSource] = (),
) -> Results:
    """Choose the baselines and compare.

    Args:
        measured: number of a configuration -> what was measured; those without results are missing.
        sources: the environments that the answers come from.

    Raises: ValueError: no configuration has the label ``baseline``.
    """
    forwards = {number: m.figures.nfe for number, m in measured.items()}
    bases = baselines(configs, forwards, baseline)
    found = compare([measured[c.number] for c in configs if c.number in measured], bases)
    rows = [ReportRow(c, measured.get(c.number), found.get(c.number), bases.get(c.task) == c) for c in configs]
    return Results(name, tuple(rows), tuple(sources))


def _plain(row: ReportRow) -> dict[str, Any]:
    config, comparison = row.config, row.comparison
    versus = None
    if comparison is not None:
        skipped = ("config", "baseline", "gains", "losses")
        versus = {k: v for k, v in vars(comparison).items() if k not in skipped}
        versus["baseline"] = comparison.baseline.label
    return {
        "task": config.task,
        "checkpoint": config.checkpoint,
        "policy": config.policy,
        "label": config.label,
        "seeds": [cell.seed for cell in config.cells],
        "status": config.status,
        "expected": sum(cell.expected for cell in config.cells),
        "done": sum(cell.done for cell in config.cells),
        "errors": [cell.error for cell in config.cells if cell.error],
        "figures": None if row.figures is None else asdict(row.figures),
        "is_baseline": row.is_baseline,
        "comparison": versus,
    }
