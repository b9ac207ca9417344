"""``dlmsample policies | models | tasks``: tables of what there is. Only ``policies`` imports torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from dlmsample.cli.screen import console
from dlmsample.cli.text import one_line, visible


def policies() -> list[dict[str, Any]]:
    """Every policy with its options and defaults."""
    from dlmsample.registry import list_policies

    return [_policy(name) for name in list_policies()]


def _policy(name: str) -> dict[str, Any]:
    from dlmsample.registry import policy_class

    try:
        cls = policy_class(name)
    except Exception as e:  # somebody else's package must not break the list
        summary = f"cannot be imported: {one_line(str(e))}"
        return {"name": name, "summary": summary, "options": {}, "paper": ""}
    options = {
        option: "(required)" if field.is_required() else field.get_default(call_default_factory=True)
        for option, field in cls.model_fields.items()
    }
    return {
        "name": name,
        "summary": getattr(cls, "summary", ""),
        "options": options,
        "paper": getattr(cls, "paper", ""),
    }


def models() -> list[dict[str, Any]]:
    """Every embedded model with its adapters and heads."""
    from dlmsample.models.embedded import describe

    return describe()


def under_their_model(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Models as the rows of a table: each adapter and head gets a row of its own, named as it is asked for."""
    table = []
    for row in rows:
        plain = {key: value for key, value in row.items() if key not in ("adapters", "heads")}
        table.append(plain)
        for option in ("adapter", "head"):
            for part in row[option + "s"]:
                said = {"name": f"  --{option} {part['name']}", "summary": part["summary"]}
                table.append({**dict.fromkeys(plain, ""), **said})
    return table


def tasks() -> list[dict[str, Any]]:
    """Every task with its splits and options."""
    from dlmsample.tasks import list_tasks, task_class, task_options

    return [
        {
            "name": name,
            "summary": (task_class(name).__doc__ or "").strip().partition("\n")[0].replace("``", ""),
            "splits": list(task_class(name).splits),
            "options": task_options(name),
        }
        for name in list_tasks()
    ]


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print the rows as a table, or as one JSON list; a narrow terminal folds it, nothing is cut."""
    if as_json:
        sys.stdout.write(json.dumps(rows, default=str) + "\n")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in rows[0]:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(_cell(value))) for value in row.values()))
    console(sys.stdout).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_scalar(entry)}" for key, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _scalar(value: Any) -> str:
    """As it would be written after ``--set``."""
    return json.dumps(value, default=str).strip('"')
