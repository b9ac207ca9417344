"""``dlmsample diagnose``: measure a model on its own mistakes and print the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import dlmsample
from dlmsample.cli import inputs, interrupt, screen
from dlmsample.cli.text import visible

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.diagnose import Diagnosis, ErrorDetection, TokenShare

_NOTHING = "-"  # there was nothing to count


@dataclass(frozen=True)
class Request:
    """The options of ``diagnose`` as typed; see its help."""

    model: str
    adapter: str | None = None
    head: str | None = None
    task: str = "wordproblems"
    split: str = "valid"
    limit: int = 256
    settings: Sequence[str] = ()
    data_dir: str | None = None
    mask_rate: float = 0.5
    commit_rate: float = 0.5
    epsilon: float = 0.1
    edit_threshold: float = 0.5
    seed: int = 0
    batch_size: int = 32
    device: str | None = None
    dtype: str | None = None
    as_json: bool = False
    trust_remote_code: bool = False
    family: str | None = None
    revision: str | None = None
    output: str | None = None


def diagnose(request: Request) -> None:
    """Check what can be checked at once, then load, measure and write.

    Raises:
        ValueError: anything the user can put right.
    """
    screen.check_writable(request.output)
    options = inputs.parse_settings(request.settings)
    if request.data_dir is not None:
        options["data_dir"] = request.data_dir
    examples = dlmsample.tasks.load(request.task, request.split, request.limit, **options)
    screen.silence()
    from dlmsample.diagnose import diagnose as measure

    model = inputs.load_model(request)
    with interrupt.raising():
        report = measure(
            model,
            examples,
            mask_rate=request.mask_rate,
            commit_rate=request.commit_rate,
            epsilon=request.epsilon,
            edit_threshold=request.edit_threshold,
            batch_size=request.batch_size,
            seed=request.seed,
            progress=True,
        )
        with screen.sink(request.output) as stream:
            if request.as_json:
                data = {"task": request.task, "split": request.split, "options": options, **report.asdict()}
                stream.write(json.dumps(data) + "\n")
            else:
                _write_text(stream, request, report)


def _write_text(stream: TextIO, request: Request, report: Diagnosis) -> None:
    """For people: what was measured on what, then a table for each diagnostic."""
    page = screen.console(stream)
    parts = [report.model]
    parts += [f"{kind} {name}" for kind, name in (("adapter", report.adapter), ("head", report.head)) if name]
    screen.say(page, f"{', '.join(parts)}: {report.examples} examples of {request.task}/{request.split}")
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
    from rich import box
    from rich.table import Table
    from rich.text import Text

    screen.say(page, f"\n{title}")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    page.print(table)
