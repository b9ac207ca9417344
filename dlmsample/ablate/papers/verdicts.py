"""Judge claims: find the cells that a claim names, measure their difference, and say whether the claim holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import ValidationError

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.contrasts import Contrast, MeasuredContrast, Sums, measure_contrasts, sums
from dlmsample.ablate.papers.claims import CellEntry, Claim, Claims, Paper
from dlmsample.ablate.spec.cells import check_lists
from dlmsample.ablate.spec.grid import CellSettings, Grid, arguments
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.policies.registry import policy_class
from dlmsample.support.registry import unknown
from dlmsample.support.validated import sentence
from dlmsample.support.yamlfile import KeyPath, Marks

ClaimVerdict = Literal["holds", "does not hold", "undecided", "not measured"]
VERDICTS: tuple[ClaimVerdict, ...] = ("holds", "does not hold", "undecided", "not measured")


@dataclass(frozen=True)
class Member:
    """One comparison: its configurations, the claimed one first, and what was measured."""

    configs: tuple[Config, ...]
    measured: MeasuredContrast | None  #: None: a cell is not done


@dataclass(frozen=True)
class Judged:
    """A row of the ledger: a claim, with the options of the row where it has several."""

    paper: Paper
    claim: Claim
    options: dict[str, Any]
    numbers: str  #: the paper's
    members: tuple[Member, ...]
    verdict: ClaimVerdict

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
    results = dict(zip(places, measure_contrasts(contrasts), strict=True))
    judged = []
    for row, (paper, claim, options, numbers, members) in enumerate(found):
        whole = tuple(Member(sides, results.get((row, at))) for at, sides in enumerate(members))
        judged.append(Judged(paper, claim, options, numbers, whole, _verdict(claim, whole)))
    return judged


def _verdict(claim: Claim, members: Sequence[Member]) -> ClaimVerdict:
    done = [member.measured for member in members if member.measured is not None]
    if len(done) < len(members):
        return "not measured"
    if all(verdict(claim, found.low, found.high) == "holds" for found in done):
        return "holds"
    fails = any(verdict(claim, found.wide_low, found.wide_high) == "does not hold" for found in done)
    return "does not hold" if fails else "undecided"


def verdict(claim: Claim, low: float | None, high: float | None) -> ClaimVerdict:
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


def named(
    entry: CellEntry, more: dict[str, Any], place: KeyPath, marks: Marks, grid: Grid, cells: dict[str, Config]
) -> list[Config]:
    """The configurations that an entry names; lists give several, in their order.

    Args:
        entry: of a claim.
        more: options of the claim's row.
        place: of the entry in its file, for messages.
        cells: from :func:`by_identity`.

    Raises:
        GridError: a wrong label, policy or option, or a cell that the grid does not have.
    """
    labels = [task.label for task in grid.tasks]
    if entry.task is None and len(labels) > 1:
        raise marks.error(place, f"the grid has several tasks: add task: {labels[0]!r}, or another of {labels}")
    if entry.task is not None and entry.task not in labels:
        raise marks.error((*place, "task"), str(unknown("task label", entry.task, labels)))
    known = [checkpoint.label for checkpoint in grid.checkpoints]
    if entry.checkpoint not in known:
        raise marks.error((*place, "checkpoint"), str(unknown("checkpoint label", entry.checkpoint, known)))
    try:
        cls = policy_class(entry.policy)
    except ValueError as error:
        raise marks.error((*place, "policy"), str(error)) from None
    check_lists({**(entry.model_extra or {}), **more}, marks, place)
    found, fields = [], [*cls.model_fields, *CellSettings.model_fields]
    for given in entry.variants(more):
        for option in given:
            if option not in fields:
                raise marks.error((*place, option), str(unknown(f"option of policy {entry.policy}", option, fields)))
        own = {key: value for key, value in given.items() if key in CellSettings.model_fields}
        options = {key: value for key, value in given.items() if key not in CellSettings.model_fields}
        try:
            settings = CellSettings(**{**grid.settings.model_dump(), **own})
            wanted = {"options": cls(**options).model_dump(mode="json"), **settings.model_dump(mode="json")}
        except ValidationError as error:
            raise marks.error(place, f"{entry.policy}: {sentence(error.errors()[0])}") from None
        config = cells.get(_identity(entry.task or labels[0], entry.checkpoint, entry.policy, wanted))
        if config is None:
            label = f"{entry.checkpoint} {entry.policy}{arguments(given)}"
            near = get_close_matches(label, {c.label for c in cells.values()}, n=1, cutoff=0.0)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise marks.error(place, f"grid {grid.name} has no cell {label!r}{hint}: correct it, or add it to the grid")
        found.append(config)
    return found


def _meant(config: Config) -> dict[str, Any]:
    cell = config.cells[0]
    return {"options": cell.options, **{name: getattr(cell, name) for name in CellSettings.model_fields}}


def by_identity(configs: Sequence[Config]) -> dict[str, Config]:
    """Configurations by what they do: a label that writes out a default finds the same one as a label that does not."""
    return {_identity(c.task, c.checkpoint, c.rule, _meant(c)): c for c in configs}


def _identity(task: str, checkpoint: str, policy: str, meant: dict[str, Any]) -> str:
    return json.dumps([task, checkpoint, policy, meant], sort_keys=True)
