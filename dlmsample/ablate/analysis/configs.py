"""Configurations: a configuration is the cells that differ in nothing but the seed. Their labels and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dlmsample.ablate.storage.records import CellInfo
from dlmsample.support.registry import unknown
from dlmsample.support.text import scalar


@dataclass(frozen=True)
class Config:
    """One configuration of the grid, with its cells: one for each seed."""

    number: int  #: from 1, in the report's order
    task: str  #: its label; with the environment's number where results of another environment are shown apart
    checkpoint: str
    policy: str  #: the rule with its options, in one line
    cells: tuple[CellInfo, ...]

    @property
    def rule(self) -> str:
        """The registered name of the policy."""
        return self.cells[0].policy_name

    @property
    def label(self) -> str:
        """What ``--baseline`` takes: it names the configuration on every task that has it."""
        return f"{self.checkpoint} {self.policy}"

    @property
    def full_label(self) -> str:
        """The label on this task alone."""
        return f"{self.task}: {self.label}"

    @property
    def status(self) -> str:
        """``failed`` if a cell failed, else ``pending`` if one is not done, else ``done``."""
        found = {cell.status for cell in self.cells}
        return next((status for status in ("failed", "pending") if status in found), "done")


_SETTINGS = ("block_length", "temperature", "max_new_tokens")
_Place = tuple[str, str, str]


def group(cells: Sequence[CellInfo]) -> list[Config]:
    """Group cells into configurations, ordered by task and then as the grid has them.

    Block length, temperature and new tokens are named after the policy only where they tell two cells apart.

    What another environment has computed of a task is a task of its own, like "wordproblems (environment 2)": it has
    its own baseline and tables, and is compared to nothing of the present environment.
    """
    cells = [replace(cell, task=_section(cell)) for cell in cells]
    seen: dict[_Place, set[tuple[object, ...]]] = {}
    for cell in cells:
        seen.setdefault((cell.task, cell.checkpoint, cell.policy), set()).add(_settings(cell))
    apart = [list(zip(*values, strict=True)) for values in seen.values() if len(values) > 1]
    named = [name for at, name in enumerate(_SETTINGS) if any(len(set(columns[at])) > 1 for columns in apart)]
    tasks = {task: rank for rank, task in enumerate(dict.fromkeys(cell.task for cell in cells))}
    found: dict[_Place, list[CellInfo]] = {}
    for cell in sorted(cells, key=lambda cell: tasks[cell.task]):
        policy = " ".join([cell.policy, *(f"{name}={scalar(getattr(cell, name))}" for name in named)])
        found.setdefault((cell.task, cell.checkpoint, policy), []).append(cell)
    return [Config(number, *place, tuple(members)) for number, (place, members) in enumerate(found.items(), 1)]


def _section(cell: CellInfo) -> str:
    return cell.task if cell.environment is None else f"{cell.task} (environment {cell.environment})"


def _settings(cell: CellInfo) -> tuple[object, ...]:
    return tuple(getattr(cell, name) for name in _SETTINGS)


def baselines(configs: Sequence[Config], forwards: Mapping[int, float], wanted: str | None) -> dict[str, Config]:
    """The configuration that the others of a task are compared to.

    Rule: the one that ``wanted`` names, by its label (on every task that has it) or its label with the task (there
    alone). Otherwise, on the first checkpoint of the task that has an ``unmask`` with results, the ``unmask`` of most
    forwards: plain decoding at its most careful. Without one: the first configuration with results.

    Args:
        forwards: number of a configuration -> mean forwards of an answer; only those with results.

    Returns:
        Task -> configuration; a task without results is left out.

    Raises: ValueError: no configuration has that label.
    """
    chosen: dict[str, Config] = {}
    for config in (c for c in configs if c.number in forwards):
        held = chosen.get(config.task)
        if held is None or _plainer(config, held, forwards):
            chosen[config.task] = config
    if wanted is None:
        return chosen
    named = {c.task: c for c in configs if wanted in (c.label, c.full_label)}
    if not named:
        full = any(wanted.startswith(f"{c.task}:") for c in configs)
        raise unknown("baseline", wanted, {c.full_label if full else c.label for c in configs})
    return chosen | named


def _plainer(config: Config, held: Config, forwards: Mapping[int, float]) -> bool:
    if config.rule != "unmask" or held.rule != "unmask":
        return config.rule == "unmask"
    return config.checkpoint == held.checkpoint and forwards[config.number] > forwards[held.number]
