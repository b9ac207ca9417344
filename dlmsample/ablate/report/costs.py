"""What an answer costs: positions forwarded, seconds, forwards; and the front of accuracy over each of them.

A forward is no fixed amount of work: one over a whole canvas of 160 positions costs about five of a block of 32. Over
forwards alone, a policy that decodes the canvas as one block looks cheaper than it is. The positions that all forwards
went over are what these have in common; seconds are what was measured, on the machine of the run and in its batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dlmsample.ablate.analysis.figures import Figures
from dlmsample.ablate.analysis.results import ReportRow


class Cost(NamedTuple):
    """A cost of an answer, mean over the answers."""

    name: str  #: in the table and the page's choice
    axis: str
    of: Callable[[Figures], float | None]


#: The truest first.
COSTS: tuple[Cost, ...] = (
    Cost("positions", "positions forwarded for an answer", lambda f: f.positions),
    Cost("seconds", "seconds for an answer, its share of its batch", lambda f: f.wall_seconds / f.answers or None),
    Cost("forwards", "forwards for an answer (nfe), wide and narrow ones alike", lambda f: f.nfe),
)


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points (cost, accuracy) no other beats: as cheap and as accurate, and better in one.

    Example:
        >>> front([(10, 0.5), (20, 0.5), (20, 0.7), (5, 0.1)])
        [True, False, True, True]
    """
    return [not any(x <= a and y >= b and (x, y) != (a, b) for x, y in points) for a, b in points]


def known(rows: Sequence[ReportRow]) -> list[Cost]:
    """The costs that are known of every configuration with results; none where there are no results."""
    given = [row.figures for row in rows if row.figures is not None]
    return [cost for cost in COSTS if given and all(cost.of(figures) is not None for figures in given)]


def on_front(rows: Sequence[ReportRow], cost: Cost) -> set[int]:
    """Numbers of the configurations on the front over a cost."""
    given = [(row, row.figures) for row in rows if row.figures is not None]
    best = front([(cost.of(figures) or 0.0, figures.accuracy) for _, figures in given])
    return {row.config.number for (row, _), good in zip(given, best, strict=True) if good}


def fronts(rows: Sequence[ReportRow]) -> dict[int, str]:
    """Number -> the costs over which the configuration is on the front, in words; "all" where that is every one."""
    found = {cost.name: on_front(rows, cost) for cost in known(rows)}
    words: dict[int, str] = {}
    for number in sorted(set().union(*found.values())):
        over = [name for name, members in found.items() if number in members]
        words[number] = "all" if len(over) == len(found) else ", ".join(over)
    return words
