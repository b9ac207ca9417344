"""PAPERS.md, the ledger: what papers say, what a grid measured, and whether the claim holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlmsample.ablate.analysis.configs import group
from dlmsample.ablate.analysis.contrasts import MEASURES, MeasuredContrast
from dlmsample.ablate.papers import claims as claim_files
from dlmsample.ablate.papers.verdicts import VERDICTS, ClaimVerdict, Judged, Member, judge, verdict
from dlmsample.ablate.report.table import NOTHING, escape, markdown_table, probability, source_lines
from dlmsample.ablate.spec.grid import Grid
from dlmsample.ablate.storage.records import ResultSource
from dlmsample.ablate.storage.store import Store
from dlmsample.support.files import atomic_write

NAME = "PAPERS.md"
_HEADINGS = ("where", "the paper says", "the paper", "measured", "difference [95 %]", "verdict", "cells")
INTRODUCTION = (
    "Each row sets a sentence of a paper beside what was measured here, on other problems and with another model than "
    "the paper's. A verdict says what these cells show, and is no judgement of the paper."
)
NOTES = (
    "The difference is the first cell's figure minus the second cell's, over the same problems. Shares are in "
    "percent, and their differences in percentage points. The brackets hold the 95 % interval of the difference, "
    "from a paired bootstrap over the problems (10,000 draws, percentiles). It is not corrected for the number of "
    "rows.",
    "**holds**: the whole interval lies where the paper says. **does not hold**: the whole interval lies on the "
    "other side. **undecided**: it reaches to both sides, because it contains 0 or the margin that the row names.",
    "p is that of an exact McNemar test of two accuracies, and is not corrected either. Where only a few problems "
    "change their outcome, the interval comes out narrower than it should be; p then tells how weak the evidence "
    "is.",
    "Some rows compare several cells. Such a row holds if the claim holds in each of them, and it does not hold if "
    "one of them contradicts the claim even at a level of 5 % divided by their number. Shown are the lowest and the "
    "highest difference.",
    "A row with four cells compares two differences: that of the first two cells minus that of the last two cells.",
    "[lost] stands for a number that the paper prints and that cannot be read in our copy.",
)


def write(
    folder: Path, claims: str | Path, path: Path | None = None, command: str = "", accept_versions: bool = False
) -> tuple[list[Judged], Path]:
    """Judge the claims of a file by the results of a folder, and write the ledger.

    The file is a function of the results, the claims and the commands: no date, no duration.

    Args:
        folder: that of ``dlmsample ablate --out``.
        claims: see :mod:`dlmsample.ablate.papers.claims`.
        path: what to write; None: PAPERS.md in the folder.
        command: that makes this file, as it is to be shown.
        accept_versions: judge by the results of every environment, not by those of the last run's alone.

    Returns:
        The rows, and the file.

    Raises: ValueError: no store there, claims of another grid or of a cell it does not have, or a file that cannot
        be written.
    """
    read, marks = claim_files.read(claims)
    with Store(folder, accept_versions) as store:
        if not (held := store.grid()):
            raise ValueError(f"{folder} holds no results yet: run dlmsample ablate GRID.yaml --out {folder} first")
        grid, configs = Grid.model_validate(held), group(store.cells())
        judged = judge(read, marks, grid, configs, lambda c: [r for cell in c.cells for r in store.examples(cell.key)])
        about, sources = store.about(), store.sources() if accept_versions else []
    target = folder / NAME if path is None else path
    with atomic_write(target) as file:
        file.write(markdown(judged, grid, about, command, sources))
    return judged, target


def counts(judged: Sequence[Judged]) -> str:
    """How many rows have which verdict.

    Example:
        >>> counts([])
        '0 claims: holds 0, does not hold 0, undecided 0'
    """
    claims = f"{len(judged)} claim{'' if len(judged) == 1 else 's'}"
    return f"{claims}: {_tally([row.verdict for row in judged])}"


def _tally(verdicts: Sequence[ClaimVerdict]) -> str:
    found = Counter(verdicts)
    return ", ".join(f"{name} {found[name]}" for name in VERDICTS if found[name] or name != "not measured")


def markdown(
    judged: Sequence[Judged],
    grid: Grid,
    about: Mapping[str, Any],
    command: str = "",
    sources: Sequence[ResultSource] = (),
) -> str:
    """The ledger: a table for each paper.

    Args:
        judged: from :func:`dlmsample.ablate.papers.verdicts.judge`.
        grid: whose results they are.
        about: where it ran, from :meth:`dlmsample.ablate.storage.store.Store.about`.
        command: that makes this file.
        sources: where results of several environments count, these environments.
    """
    papers = list({id(row.paper): row.paper for row in judged}.values())
    parts = [
        "# Papers and what nano makes of them" if _on_nano(grid) else f"# Papers and grid {escape(grid.name)}",
        f"{counts(judged)}.",
        INTRODUCTION,
        "\n".join(_provenance(judged, grid, about, sources)),
        "The first of these commands measures every row. The second one judges the rows and writes this file:",
        "```sh\n" + "\n".join(filter(None, (about.get("command"), command))) + "\n```",
        "\n".join(f"* {note}" for note in NOTES),
    ]
    for paper in papers:
        rows = [row for row in judged if row.paper is paper]
        parts += [
            f"## {escape(paper.title)} ([arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}))",
            f"{counts(rows)}. The paper's model: {escape(paper.model)}."
            + ("" if paper.setting is None else f" {escape(paper.setting)}"),
            markdown_table(_HEADINGS, [_row(row) for row in rows]),
        ]
        if paper.left_out:
            lines = "\n".join(f"* {escape(left.what)}: {escape(left.why)}" for left in paper.left_out)
            parts.append(f"What the paper also measures, and why it has no row here:\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def _on_nano(grid: Grid) -> bool:
    return {checkpoint.model for checkpoint in grid.checkpoints} == {"nano"}


def _provenance(
    judged: Sequence[Judged], grid: Grid, about: Mapping[str, Any], sources: Sequence[ResultSource]
) -> list[str]:
    tasks = ", ".join(f"{task.label}, split {task.split or 'as reported'}" for task in grid.tasks)
    examples = {m.measured.examples for row in judged for m in row.members if m.measured is not None}
    problems = "no problems yet" if not examples else f"{_span(examples)} problems a cell"
    seeds = ", ".join(map(str, grid.seeds))
    dtypes = ", ".join(dict.fromkeys(checkpoint.dtype or "default" for checkpoint in grid.checkpoints))
    lines = [
        f"grid {grid.name}: {tasks}; {problems}; {grid.max_new_tokens} new tokens; seed {seeds}",
        f"device: {about.get('device', 'not recorded')}; dtype {dtypes}",
        f"dlmsample {about.get('version', '?')}, torch {about.get('torch', '?')}, "
        f"transformers {about.get('transformers', '?')}",
        *(f"environment {line}" for line in source_lines(sources)),
    ]
    return [f"* {escape(line)}" for line in lines]


def _span(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _row(row: Judged) -> list[str]:
    claim = row.claim
    margin = "" if claim.margin is None else f" (margin {claim.margin:g})"
    model = "" if claim.model is None else f"{claim.model}: "
    measured = [m for m in row.members if m.measured is not None]
    texts = [claim.where, row.says + margin, model + row.numbers, _values(row, measured), _difference(row, measured)]
    return [*map(escape, texts), f"**{row.verdict}**" if row.verdict != "not measured" else row.verdict, _cells(row)]


def _values(row: Judged, measured: Sequence[Member]) -> str:
    heading = MEASURES[row.claim.measure].heading
    if not measured:
        return f"{heading}: {NOTHING}"
    if len(measured) == 1:
        values = [_number(value) for value in _of(measured[0]).values]
        against = " against ".join(values[:2])
        if row.claim.than is not None:
            against = f"{values[0]} against {row.claim.than:g}"
        beyond = f"; {' against '.join(values[2:])}" if len(values) > 2 else ""
        return f"{heading}: {against}{beyond}"
    sides = [[v for m in measured if (v := _of(m).values[at]) is not None] for at in range(len(measured[0].configs))]
    spans = [NOTHING if not side else _span_of(side) for side in sides]
    return f"{heading}: {' against '.join(spans)}"


def _difference(row: Judged, measured: Sequence[Member]) -> str:
    found = [_of(member) for member in measured]
    whole = [m for m in found if m.difference is not None and m.low is not None and m.high is not None]
    if not whole:
        return NOTHING
    if len(found) == 1:
        return _interval(whole[0])
    ordered = sorted(whole, key=lambda m: m.difference or 0.0)
    tally = _tally([verdict(row.claim, m.low, m.high) for m in found])
    return f"{_interval(ordered[0])} to {_interval(ordered[-1])}; one by one: {tally}"


def _interval(found: MeasuredContrast) -> str:
    said = f"{found.difference:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"
    return said if found.p is None else f"{said}, p {probability(found.p)}"


def _of(member: Member) -> MeasuredContrast:
    assert member.measured is not None
    return member.measured


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _span_of(values: Sequence[float]) -> str:
    low, high = _number(min(values)), _number(max(values))
    return low if low == high else f"{low} to {high}"


def _cells(row: Judged) -> str:
    """Labels as the report has them; of several comparisons the first and how many more there are."""
    first = row.members[0].configs
    labels = [f"`{config.label}`" for config in first]
    more = f" and {len(row.members) - 1} more" if len(row.members) > 1 else ""
    text = " against ".join(labels[:2])
    beyond = f"; {' against '.join(labels[2:])}" if len(labels) > 2 else ""
    return f"{text}{beyond}{more}".replace("|", "\\|")
