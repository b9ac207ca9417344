"""Run a grid: decode what has no result yet, store every finished batch, and write the report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlmsample
from dlmsample.ablate.live import LiveFigures
from dlmsample.ablate.spec.cells import ResolvedGrid, resolve
from dlmsample.ablate.spec.grid import Grid, TaskEntry, read, validate
from dlmsample.ablate.storage import environment, lock
from dlmsample.ablate.storage.store import Store
from dlmsample.ablate.workers import local, ray
from dlmsample.ablate.workers.progress import GridProgress
from dlmsample.ablate.workers.units import Engine, Outcomes, Queue, Unit, cut, score_reply
from dlmsample.support.registry import unknown
from dlmsample.support.yamlfile import Marks

if TYPE_CHECKING:  # a report is written at the end, and may be left out
    from dlmsample.ablate.analysis.results import Results

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    name: str
    cells: int
    done: int
    failed: int
    examples: int  #: with a result, in the cells of the grid
    ran: int  #: of them, made by this run
    seconds: float
    errors: dict[str, str] = field(default_factory=dict)  #: failed cells: "task, checkpoint, policy, seed n" -> error
    report: list[str] = field(default_factory=list)  #: files written
    apart: int = 0  #: answers of other environments, which are kept and not counted
    results: Results | None = field(default=None, repr=False, compare=False)  #: what the report says

    def asdict(self) -> dict[str, Any]:
        """As a plain dict, without ``results``."""
        plain = asdict(replace(self, results=None))
        del plain["results"]
        return plain


def run(
    grid: Grid | Mapping[str, Any] | str | Path,
    out: str | Path,
    *,
    engine: str = "local",
    device: str | None = None,
    address: str | None = None,
    fresh: bool = False,
    retry: bool = False,
    progress: bool = False,
    report: bool = True,
    task: TaskEntry | None = None,
    task_options: dict[str, Any] | None = None,
    limit: int | None = None,
    batch_size: int | None = None,
    command: str | None = None,
    isolate: bool = False,
    accept_versions: bool = False,
    report_to: Sequence[str] = (),
) -> Summary:
    """Run what has no result yet and write the report. The same call again continues where the last one stopped.

    Args:
        grid: a grid file, what stands in one as a mapping, or a :class:`~dlmsample.ablate.spec.grid.Grid`.
        out: the folder of the store and the report; made where there is none.
        engine: ``local`` or ``ray``.
        device: a torch device, ``cuda`` for every GPU, or several with commas between them; None: CPU.
        address: of a Ray cluster; None: one on this machine.
        fresh: delete the folder's store first (``results.sqlite`` and SQLite's files beside it, nothing else).
        retry: run failed cells again.
        progress: a progress bar on standard error when it is a terminal.
        report: write the report at the end.
        task: asked in place of the grid's tasks.
        task_options: for every task that knows them and does not say otherwise, like ``data_dir``.
        limit: examples of every task, in place of the grid's; what a smaller run left is kept and used.
        batch_size: rows in one forward, in place of the grid's; it changes no number.
        command: what was typed, noted in the store for reports that show it.
        isolate: work on a single device in a process of its own as well (several devices have one each), so that a
            crash fails a cell instead of ending the run; as with multiprocessing, a script then needs
            ``if __name__ == "__main__":``. ``dlmsample ablate`` does so.
        accept_versions: count results that other versions of dlmsample, torch or transformers, or other kinds of
            devices have left in the folder as results of this run. Without it they are kept, the report shows them
            apart, and their examples are run again in the present environment.
        report_to: names of experiment trackers that are told of every batch and cell.

    Raises:
        ValueError: a mistake in the grid, a folder in use, or a damaged store. What goes wrong inside a cell is
            recorded there and is no error of the run.

    Example:
        >>> import tempfile
        >>> from dlmsample.ablate.spec.grid import parse
        >>> grid = parse("{name: g, tasks: [{name: wordproblems, limit: 1}], checkpoints: [{model: nano}], "
        ...              "policies: [{policy: unmask, tokens_per_step: 8}], max_new_tokens: 16}")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = (run(grid, folder, report=False) for _ in range(2))
        >>> (first.done, first.ran), (second.done, second.ran)
        ((1, 1), (1, 0))
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine == "ray":
        ray.require()
    marks = path = None
    if isinstance(grid, Mapping):
        grid = validate(dict(grid), Marks())
    elif not isinstance(grid, Grid):
        path = str(grid)
        grid, marks = read(grid)
    grid = grid.asking(task).resized(limit, batch_size)
    if task is not None and marks is not None:
        marks = marks._replace(elsewhere="tasks")
    where = local.devices(device)
    folder = Path(out).expanduser()
    began = time.perf_counter()
    with _engine(engine, where, device, address, isolate) as work:
        resolved = resolve(grid.with_options(task_options or {}), marks, device)
        places = {
            entry.label: environment.present([entry.device] if entry.device else where) for entry in grid.checkpoints
        }
        with opened(folder, fresh, accept_versions) as store:
            store.begin(grid.model_dump(mode="json"), resolved.cells, resolved.digests, places)
            if report and grid.baseline is not None:
                from dlmsample.ablate.analysis import configs

                configs.baselines(configs.group(store.cells()), {}, grid.baseline)  # a wrong label: before any work
            if retry:
                store.forgive(cell.key for cell in resolved.cells)
            units = outstanding(store, resolved)
            source = work(Queue(units), partial(score_reply, resolved))
            if command is not None:
                store.note(command=command)
            if path is not None:
                store.note(grid_file=path)
            if units:
                store.note(
                    date=datetime.now(UTC).date().isoformat(),
                    version=dlmsample.__version__,
                    device=f"a Ray cluster, {device or 'cpu'}" if engine == "ray" else local.describe(where),
                    **{name: metadata.version(name) for name in ("torch", "transformers")},
                )
            done = sum(cell.done for cell in store.cells())
            with LiveFigures(report_to, folder, store.grid(), done) as live:
                ran = _collect(store, resolved, units, source, progress, live)
            results, written = _report(folder, grid.baseline, store) if report else (None, [])
            return _summary(store, grid.name, ran, time.perf_counter() - began, results, written)


@contextmanager
def _engine(
    name: str, where: list[str | None], device: str | None, address: str | None, isolate: bool
) -> Iterator[Engine]:
    if name == "ray":
        yield partial(ray.outcomes, device, address)
    else:
        with local.engine(where, isolate) as work:
            yield work


@contextmanager
def opened(folder: Path, fresh: bool = False, accept_versions: bool = False) -> Iterator[Store]:
    """The store of a folder, locked against other runs.

    Raises:
        ValueError: the folder cannot be written, is in use, or holds a damaged store.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot use --out {str(folder)!r}: {error.strerror}; name another folder") from None
    with lock.held(folder):
        if fresh:
            Store.delete(folder)
        with Store.open_or_create(folder, accept_versions) as store:
            yield store


def outstanding(store: Store, resolved: ResolvedGrid) -> list[Unit]:
    """Units of all examples without a result, except in cells that failed."""
    failed = {cell.key for cell in store.cells() if cell.status == "failed"}
    missing = {cell.key: [] if cell.key in failed else store.missing(cell.key) for cell in resolved.cells}
    return cut(resolved.cells, missing, resolved.examples, resolved.grid.batch_size)


def _collect(
    store: Store, resolved: ResolvedGrid, units: list[Unit], source: Outcomes, progress: bool, live: LiveFigures
) -> int:
    """Store each outcome; this process is the only one that writes."""
    left = Counter({cell.key: 0 for cell in resolved.cells})
    for unit in units:
        left[unit.cell.key] += len(unit.indices)
    done = sum(count == 0 for count in left.values())
    ran = 0
    with closing(source), GridProgress(left.total(), len(left), done, progress) as bar:
        for unit, results, error, traceback in source:
            key, count = unit.cell.key, len(unit.indices)
            if error is None:
                digests = resolved.digests[unit.cell.task.label]
                store.add(key, results, [digests[result.index] for result in results])
                ran += len(results)
            else:
                store.fail(key, error, traceback)
                count = left[key]
            count = min(count, left[key])
            left[key] -= count
            over = count > 0 and left[key] == 0
            bar.advance(count, int(over))
            live.batch(len(results) if error is None else 0, unit.cell if over else None, store)
    return ran


def _report(folder: Path, baseline: str | None, store: Store) -> tuple[Results, list[str]]:
    """What the report says, and its files."""
    from dlmsample.ablate.report.write import build

    results, paths = build(folder, baseline, store)
    return results, [str(path) for path in paths]


def _summary(store: Store, name: str, ran: int, seconds: float, results: Results | None, written: list[str]) -> Summary:
    cells = store.cells()
    failed = [cell for cell in cells if cell.status == "failed"]
    return Summary(
        name=name,
        cells=len(cells),
        done=sum(cell.status == "done" for cell in cells),
        failed=len(failed),
        examples=sum(cell.done for cell in cells),
        ran=ran,
        seconds=seconds,
        errors={f"{c.task}, {c.checkpoint}, {c.policy}, seed {c.seed}": c.error or "" for c in failed},
        report=written,
        apart=sum(cell.done for cell in store.apart()),
        results=results,
    )
