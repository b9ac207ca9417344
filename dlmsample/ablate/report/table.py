"""The table of a report as words, one row a configuration: the same in the terminal, in Markdown and in the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlmsample.ablate.analysis.figures import Figures
from dlmsample.ablate.analysis.results import ReportRow, Results
from dlmsample.ablate.storage.records import ResultSource
from dlmsample.support.text import printable

NOTHING = "–"
#: A difference that Holm's adjusted test tells from 0 at 5 %, up and down.
BETTER, WORSE = "▲", "▼"


@dataclass(frozen=True)
class TableColumn:
    """A column: its heading, what it means, and its text for a row."""

    heading: str
    meaning: str
    text: Callable[[ReportRow], str]
    words: bool = False  #: text, not a number


def _figure(heading: str, meaning: str, text: Callable[[Figures], str]) -> TableColumn:
    return TableColumn(heading, meaning, lambda row: NOTHING if row.figures is None else text(row.figures))


def percent(share: float) -> str:
    """A share in percent, without its sign.

    Example:
        >>> percent(0.7125)
        '71.2'
    """
    return f"{100 * share:.1f}"


def probability(p: float) -> str:
    """A p value to two digits.

    Example:
        >>> probability(0.0312), probability(1.0), probability(1e-9)
        ('0.031', '1', '<0.001')
    """
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def difference(row: ReportRow) -> str:
    """The difference to the baseline in points, and whether the adjusted test tells it from 0."""
    if row.is_baseline:
        return "baseline"
    if (versus := row.comparison) is None:
        return NOTHING
    mark = "" if not versus.clear else f" {BETTER if versus.difference > 0 else WORSE}"
    return f"{100 * versus.difference:+.1f}{mark}"


def _versus(heading: str, meaning: str, text: Callable[..., str]) -> TableColumn:
    return TableColumn(heading, meaning, lambda row: NOTHING if row.comparison is None else text(row.comparison))


def done(row: ReportRow) -> str:
    """Answers given, of those wanted."""
    cells = row.config.cells
    done, expected = sum(c.done for c in cells), sum(c.expected for c in cells)
    if row.config.status == "failed":
        return f"{done}/{expected} failed"
    return str(done) if done == expected else f"{done}/{expected}"


def last_mile(figures: Figures) -> str:
    """Wrong answers whose chain of thought had reached the gold result, of all wrong ones."""
    wrong = figures.answers - figures.right
    return NOTHING if figures.last_mile is None else f"{figures.last_mile} of {wrong}"


COLUMNS: tuple[TableColumn, ...] = (
    TableColumn("#", "number of the configuration, also in the pictures", lambda row: str(row.config.number)),
    TableColumn("checkpoint", "model, with +adapter or /head", lambda row: row.config.checkpoint, words=True),
    TableColumn("policy", "decoding rule and its options", lambda row: row.config.policy, words=True),
    TableColumn("seeds", "runs with different randomness", lambda row: str(len(row.config.cells))),
    TableColumn("answers", "answers given, of those wanted", done),
    _figure("accuracy %", "share of right answers", lambda f: percent(f.accuracy)),
    _figure("95 %", "Wilson interval of the accuracy", lambda f: f"{percent(f.low)} to {percent(f.high)}"),
    TableColumn("difference", f"to the baseline, in points; {BETTER} {WORSE}: Holm p below 0.05", difference),
    _versus(
        "95 % diff.",
        "paired bootstrap interval of the difference, over examples",
        lambda c: f"{100 * c.low:+.1f} to {100 * c.high:+.1f}",
    ),
    _versus("p", "exact McNemar test on the same examples", lambda c: probability(c.p)),
    _versus("p Holm", "adjusted over all comparisons of the grid", lambda c: probability(c.p_holm)),
    _versus("flips", "examples gained and lost against the baseline", lambda c: f"+{c.gained} -{c.lost}"),
    _figure("nfe", "forwards of an answer, mean", lambda f: f"{f.nfe:.1f}"),
    _figure(
        "positions",
        "forwarded for an answer, the prompt's included, mean",
        lambda f: NOTHING if f.positions is None else f"{f.positions:.0f}",
    ),
    _figure("tok/fwd", "tokens for each forward", lambda f: f"{f.tokens_per_forward:.2f}"),
    _figure("edits/100", "replaced and remasked tokens for each 100 tokens", lambda f: f"{f.edits_per_100:.2f}"),
    _figure("remasks", "tokens that became masks, mean of an answer", lambda f: f"{f.remasks:.2f}"),
    _figure("tokens", "output length, mean", lambda f: f"{f.tokens:.1f}"),
    _figure(
        "last mile", "wrong answers whose chain of thought had reached the gold result, of all wrong ones", last_mile
    ),
    _figure("forced %", "answers with masks filled as they stood", lambda f: percent(f.forced)),
    _figure("wall s", "time of all answers", lambda f: f"{f.wall_seconds:.1f}"),
)

#: Columns for a terminal, by the width they ask for.
SHORT: dict[int, tuple[TableColumn, ...]] = {
    width: tuple(column for column in COLUMNS if column.heading in headings)
    for width, headings in {
        120: {"#", "checkpoint", "policy", "answers", "accuracy %", "95 %", "difference", "p Holm", "nfe", "tok/fwd"},
        0: {"#", "checkpoint", "policy", "answers", "accuracy %", "difference", "nfe"},
    }.items()
}

#: Stands above :func:`source_lines`.
ORIGIN = "Environments that the answers come from:"


def source_lines(sources: Sequence[ResultSource]) -> list[str]:
    """The environments of a report, a line each."""
    return [f"{source.number}: {source.environment.text}: {source.answers} answers" for source in sources]


NOTES: tuple[str, ...] = (
    "Intervals are 95 %. Accuracy: Wilson's interval; with several seeds, examples are the unit and the number of "
    "trials is what the answers are worth (between the examples and the answers).",
    "Differences are taken on the examples that both sides have answered, several seeds averaged for each example. "
    "Interval: paired bootstrap over examples (percentiles). p: exact McNemar test; with several seeds, the exact "
    "sign-flip test of the examples' mean differences, which is McNemar's for one seed. Holm: over every comparison "
    "of this report. Where nothing flipped, the interval is a point: see the intervals of the accuracies.",
    "nfe counts forwards after the prompt's; tokens are those up to the end of the answer. Ratios are ratios of sums.",
    "A forward is no fixed amount of work: positions counts what all of them went over. Seconds are measured, on the "
    "machine of the run and in its batches.",
    "Results of another environment (versions, kind of device) than the last run's are shown apart, as a task with the "
    "number of their environment, unless --accept-versions counts them as the same.",
    "Last mile: found by a rule (the last step before the final answer holds the gold number), not by hand.",
)


def provenance(grid: Mapping[str, Any], about: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What results came from, as name and text; what the store does not know is left out.

    Args:
        grid: from :meth:`dlmsample.ablate.storage.store.Store.grid`.
        about: from :meth:`dlmsample.ablate.storage.store.Store.about`.

    Example:
        >>> provenance({"seeds": [0, 1]}, {"torch": "2.6.0", "device": "x86_64 CPU, 2 threads"})
        (('versions', 'torch 2.6.0'), ('device', 'x86_64 CPU, 2 threads'), ('seeds', '0, 1'))
    """
    versions = {"dlmsample": about.get("version"), **{name: about.get(name) for name in ("torch", "transformers")}}
    dtypes = dict.fromkeys(checkpoint.get("dtype") or "default" for checkpoint in grid.get("checkpoints", ()))
    known = {
        "grid file": about.get("grid_file"),
        "command": about.get("command"),
        "date": about.get("date"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "device": about.get("device"),
        "dtype": ", ".join(dtypes).replace("default", "default (float32 on a CPU, else bfloat16)"),
        "tasks": "; ".join(map(_task, grid.get("tasks", ()))),
        "seeds": ", ".join(map(str, grid.get("seeds", ()))),
    }
    return tuple((name, text) for name, text in known.items() if text)


def _task(task: Mapping[str, Any]) -> str:
    limit = "all examples" if task.get("limit") is None else f"first {task['limit']} examples"
    return f"{task['name']}, split {task.get('split') or 'as reported'}, {limit}"


def markdown(results: Results, verdicts: Mapping[str, Sequence[str]] | None = None) -> str:
    """report.md: a verdict and a table for each task, what failed, and how to read it.

    Args:
        results: of the grid.
        verdicts: task -> sentences; None: none.
    """
    parts = [f"# {escape(results.name)}"]
    if results.provenance:
        parts += ["\n".join(f"* {name}: {escape(text)}" for name, text in results.provenance)]
    if results.sources:
        parts += [escape(ORIGIN), "\n".join(f"* {escape(line)}" for line in source_lines(results.sources))]
    for task, rows in results.tasks.items():
        parts += [f"## {escape(task)}", *(escape(" ".join(said)) for said in [(verdicts or {}).get(task)] if said)]
        parts += [markdown_table([c.heading for c in COLUMNS], [_texts(row) for row in rows])]
    if results.failed:
        lines = [
            [escape(text) for text in (c.task, c.checkpoint, c.policy, str(c.seed), c.error or "")]
            for c in results.failed
        ]
        parts += ["## Failed cells", markdown_table(("task", "checkpoint", "policy", "seed", "error"), lines)]
    parts += ["## Columns", "\n".join(f"* {escape(c.heading)}: {escape(c.meaning)}." for c in COLUMNS)]
    parts += ["## Notes", "\n".join(f"* {escape(note)}" for note in NOTES)]
    return "\n\n".join(parts) + "\n"


def _texts(row: ReportRow) -> list[str]:
    return [escape(column.text(row)) for column in COLUMNS]


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the texts of ``rows`` are escaped already."""
    lines = [[escape(h) for h in headings], ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line; what does not show is written as an escape."""
    flat = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", flat)
