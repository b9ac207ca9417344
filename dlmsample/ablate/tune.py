"""Which policy, with which options, within a budget of forwards: tried on some examples, checked on others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.figures import MeasuredConfig
from dlmsample.ablate.analysis.results import Results
from dlmsample.ablate.analysis.stats import paired_bootstrap, wilson
from dlmsample.ablate.run import Summary, run
from dlmsample.ablate.spec.grid import Grid, PolicyEntry

BASELINE = "unmask"
"""What a winner is compared with."""


@dataclass(frozen=True)
class RightShare:
    """Right answers of some examples, in per cent, with Wilson's interval of 95 %."""

    examples: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Tuned:
    """A policy's best setting within a budget."""

    budget: float  #: forwards an answer, at most, in the mean of the examples that it was chosen on
    policy: str  #: its registered name
    label: str  #: with the options that differ from its defaults
    options: dict[str, Any]
    block_length: int | str | None
    forwards: float  #: an answer, on the examples that it was chosen on
    tried: RightShare  #: on the examples that it was chosen on: flattered by the choice
    checked: RightShare | None  #: on others
    over_baseline: tuple[float, float, float] | None
    """Points over Unmask tuned for the same budget, on the checked examples: difference, 95 % interval."""
    best: bool  #: of all policies within this budget
    close: tuple[str, ...] = ()
    """Of the best one: the policies that the checked examples cannot tell from it, or show to be better."""


@dataclass(frozen=True)
class Tuning:
    """What came out, and how the runs ended."""

    rows: tuple[Tuned, ...]
    trials: Summary
    check: Summary | None
    missing: tuple[float, ...]  #: budgets that no setting kept


def tune(
    grid: Grid,
    out: str | Path,
    budgets: Sequence[float],
    check: int = 0,
    **options: Any,
) -> Tuning:
    """Try every setting of a grid's policies and choose, for each budget and policy, the most accurate within it.

    The grid has one task, whose ``limit`` says how many examples are tried, one checkpoint and one seed. A setting is
    within a budget if its answers take no more forwards in the mean. Of equally accurate ones that with fewer forwards
    is taken. What is chosen of many looks better than it is, so the chosen ones are asked ``check`` further examples,
    those that follow in the same split; there the winner is compared with the others, above all with Unmask, tuned for
    the same budget.

    Args:
        grid: the settings to try.
        out: a folder; the trials are stored in ``trials``, the checks in ``check``, each with a report. The same call
            goes on where one was interrupted.
        budgets: forwards an answer.
        check: how many further examples; 0: none.
        options: of :func:`dlmsample.ablate.run.run`, such as ``device`` and ``progress``.

    Returns:
        The chosen settings: for each budget, a policy each.

    Raises:
        ValueError: no budget, a grid with more than one task, checkpoint or seed, or without a limit; and as
            :func:`~dlmsample.ablate.run.run`.

    Example:
        >>> import tempfile
        >>> from dlmsample.ablate.spec.grid import parse
        >>> grid = parse("{name: g, tasks: [{name: wordproblems.short, split: test, limit: 2}], checkpoints: "
        ...              "[{model: nano}], policies: [{policy: unmask, tokens_per_step: [1, 8]}], max_new_tokens: 32}")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = tune(grid, folder, budgets=[8, 40])
        >>> [(row.budget, row.options["tokens_per_step"]) for row in found.rows]
        [(8, 8), (40, 1)]
    """
    limit = _checked(grid, budgets, check)
    folder = Path(out).expanduser()
    trials = run(grid, folder / "trials", **options)
    chosen = _chosen(trials.results, budgets)
    kept = {budget for budget, _ in chosen}
    missing = tuple(budget for budget in budgets if budget not in kept)
    checked, found = None, dict[_Setting, MeasuredConfig]()
    if check and chosen:
        entries = [_entry(measured) for measured in {id(m): m for m in chosen.values()}.values()]
        again = grid.model_copy(update={"policies": entries}).resized(limit + check)
        checked = run(again, folder / "check", **options)
        found = {_setting(measured): measured for measured in _measured(checked.results)}
    rows = [_row(budget, measured, chosen, found, limit) for (budget, _), measured in chosen.items()]
    return Tuning(tuple(rows), trials, checked, missing)


def _checked(grid: Grid, budgets: Sequence[float], check: int) -> int:
    """The number of examples that are tried."""
    for name, count in (("task", len(grid.tasks)), ("checkpoint", len(grid.checkpoints)), ("seed", len(grid.seeds))):
        if count != 1:
            raise ValueError(f"a policy is tuned for one {name} at a time, the grid has {count}: keep one")
    limit = grid.tasks[0].limit
    if limit is None:
        raise ValueError("say how many examples are tried: the task's limit")
    if not budgets or min(budgets) <= 0:
        raise ValueError("give a budget of more than 0 forwards an answer")
    if check < 0:
        raise ValueError(f"check must be 0 or more examples (got {check})")
    return limit


def _measured(results: Results | None) -> list[MeasuredConfig]:
    return [row.measured for row in (results.rows if results else ()) if row.measured is not None]


def _chosen(results: Results | None, budgets: Sequence[float]) -> dict[tuple[float, str], MeasuredConfig]:
    """(budget, policy) -> the best setting, the budgets in their order."""
    found = dict[tuple[float, str], MeasuredConfig]()
    for budget in budgets:
        for measured in _measured(results):
            if measured.figures.nfe <= budget:
                place = budget, measured.config.rule
                if place not in found or _worth(measured) > _worth(found[place]):
                    found[place] = measured
    return found


def _worth(measured: MeasuredConfig) -> tuple[float, float]:
    return measured.figures.accuracy, -measured.figures.nfe


def _entry(measured: MeasuredConfig) -> PolicyEntry:
    """The setting as an entry of a grid."""
    cell = measured.config.cells[0]
    given = {**cell.options, "block_length": cell.block_length}
    one = {name: [value] if isinstance(value, list) else value for name, value in given.items()}  # lists expand
    return PolicyEntry.model_validate({"policy": cell.policy_name, **one})


_Setting = tuple[str, str]


class _Others(NamedTuple):
    """Examples that a setting was not chosen on, and which of them it answers right, as 0 and 1."""

    places: NDArray[np.int64]
    right: NDArray[np.int64]


def _setting(measured: MeasuredConfig) -> _Setting:
    """What a setting is known by in another run, where its label may name other options."""
    cell = measured.config.cells[0]
    return cell.policy_name, json.dumps([cell.options, cell.block_length], sort_keys=True)


def _row(
    budget: float,
    measured: MeasuredConfig,
    chosen: dict[tuple[float, str], MeasuredConfig],
    found: dict[_Setting, MeasuredConfig],
    limit: int,
) -> Tuned:
    cell, figures = measured.config.cells[0], measured.figures
    rivals = [other for (other_budget, _), other in chosen.items() if other_budget == budget]
    own, best = _others(found, measured, limit), measured is max(rivals, key=_worth)
    names = {other.config.cells[0].policy_name: other for other in rivals if other is not measured}
    wanted = names if best else names.keys() & {BASELINE}  # of the others, only what they are over Unmask is told
    over = {name: _over(own, _others(found, other, limit)) for name, other in names.items() if name in wanted}
    return Tuned(
        budget,
        cell.policy_name,
        measured.config.policy,
        dict(cell.options),
        cell.block_length,
        figures.nfe,
        RightShare(figures.examples, 100 * figures.accuracy, 100 * figures.low, 100 * figures.high),
        None if own is None else _share(own.right),
        over.get(BASELINE),
        best,
        tuple(name for name, points in over.items() if best and points is not None and points[1] <= 0),
    )


def _over(own: _Others | None, other: _Others | None) -> tuple[float, float, float] | None:
    """Points of one setting over another: difference, 95 % interval; None: no example was answered by both."""
    if own is None or other is None:
        return None
    both, first, second = np.intersect1d(own.places, other.places, return_indices=True)
    if not len(both):  # where a run failed, some have no answer
        return None
    difference = own.right[first] - other.right[second]
    low, high = (float(bound[0]) for bound in paired_bootstrap(difference[:, None]))
    return 100 * float(difference.mean()), 100 * low, 100 * high


def _others(found: dict[_Setting, MeasuredConfig], measured: MeasuredConfig, limit: int) -> _Others | None:
    """What a setting made of the examples that it was not chosen on; None: there are none."""
    again = found.get(_setting(measured))
    if again is None:
        return None
    fresh = again.index >= limit
    return _Others(again.index[fresh], again.right[fresh]) if fresh.any() else None


def _share(right: NDArray[np.int64]) -> RightShare:
    share = float(np.mean(right))
    low, high = wilson(share, len(right))
    return RightShare(len(right), 100 * share, 100 * low, 100 * high)
