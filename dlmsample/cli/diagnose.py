"""``dlmsample diagnose``: measure a model on its own mistakes and print the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

import dlmsample
from dlmsample.cli import interrupt, options, screen, settings, threads

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.diagnose import Diagnosis, ErrorDetection, TokenShare

_NOTHING = "-"  # there was nothing to count


@dataclass(frozen=True, kw_only=True)
class DiagnoseOptions(threads.ThreadOptions, options.CheckpointOptions):
    """Measure what a model does with its own mistakes, on gold answers of a task.

    Wrong-commit stress test (does the next forward keep a wrong token), stuck set (tokens that editing cannot reach),
    calibration of confidence by mask rate and, with --head, how well it finds wrong tokens. Intervals are 95 %,
    bootstrapped over examples.

    \b
    Examples:
      dlmsample diagnose nano
      dlmsample diagnose nano --mask-rate 0.9
      dlmsample diagnose nano --adapter runs/scope/final --limit 1000 --json
      dlmsample diagnose nano --head runs/fca/final --split test
      dlmsample diagnose runs/mine/final --set min_steps=2 --set max_steps=4 --device cuda
    """

    model: Annotated[str, typer.Argument(metavar="MODEL", help="Embedded model, folder, or hub id.")]
    task: Annotated[
        str,
        typer.Option(
            metavar="NAME_OR_FILE", help="Task, or .jsonl file, whose gold answers are used; see dlmsample tasks."
        ),
    ] = "wordproblems"
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Split of the task.  [default: valid; of a file of your own: all of it]"),
    ] = None
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Use the first N examples of the split.")] = 256
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="OPTION=VALUE", help="Option of the task; repeatable."),
    ] = field(default_factory=list)
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with the files of a published benchmark.")
    ] = None
    mask_rate: Annotated[float, typer.Option(metavar="R", help="Stress test: share of the answer that is masked.")] = (
        0.5
    )
    commit_rate: Annotated[
        float, typer.Option(metavar="R", help="Stress test: share of the masked tokens that is then committed.")
    ] = 0.5
    epsilon: Annotated[
        float, typer.Option(metavar="E", help="Stuck set: tokens whose own probability is below E ...")
    ] = 0.1
    edit_threshold: Annotated[
        float, typer.Option(metavar="T", help="... while no other token's probability reaches T.")
    ] = 0.5
    seed: Annotated[
        int, typer.Option(metavar="S", help="Seed of the masks and of the resampling that gives the intervals.")
    ] = 0
    batch_size: Annotated[int, typer.Option(metavar="B", help="How many examples go through the model together.")] = 32
    as_json: options.AsObject = False
    output: options.OutputFile = None


def diagnose(given: DiagnoseOptions) -> None:
    """Check what can be checked at once, then load, measure and write.

    Raises:
        ValueError: anything the user can put right.
    """
    screen.check_writable({screen.OUTPUT: given.output})
    settings.check_seed(given.seed)
    changed = settings.parse_settings(given.settings)
    if given.data_dir is not None:
        changed["data_dir"] = given.data_dir
    split = settings.tried_split(given.task, given.split)
    examples = dlmsample.tasks.load(given.task, split, given.limit, **changed)
    screen.silence()
    threads.use(given.threads)
    from dlmsample.diagnose import diagnose as measure

    model = given.load(given.model)
    interrupt.raise_from_here()
    report = measure(
        model,
        examples,
        mask_rate=given.mask_rate,
        commit_rate=given.commit_rate,
        epsilon=given.epsilon,
        edit_threshold=given.edit_threshold,
        batch_size=given.batch_size,
        seed=given.seed,
        progress=True,
    )
    with screen.sink(given.output) as stream:
        if given.as_json:
            data = {"task": given.task, "split": examples.split, "options": changed, **report.asdict()}
            stream.write(json.dumps(data) + "\n")
        else:
            _write_text(stream, given, examples.split, report)


def _write_text(stream: TextIO, given: DiagnoseOptions, split: str, report: Diagnosis) -> None:
    """For people: what was measured on what, then a table for each diagnostic."""
    page = screen.console(stream)
    parts = [report.model]
    parts += [f"{kind} {name}" for kind, name in (("adapter", report.adapter), ("head", report.head)) if name]
    screen.say(page, f"{', '.join(parts)}: {report.examples} examples of {given.task}/{split}")
    stress, stuck = report.stress, report.stuck
    _table(
        page,
        f"wrong-commit stress test: {stress.masked} answer tokens masked (rate {stress.mask_rate:g}), "
        f"the most confident {100 * stress.commit_rate:g} % committed",
        ("share", "value", "95 % interval", "tokens"),
        [
            _share("wrong, of the commits", stress.wrong),
            _share("kept by the next forward, of the right", stress.kept),
            _share("preserved by it, of the wrong", stress.preserved),
            _share("recovered to gold by it, of the wrong", stress.recovered),
        ],
    )
    if not stress.wrong.count:
        screen.say(page, "no commit is wrong: raise --mask-rate to see what becomes of wrong ones")
    _table(
        page,
        f"stuck set: own probability below {stuck.epsilon:g}, every token's below {stuck.edit_threshold:g}",
        ("share", "value", "95 % interval", "tokens"),
        [_share("stuck, of the visible", stuck.visible), _share("stuck, of the wrong", stuck.wrong)],
    )
    _table(
        page,
        "calibration of masked tokens",
        ("mask rate", "tokens", "accuracy", "confidence", "ECE"),
        [
            (f"{row.mask_rate:g}", str(row.positions), *map(_percent, (row.accuracy, row.confidence, row.ece)))
            for row in report.calibration
        ],
    )
    if report.detection is not None:
        _detection(page, report.detection)


def _detection(page: Console, found: ErrorDetection) -> None:
    area = _NOTHING if found.auc is None else f"{found.auc:.3f}"
    shares = (found.positive_rate, found.flagged, found.precision, found.recall, found.f1)
    _table(
        page,
        "correction head, a token flagged at P_error > 0.5",
        ("tokens", "wrong", "AUC", "flagged", "precision", "recall", "F1"),
        [(str(found.positions), _percent(shares[0]), area, *map(_percent, shares[1:]))],
    )


def _share(name: str, share: TokenShare) -> tuple[str, ...]:
    bounds = (share.low, share.high)
    interval = _NOTHING if None in bounds else " to ".join(map(_percent, bounds))
    return name, _percent(share.value), interval, f"{share.count} of {share.total}"


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{100 * value:.2f} %"


def _table(page: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table under its title; the first column is words, or the key, the others are numbers."""
    screen.say(page, f"\n{title}")
    screen.table(page, columns, rows, words=columns[0])
