"""``dlmsample tune``: which policy, with which options, within a budget of forwards."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlmsample.cli import interrupt, options, screen, settings, threads
from dlmsample.policies.registry import make_policy
from dlmsample.support.text import one_line

if TYPE_CHECKING:
    from dlmsample.ablate.spec.grid import Grid
    from dlmsample.ablate.tune import RightShare, Tuned, Tuning

_CANDIDATES = Path(__file__).parents[2] / "ablate" / "spec" / "candidates.yaml"


@dataclass(frozen=True, kw_only=True)
class TuneOptions(threads.ThreadOptions):
    """Find the policy and its options that answer best within a budget of forwards.

    Every candidate answers the first examples of a task. For each budget and policy the most accurate setting within it
    is chosen, and the chosen ones answer further examples: a choice among many looks better than it is. The same
    command again goes on where one was interrupted. --save writes the winner of the largest budget as a file that
    --policy takes.

    \b
    Examples:
      dlmsample tune nano --out runs/tuned
      dlmsample tune nano --task my.jsonl --scorer number --budget 16 --budget 32 --out runs/mine --save mine.json
      dlmsample tune nano --adapter scope --policy d3im --policy unmask --limit 128 --check 500 --out runs/scope
      dlmsample tune runs/mine/final --candidates examples/zoo_on_nano.yaml --device cuda --out runs/all
    """

    model: Annotated[str, typer.Argument(metavar="MODEL", help="Embedded model, folder, or hub id.")]
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder of the results and the reports.")]
    task: Annotated[
        str, typer.Option(metavar="NAME_OR_FILE", help="Task whose examples are asked: a name, or your .jsonl file.")
    ] = "wordproblems"
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Split of the task.  [default: valid; of a file of your own: all of it]"),
    ] = None
    scorer: options.Scorer = None
    pattern: options.Pattern = None
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="OPTION=VALUE", help="Option of the task; repeatable."),
    ] = field(default_factory=list)
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Examples that the candidates are tried on.")] = 64
    check: Annotated[
        int, typer.Option(metavar="N", min=0, help="Further examples that the chosen ones are asked; 0: none.")
    ] = 128
    budget: Annotated[
        list[float] | None,
        typer.Option(metavar="N", help="Forwards an answer, at most, in the mean; repeatable.  [default: 16, 32, 64]"),
    ] = None
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Try this policy alone; repeatable.  [default: all candidates that the checkpoint can serve]",
            autocompletion=options.policy_names,
        ),
    ] = None
    candidates: Annotated[
        str | None, typer.Option(metavar="FILE", help="Grid file whose policies are tried.  [default: a few of each]")
    ] = None
    adapter: Annotated[
        str | None, typer.Option(metavar="NAME", help="Adapter of the model.", autocompletion=options.adapter_names)
    ] = None
    head: Annotated[
        str | None, typer.Option(metavar="NAME", help="Correction head.", autocompletion=options.head_names)
    ] = None
    dtype: Annotated[str | None, typer.Option(metavar="T", help="Torch dtype.  [default: float32]")] = None
    device: options.Device = None
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens of an answer, at most.")] = 160
    batch_size: Annotated[int, typer.Option(metavar="B", min=1, help="How many prompts are decoded together.")] = 32
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the winner of the largest budget there, for --policy.")
    ] = None
    as_json: options.AsObject = False


def tune(given: TuneOptions) -> int:
    """Do what was asked; the exit code: 0: every budget has a winner, 1: not, or a cell failed, 130: interrupted.

    Raises:
        ValueError: anything the user can put right.
    """
    screen.check_writable({"--save": given.save})
    grid = _grid(given)
    screen.silence()
    from dlmsample.ablate.tune import tune as search

    threads.use(given.threads)
    budgets = sorted(set(given.budget or (16, 32, 64)))
    try:
        interrupt.raise_from_here()
        found = search(
            grid,
            given.out,
            budgets,
            given.check,
            device=given.device,
            progress=True,
            isolate=True,
            command=options.typed("tune", given),
        )
    except KeyboardInterrupt:
        sys.stderr.write("dlmsample: interrupted; the same command goes on\n")
        return 130
    best = [row for row in found.rows if row.best]
    if given.save is not None and best:
        make_policy(best[-1].policy, best[-1].options).save(given.save)
    if given.as_json:
        plain = {"rows": [asdict(row) for row in found.rows], "missing": found.missing, "failed": _failed(found)}
        sys.stdout.write(json.dumps(plain) + "\n")
    else:
        _write_text(given, found, best)
    return int(bool(found.missing or _failed(found)))


def _grid(given: TuneOptions) -> Grid:
    """The candidates as a grid of one task and one checkpoint."""
    from dlmsample.ablate.spec.grid import CheckpointEntry, Grid, TaskEntry
    from dlmsample.support.registry import unknown
    from dlmsample.support.yamlfile import document

    data, _ = document(given.candidates or str(_CANDIDATES), "candidates")
    entries = data.get("policies") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "policy" in entry for entry in entries):
        raise ValueError(f"{given.candidates} lists no policies: it needs the key policies, as a grid file has it")
    known = list(dict.fromkeys(str(entry["policy"]) for entry in entries))
    for name in given.policy or ():
        if name not in known:
            raise unknown("candidate", name, known)
    wanted = given.policy or [name for name in known if given.head or "error" not in _needs(name)]
    kept = [
        {key: value for key, value in entry.items() if key not in ("checkpoints", "tasks")}
        for entry in entries
        if entry["policy"] in wanted
    ]
    task_options: dict[str, Any] = settings.parse_settings(given.settings)
    split = settings.tried_split(given.task, given.split)
    task_options |= options.judged(given)
    task = TaskEntry(name=given.task, split=split, limit=given.limit, options=task_options)
    checkpoint = CheckpointEntry(model=given.model, adapter=given.adapter, head=given.head, dtype=given.dtype)
    return Grid.model_validate(
        {
            "name": "tune",
            "tasks": [task],
            "checkpoints": [checkpoint],
            "policies": kept,
            "max_new_tokens": given.max_new_tokens,
            "batch_size": given.batch_size,
        }
    )


def _needs(name: str) -> frozenset[str]:
    try:
        return make_policy(name, {}).needs
    except ValueError:  # it needs options: the grid says which
        return frozenset()


def _failed(found: Tuning) -> dict[str, str]:
    return {**found.trials.errors, **(found.check.errors if found.check is not None else {})}


def _write_text(given: TuneOptions, found: Tuning, best: list[Tuned]) -> None:
    """For people: a table of what was chosen, a sentence for each budget, and how to use the winner."""
    page = screen.console(sys.stdout)
    others = max((row.checked.examples for row in found.rows if row.checked is not None), default=0)
    title = f"{given.task}: chosen on {given.limit} examples" + (f", checked on {others} others" if others else "")
    screen.say(page, title)
    columns = ("forwards at most", "policy", "forwards", "right, chosen", "right, others")
    rows = [
        (
            f"{row.budget:g}",
            row.label + (" *" if row.best else ""),
            f"{row.forwards:.1f}",
            _percent(row.tried),
            _percent(row.checked),
        )
        for row in found.rows
    ]
    shown = len(columns) if others else len(columns) - 1
    if rows:
        screen.table(page, columns[:shown], [row[:shown] for row in rows], words="policy")
        screen.say(
            page, "* the most accurate of this budget where it was chosen, of equals the faster one; 95 % intervals"
        )
    for row in best:
        screen.say(page, _told(row))
    for budget in found.missing:
        screen.say(page, f"{budget:g} forwards: no candidate takes so few")
    for cell, error in _failed(found).items():
        screen.say(page, f"failed: {cell}: {one_line(error)}")
    if given.save is not None and best:
        block = "" if best[-1].block_length is None else f" --block-length {best[-1].block_length}"
        screen.say(page, f"written: {given.save}; use it with --policy {given.save}{block}")


def _told(row: Tuned) -> str:
    """What is known of a budget's winner, in words."""
    start = f"{row.budget:g} forwards: {row.label}"
    close = f"; the others do not tell it from {', '.join(row.close)}" if row.close else ""
    if row.over_baseline is None:
        return f"{start} was the most accurate where it was chosen{close}"
    points, low, high = row.over_baseline
    verdict = "better" if low > 0 else "worse" if high < 0 else "not to be told from"
    than = "than" if verdict != "not to be told from" else ""
    words = " ".join(filter(None, (verdict, than, "unmask tuned alike")))
    return f"{start} is {words} on the others ({points:+.1f} points [{low:+.1f}, {high:+.1f}]){close}"


def _percent(share: RightShare | None) -> str:
    return "-" if share is None else f"{share.value:.1f} % [{share.low:.1f}, {share.high:.1f}]"
