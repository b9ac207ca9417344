"""From what a claims file names to the configurations of a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.papers.claims import CellEntry
from dlmsample.ablate.spec.grid import Grid, Settings, arguments
from dlmsample.ablate.spec.marks import Marks, Place
from dlmsample.support.registry import policy_class, unknown


def named(
    entry: CellEntry, more: dict[str, Any], place: Place, marks: Marks, grid: Grid, cells: dict[str, Config]
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
    found, fields = [], [*cls.model_fields, *Settings.model_fields]
    for given in entry.variants(more):
        for option in given:
            if option not in fields:
                raise marks.error((*place, option), str(unknown(f"option of policy {entry.policy}", option, fields)))
        own = {key: value for key, value in given.items() if key in Settings.model_fields}
        options = {key: value for key, value in given.items() if key not in Settings.model_fields}
        try:
            settings = Settings(**{**grid.settings.model_dump(), **own})
            wanted = {"options": cls(**options).model_dump(mode="json"), **settings.model_dump(mode="json")}
        except ValidationError as error:
            raise marks.error(place, f"{entry.policy}: {' '.join(str(error.errors()[0]['msg']).split())}") from None
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
    return {"options": cell.options, **{name: getattr(cell, name) for name in Settings.model_fields}}


def by_identity(configs: Sequence[Config]) -> dict[str, Config]:
    """Configurations by all that decides them: options in use, whatever their label writes out."""
    return {_identity(c.task, c.checkpoint, c.rule, _meant(c)): c for c in configs}


def _identity(task: str, checkpoint: str, policy: str, meant: dict[str, Any]) -> str:
    return json.dumps([task, checkpoint, policy, meant], sort_keys=True)
