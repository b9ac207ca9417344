"""What the comparisons of a task say, in words: which differences are told from chance, and what others would need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlmsample.ablate.analysis.comparisons import Comparison
from dlmsample.ablate.analysis.power import LEVEL, POWER, detectable, fewest_flips, needed
from dlmsample.ablate.analysis.results import ReportRow, Results
from dlmsample.ablate.report.costs import known, on_front
from dlmsample.ablate.report.table import probability

_NAMED = 5  # differences that are told one by one
_WANTED = (0.05, 0.1)  # differences that sizes are named for


def verdicts(results: Results, names: Mapping[int, str]) -> dict[str, list[str]]:
    """Task -> sentences; a task without comparisons has none.

    The tests are those of the table: McNemar's exact one for one seed, the exact sign-flip test of the examples' means
    for several, adjusted by Holm over every comparison of the report. Sizes are
    :func:`dlmsample.ablate.analysis.power.needed`, at the share of examples that flipped in these results.

    Args:
        results: of the grid.
        names: number of a configuration -> its short name.
    """
    family = sum(row.comparison is not None for row in results.rows)
    return {task: _task(rows, family, names) for task, rows in results.tasks.items()}


def _task(rows: Sequence[ReportRow], family: int, names: Mapping[int, str]) -> list[str]:
    compared = [row.comparison for row in rows if row.comparison is not None]
    if not compared:
        return []
    several = len({row.config.checkpoint for row in rows}) > 1

    def told(versus: Comparison, baseline: bool = False) -> str:
        config = versus.baseline if baseline else versus.config
        checkpoint = f"{config.checkpoint} " if several else ""
        return f"#{config.number} {checkpoint}{names[config.number]}"

    clear = sorted((c for c in compared if c.clear), key=lambda c: -abs(c.difference))
    examples = max(c.examples for c in compared)
    test = "exact sign-flip test of the examples' means" if _seeds(rows) > 1 else "exact McNemar test"
    adjusted = f" with Holm's adjustment over {family} comparisons" if family > 1 else ""
    how = f"{test}{adjusted} at the {100 * LEVEL:g} % level"
    said: list[str] = []
    if clear:
        base = told(compared[0], baseline=True)
        said.append(f"Told apart from the baseline {base} ({how}): {len(clear)} of {len(compared)}.")
        said += [f"{told(c)} is {_difference(c)}." for c in clear[:_NAMED]]
        if len(clear) > _NAMED:
            said.append(f"{len(clear) - _NAMED} more are marked in the table.")
        if len(clear) < len(compared):
            said.append("The others are not told apart from it, which does not show that they are equal to it.")
    elif examples < (least := fewest_flips(family)):
        said.append(
            f"At n = {examples} nothing can be told: the {how} asks for at least {least} examples that all flip the "
            f"same way, and there are {examples}."
        )
    else:
        best = min(compared, key=lambda c: (c.p_holm, c.p))
        said.append(
            f"At n = {examples} none of {len(compared)} differences is told from chance ({how}); the nearest is "
            f"{told(best)}: {_difference(best)}. That does not show that they are equal."
        )
    return [*said, *_advice(compared, examples, family), *_fronts(rows)]


def _difference(versus: Comparison) -> str:
    way = "better" if versus.difference > 0 else "worse" if versus.difference < 0 else "neither better nor worse"
    by = f" by {100 * abs(versus.difference):.1f} points" if versus.difference else ""
    low, high = 100 * versus.low, 100 * versus.high
    return f"{way}{by} (95 % interval {low:+.1f} to {high:+.1f}, p {_p(versus.p_holm)} after Holm)"


def _p(value: float) -> str:
    text = probability(value)
    return text if text.startswith("<") else f"= {text}"


def _advice(compared: Sequence[Comparison], examples: int, family: int) -> list[str]:
    """What this many examples can show, and how many would show more."""
    spread = sum(c.spread for c in compared) / len(compared)
    sizes = {wanted: needed(wanted, spread, family) for wanted in _WANTED}
    seen = f"if as many answers change between two policies as here ({100 * spread:.0f} % on average)"
    flipped = seen if spread else "if no more answers change than that difference needs (here none did)"
    lacking = {wanted: size for wanted, size in sizes.items() if size > examples}
    parts = [f"{size:,} problems would show {100 * wanted:.0f} points" for wanted, size in lacking.items()]
    said = (
        [f"{', '.join(parts)} (power {100 * POWER:.0f} %, the same test and adjustment), {flipped}."] if parts else []
    )
    if (smallest := detectable(examples, spread, family)) is not None:
        return [
            f"With n = {examples} a difference of {100 * smallest:.0f} points or more would mostly be found.",
            *said,
        ]
    return said


def _fronts(rows: Sequence[ReportRow]) -> list[str]:
    """Who is on the fronts; by accuracies as they were measured, which the intervals do not decide."""
    parts = [
        f"over {cost.name} {', '.join(f'#{number}' for number in sorted(on_front(rows, cost)))}" for cost in known(rows)
    ]
    return [f"On the front of accuracy as measured: {'; '.join(parts)}."] if parts else []


def _seeds(rows: Sequence[ReportRow]) -> int:
    return max(len(row.config.cells) for row in rows)
