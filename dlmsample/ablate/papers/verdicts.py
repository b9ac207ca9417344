"""Claims, judged: which cells they mean, what was measured there, and whether that bears them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.contrasts import Contrast, Measured, Sums, measure
from dlmsample.ablate.analysis.measures import sums
from dlmsample.ablate.papers.claims import Claim, Claims, Paper
from dlmsample.ablate.papers.resolve import by_identity, named
from dlmsample.ablate.spec.grid import Grid, arguments
from dlmsample.ablate.spec.marks import Marks
from dlmsample.ablate.storage.records import ExampleResult

Verdict = Literal["holds", "does not hold", "undecided", "not measured"]
VERDICTS: tuple[Verdict, ...] = ("holds", "does not hold", "undecided", "not measured")


@dataclass(frozen=True)
class Member:
    """One comparison: its configurations, the claimed one first, and what was measured."""

    configs: tuple[Config, ...]
    measured: Measured | None  #: None: a cell is not done


@dataclass(frozen=True)
class Judged:
    """A row of the ledger: a claim, with the options of the row where it has several."""

    paper: Paper
    claim: Claim
    options: dict[str, Any]
    numbers: str  #: the paper's
    members: tuple[Member, ...]
    verdict: Verdict

    @property
    def says(self) -> str:
        """The claim in one sentence, the row's options in brackets."""
        return f"{self.claim.says}{' ' if self.options else ''}{arguments(self.options)}"

    def asdict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        members = [
            {
                "cells": [config.full_label for config in member.configs],
                "measured": None if member.measured is None else asdict(member.measured),
            }
            for member in self.members
        ]
        return {
            "paper": self.paper.arxiv,
            "where": self.claim.where,
            "says": self.says,
            "numbers": self.numbers,
            "measure": self.claim.measure,
            "expect": self.claim.expect,
            "verdict": self.verdict,
            "comparisons": members,
        }


def judge(
    claims: Claims,
    marks: Marks,
    grid: Grid,
    configs: Sequence[Config],
    answers: Callable[[Config], Sequence[ExampleResult]],
) -> list[Judged]:
    """Judge every claim of a file, in its order.

    A comparison holds if its 95 % interval lies wholly where the claim says, does not hold if it lies wholly on the
    other side, and is undecided otherwise. A claim about several cells holds if every comparison does, and does not
    hold if one does not even at a level of 1 - 5 % / their number.

    Args:
        claims, marks: from :func:`dlmsample.ablate.papers.claims.read`.
        grid: the one that was run.
        configs: its configurations.
        answers: every result of a configuration, all seeds.

    Raises:
        GridError: claims of another grid, or a cell that the grid does not have.
    """
    if claims.grid != grid.name:
        raise marks.error(("grid",), f"these claims judge grid {claims.grid!r}, and the folder holds {grid.name!r}")
    found = list(_rows(claims, marks, grid, configs))
    held: dict[tuple[int, str], Sums] = {}

    def side(config: Config, name: str) -> Sums:
        if (config.number, name) not in held:
            held[config.number, name] = sums(name, answers(config))
        return held[config.number, name]

    contrasts, places = [], []
    for row, (_, claim, _, _, members) in enumerate(found):
        for at, sides in enumerate(members):
            if all(config.status == "done" for config in sides):
                measured = tuple(side(config, claim.measure) for config in sides)
                contrasts.append(Contrast(claim.measure, measured, claim.than or 0.0, len(members)))
                places.append((row, at))
    results = dict(zip(places, measure(contrasts), strict=True))
    judged = []
    for row, (paper, claim, options, numbers, members) in enumerate(found):
        whole = tuple(Member(sides, results.get((row, at))) for at, sides in enumerate(members))
        judged.append(Judged(paper, claim, options, numbers, whole, _verdict(claim, whole)))
    return judged


def _verdict(claim: Claim, members: Sequence[Member]) -> Verdict:
    done = [member.measured for member in members if member.measured is not None]
    if len(done) < len(members):
        return "not measured"
    if all(verdict(claim, found.low, found.high) == "holds" for found in done):
        return "holds"
    fails = any(verdict(claim, found.wide_low, found.wide_high) == "does not hold" for found in done)
    return "does not hold" if fails else "undecided"


def verdict(claim: Claim, low: float | None, high: float | None) -> Verdict:
    """What an interval says about a claim.

    Example:
        >>> claim = Claim.model_construct(expect="no_lower", margin=2.0)
        >>> verdict(claim, -1.5, 0.5), verdict(claim, -5.0, -2.5), verdict(claim, -3.0, 1.0)
        ('holds', 'does not hold', 'undecided')
    """
    if low is None or high is None:
        return "undecided"
    margin, infinite = claim.margin or 0.0, float("inf")
    floor, ceiling = {
        "higher": (0.0, infinite),
        "lower": (-infinite, 0.0),
        "no_lower": (-margin, infinite),
        "same": (-margin, margin),
    }[claim.expect]
    if floor < low and high < ceiling:
        return "holds"
    return "does not hold" if high < floor or low > ceiling else "undecided"


_Row = tuple[Paper, Claim, dict[str, Any], str, list[tuple[Config, ...]]]


def _rows(claims: Claims, marks: Marks, grid: Grid, configs: Sequence[Config]) -> Iterator[_Row]:
    """Every row with the configurations of its comparisons."""
    cells = by_identity(configs)
    for number, paper in enumerate(claims.papers):
        for at, claim in enumerate(paper.claims):
            place = ("papers", number, "claims", at)
            for row in claim.rows or [None]:
                options = {} if row is None else row.options
                sides = [
                    named(entry, options, (*place, *where), marks, grid, cells)
                    for where, entry in claim.entries.items()
                ]
                most = max(map(len, sides))
                if any(len(side) not in (1, most) for side in sides):
                    raise marks.error(place, "the lists of a claim's cells must name one cell or equally many")
                members = [tuple(side[min(i, len(side) - 1)] for side in sides) for i in range(most)]
                yield paper, claim, options, (claim.numbers if row is None else row.numbers) or "", members
