"""``--dry-run``: count the work of a grid, and estimate its time from a few examples that are really decoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dlmsample.ablate.sampling import sample
from dlmsample.ablate.spec.cells import Cell, resolve
from dlmsample.ablate.spec.grid import Grid, TaskEntry, read
from dlmsample.ablate.storage import database
from dlmsample.ablate.storage.environment import present
from dlmsample.ablate.storage.store import Store
from dlmsample.ablate.workers import local
from dlmsample.ablate.workers.worker import Worker
from dlmsample.models.embedded import EMBEDDED, SECTION, folder_of
from dlmsample.policies.registry import policy
from dlmsample.support.yamlfile import Marks
from dlmsample.types import Block, Prediction

LARGE = 5_000  #: cells; a grid of more is counted and not looked at cell by cell


@dataclass(frozen=True)
class Estimate:
    """What a run would do now."""

    name: str
    cells: int
    examples: int  #: in all cells
    stored: int  #: of them, those that have a result already
    forwards: int | None  #: nfe of the others, summed; None, as the next two: the grid was only counted
    bound: int | None  #: policy updates they can take at most
    seconds: float | None  #: for them; None: no sample could be run
    sampled: int  #: examples that were run to find out
    errors: dict[str, str]  #: by checkpoint and policy, why their sample failed
    unsampled: int = 0  #: checkpoints and policies of which no sample was run, for want of time

    warning: str | None = None  #: why the grid was only counted

    def asdict(self) -> dict[str, Any]:
        """As a plain dict."""
        return asdict(self)


def estimate(
    grid: Grid | str | Path,
    out: str | Path | None = None,
    *,
    device: str | None = None,
    task: TaskEntry | None = None,
    task_options: dict[str, Any] | None = None,
    limit: int | None = None,
    batch_size: int | None = None,
    accept_versions: bool = False,
) -> Estimate:
    """Count what a grid still needs, run a few examples, and multiply. Nothing is written.

    Forwards of a cell are those of a model that is sure of every token (:func:`fewest`) times what a sample of
    the same policy took more or less than that; seconds are forwards times what one takes for that checkpoint and
    block length. Samples are run for some seconds (:func:`~dlmsample.ablate.sampling.sample`), first those that differ
    most; what is left out is taken to be as the samples of the same model, or of the same policy, are in the mean.

    Args:
        grid: a grid file, or a :class:`~dlmsample.ablate.spec.grid.Grid`.
        out: the folder of the run; what is stored there is not counted again.
        device, task, task_options, limit, batch_size, accept_versions: as for :func:`dlmsample.ablate.run.run`.

    A grid of more than :data:`LARGE` cells is counted, without a look at the store and without a sample.

    Raises:
        ValueError: a mistake in the grid, or a damaged store.
    """
    marks = None
    if not isinstance(grid, Grid):
        grid, marks = read(grid)
    grid = grid.asking(task).resized(limit, batch_size)
    if task is not None and marks is not None:
        marks = marks._replace(elsewhere="tasks")
    if sum(grid.sizes.values()) > LARGE:
        return _count(grid, marks, task_options or {})
    resolved = resolve(grid.with_options(task_options or {}), marks, device)
    missing = {cell.key: list(range(len(resolved.digests[cell.task.label]))) for cell in resolved.cells}
    total = sum(map(len, missing.values()))
    where = local.devices(device)
    if out is not None and (Path(out).expanduser() / database.NAME).exists():
        with Store(Path(out).expanduser(), accept_versions) as store:
            for cell in resolved.cells:
                own = cell.checkpoint.device
                there = store.stored(cell.key, present([own] if own else where))
                digests = resolved.digests[cell.task.label]
                missing[cell.key] = [i for i in missing[cell.key] if there.get(i) != digests[i]]
    waiting = [cell for cell in resolved.cells if missing[cell.key]]
    steps = _Steps()
    found = sample(
        waiting,
        missing,
        resolved.examples,
        work=Worker(where[0]).work,
        fewest=steps.fewest,
        batch_size=grid.batch_size,
        device=where[0],
    )
    forwards, seconds, most = 0.0, 0.0, 0
    for cell in waiting:
        count, share = len(missing[cell.key]), found.share(cell)
        most += count * steps.bound(cell)
        expected = count * (steps.bound(cell) if share is None else min(steps.fewest(cell) * share, steps.bound(cell)))
        forwards += expected
        seconds += expected * (found.pace(cell) or 0.0)
    return Estimate(
        name=grid.name,
        cells=len(resolved.cells),
        examples=total,
        stored=total - sum(map(len, missing.values())),
        forwards=round(forwards),
        bound=most,
        seconds=None if waiting and not found.spent else seconds / len(where),
        sampled=found.examples,
        errors=found.errors,
        unsampled=found.left,
    )


def _count(grid: Grid, marks: Marks | None, task_options: dict[str, Any]) -> Estimate:
    """The estimate of a grid that is too large to look at each cell: its numbers of cells and examples alone."""
    sizes = grid.sizes
    one = grid.model_copy(update={"policies": [entry.first for entry in grid.policies], "seeds": grid.seeds[:1]})
    resolved = resolve(one.with_options(task_options), marks)  # wrong names are told all the same
    return Estimate(
        name=grid.name,
        cells=sum(sizes.values()),
        examples=sum(count * len(resolved.examples[label]) for label, count in sizes.items()),
        stored=0,
        forwards=None,
        bound=None,
        seconds=None,
        sampled=0,
        errors={},
        warning=f"more than {LARGE:,} cells: they are counted and nothing is timed; shorten the lists of the grid",
    )


def bound(cell: Cell) -> int:
    """The most policy updates that an example of a cell can take, from the policy's own bound on each block."""
    return int(policy(cell.policy_name, **cell.options).max_steps(_blocks(cell)).sum())


def fewest(cell: Cell) -> int:
    """The number of policy updates of an answer, if the model were sure of every token from the start."""
    rule, block = policy(cell.policy_name, **cell.options), _blocks(cell)
    most = rule.max_steps(block)
    shape = block.tokens.shape
    sure, zero = torch.full(shape, 0.999), torch.zeros(shape)
    odds = torch.linspace(1e-4, 1e-3, shape[1]).expand(shape)
    token = torch.ones_like(block.tokens)
    pred = Prediction(token, sure, odds, sure, odds, zero, sure, zero, loo_prob=sure, gap=-odds.log(), kl=zero)
    pred = pred._replace(listed=torch.ones(shape))
    state, running, steps = rule.init(block), torch.ones_like(block.step, dtype=torch.bool), 0
    while bool(running.any()):
        steps += int(running.sum())
        ids = rule.asks(state, block).ids
        asked = None if ids is None else torch.full(ids.shape, 0.999).log()
        state, update = rule.step(state, block, pred._replace(asked=asked))
        block = block._replace(tokens=update.tokens, step=block.step + 1)
        running &= ~update.done & (block.step < most)
    return steps


class _Steps:
    """:func:`bound` and :func:`fewest`, worked out once for each checkpoint, policy and length of an answer."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def bound(self, cell: Cell) -> int:
        return self._once(bound, cell)

    def fewest(self, cell: Cell) -> int:
        return self._once(fewest, cell)

    def _once(self, count: Callable[[Cell], int], cell: Cell) -> int:
        rule = cell.policy_name, json.dumps(cell.options, sort_keys=True)
        key = count, cell.checkpoint.model, *rule, cell.settings.max_new_tokens, cell.settings.block_length
        if key not in self._known:
            self._known[key] = count(cell)
        return self._known[key]


def _blocks(cell: Cell) -> Block:
    """All blocks of an answer, masked, one a row."""
    new, given = cell.settings.max_new_tokens, cell.settings.block_length
    width = new if given == "all" else int(given or _own_block(cell))
    starts = torch.arange(0, new, width)
    stops = (starts + width).clamp(max=new)
    tokens = torch.zeros(len(starts), width, dtype=torch.long)
    return Block(
        tokens=tokens,
        editable=torch.arange(width) < (stops - starts)[:, None],
        step=torch.zeros_like(starts),
        start=starts,
        stop=stops,
        total=torch.full_like(starts, new),
        key=torch.zeros_like(starts),
        eos_ids=torch.zeros(0, dtype=torch.long),
        mask_id=0,
    )


def _own_block(cell: Cell) -> int:
    """The block length that the checkpoint declares; 32 where only the hub knows."""
    name = cell.checkpoint.model
    folder = folder_of(name) if name in EMBEDDED else Path(name).expanduser()
    try:
        return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))[SECTION]["block_length"])
    except (OSError, ValueError, KeyError, TypeError):
        return 32
