"""Short names: a configuration is told by the options in which it differs from the others of its policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dlmsample.ablate.analysis.configs import Config
from dlmsample.support.text import flat, scalar

_SETTINGS = ("block_length", "temperature", "max_new_tokens")


def options_of(config: Config) -> dict[str, Any]:
    """Every option and setting of a configuration, those of pieces inside a chain as ``piece.option``.

    A list is given as its text.
    """
    cell = config.cells[0]
    options = {name: str(value) if isinstance(value, (list, tuple)) else value for name, value in flat(cell.options)}
    return {**options, **{name: getattr(cell, name) for name in _SETTINGS}}


def swept(configs: Sequence[Config]) -> dict[str, dict[str, list[Any]]]:
    """Of each policy the options that take several values, with these: numbers ascending, else in the grid's order.

    An option that one of the configurations lacks counts as null there.
    """
    found: dict[str, dict[str, list[Any]]] = {}
    for rule in dict.fromkeys(config.rule for config in configs):
        given = [options_of(config) for config in configs if config.rule == rule]
        names = dict.fromkeys(name for options in given for name in options)
        values = {name: _distinct([options.get(name) for options in given]) for name in names}
        found[rule] = {name: several for name, several in values.items() if len(several) > 1}
    return found


def _distinct(values: Sequence[Any]) -> list[Any]:
    found = list({scalar(value): value for value in values}.values())
    ordered = all(isinstance(value, (int, float)) for value in found)
    return sorted(found) if ordered else found


def labels(configs: Sequence[Config]) -> dict[int, str]:
    """Number -> short name, of the configurations of one task; the checkpoint is not in it.

    Where that would give two configurations of a checkpoint the same name, both keep the whole one.
    """
    differing = swept(configs)
    names: dict[int, str] = {}
    for config in configs:
        options = options_of(config)
        shown = [f"{name.rpartition('.')[2]}={scalar(options.get(name))}" for name in differing[config.rule]]
        names[config.number] = " ".join([config.rule, *shown])
    count = Counter((config.checkpoint, names[config.number]) for config in configs)
    clashes = {config.number for config in configs if count[config.checkpoint, names[config.number]] > 1}
    return {c.number: c.policy if c.number in clashes else names[c.number] for c in configs}
