"""``dlmsample policies | models | tasks``: tables of what there is.

``policies`` and ``models --explain`` import torch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlmsample.cli.screen import console
from dlmsample.support.text import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 80  #: columns, for a reader that has no width


def policies() -> list[dict[str, Any]]:
    """Every policy with its options and defaults."""
    from dlmsample.policies.registry import list_policies

    return [policy_row(name) for name in list_policies()]


def unlisted_policies() -> list[dict[str, Any]]:
    """Rows of what ``--policy`` takes beside the listed names: the chain of pieces, and other names."""
    from dlmsample.policies.registry import ALIASES

    chain = {**policy_row("chain"), "options": {}}
    chain["summary"] += ": dlmsample policies chain"
    aliases = [
        {**policy_row(n), "name": a, "summary": f"another name of {n}", "options": {}} for a, n in ALIASES.items()
    ]
    return [chain, *aliases]


def policy_row(name: str) -> dict[str, Any]:
    from dlmsample.policies.registry import policy_class

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
    from dlmsample.models.embedded import list_models

    return list_models()


def explained(
    name: str,
    family: str | None,
    trust_remote_code: bool,
    revision: str | None = None,
    ignore_config: Sequence[str] = (),
) -> dict[str, Any]:
    """What a checkpoint is and how it decodes.

    Raises:
        ValueError: there is none, or it does not say.
    """
    from dlmsample.cli import screen
    from dlmsample.models.explain import explain

    screen.silence()
    return explain(name, family, trust_remote_code, revision=revision, ignore_config=ignore_config)


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
    """Every task with its source, splits, scorer and options."""
    from dlmsample.tasks import list_tasks

    return [_task(name) for name in (*list_tasks(), "FILE.jsonl")]


def _task(name: str) -> dict[str, Any]:
    from dlmsample.tasks import task_class, task_options

    cls = task_class(name)
    return {
        "name": name,
        "summary": (cls.__doc__ or "").strip().partition("\n")[0].replace("``", ""),
        "source": cls.source,
        "splits": list(cls.splits),
        "scorer": cls.scorer,
        "options": task_options(name),
    }


def explained_task(name: str) -> dict[str, Any]:
    """A task with where its data are read, and its first example where that needs no network.

    Raises:
        ValueError: no such task, or a file that cannot be read.
    """
    from dlmsample.tasks import is_file_task, load, task_class
    from dlmsample.tasks.benchmark import Benchmark

    row, cls = _task(name), task_class(name)
    if issubclass(cls, Benchmark):
        files = getattr(cls, "files", {})
        named = sorted({file for split in files.values() for file in split})
        row["data"] = f"--data-dir DIR with {', '.join(named)}; without it the hub" if named else "--data-dir DIR"
    else:
        first = load(name, limit=1)[0]
        row |= {"first_prompt": first.prompt, "its_answer": first.answer}
    what = f"--task {name}" if is_file_task(name) else f"tasks: [{{name: {name}}}] in a grid file, or --task {name}"
    return {**row, "ask": f"dlmsample ablate GRID.yaml with {what}"}


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print the rows as a table where it fits, else one by one, a line a property; or as one JSON list.

    Nothing is cut; what is no terminal counts as one of ``NARROW`` columns.
    """
    if as_json:
        sys.stdout.write(json.dumps(rows, default=str) + "\n")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    page = console(sys.stdout)
    width = page.width if page.is_terminal else NARROW
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in rows[0]:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(Text(printable(_cell(value))) for value in row.values()))
    if page.measure(table, options=page.options.update(width=10_000)).maximum <= width:
        _print(page, table, width)
        return
    for row in rows:
        (_, name), *others = row.items()
        page.print(Text(printable(_cell(name))), width=width, overflow="fold")
        grid = Table.grid(padding=(0, 1), expand=False)
        for key, value in others:
            if value not in ("", {}, []):
                grid.add_row("   ", key.replace("_", " "), Text(printable(_cell(value)), overflow="fold"))
        _print(page, grid, width)


def _print(page: Console, table: Table, width: int) -> None:
    """Print a table; in a pipe its lines end with their last sign, and not with blanks."""
    if page.is_terminal:
        page.print(table, width=width)
        return
    with page.capture() as drawn:
        page.print(table, width=width)
    page.file.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def show_one(row: Mapping[str, Any], as_json: bool) -> None:
    """Print one thing, a line a property, or as one JSON object."""
    if as_json:
        sys.stdout.write(json.dumps(row, default=str) + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    page = console(sys.stdout)
    if not page.is_terminal:  # a table would pad every line to the longest one
        length = max(map(len, row)) + 2
        for key, value in row.items():
            page.file.write(f"{key.replace('_', ' '):<{length}}{printable(_plain(value))}".rstrip() + "\n")
        return
    table = Table.grid(padding=(0, 2))
    for key, value in row.items():
        table.add_row(key.replace("_", " "), Text(printable(_plain(value)), overflow="fold"))
    page.print(table)


def _plain(value: Any) -> str:
    """A value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == []:
        return "-"
    return f"{value:,}" if isinstance(value, int) and value >= 1_000_000 else _cell(value)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={typed(entry)}" for key, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def typed(value: Any) -> str:
    """As it would be written after ``--set``."""
    return json.dumps(value, default=str).strip('"')
