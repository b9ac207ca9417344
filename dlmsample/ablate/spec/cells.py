"""From a grid to its cells: every name is checked, and each task, checkpoint, policy and seed becomes a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from dlmsample.ablate.spec import identity
from dlmsample.ablate.spec.grid import CellSettings, CheckpointEntry, Grid, GridError, PolicyEntry, TaskEntry, arguments
from dlmsample.policies.registry import policy_class
from dlmsample.support.registry import unknown
from dlmsample.support.text import one_line
from dlmsample.support.validated import PieceError, sentence
from dlmsample.support.yamlfile import FileMistakes, Marks
from dlmsample.tasks import Example, Task
from dlmsample.tasks import load as load_task


@dataclass(frozen=True)
class Cell:
    """Everything a worker needs to run one cell; plain data that travels between processes."""

    key: str
    task: TaskEntry
    checkpoint: CheckpointEntry
    hashes: identity.FileHashes
    policy: str  #: label
    policy_name: str
    options: dict[str, Any]
    seed: int
    settings: CellSettings
    top_p: float
    top_k: int | None


class PolicyChoice(NamedTuple):
    """One policy with one value for each option."""

    entry: PolicyEntry
    place: tuple[Any, ...]
    label: str
    policy: Any
    settings: CellSettings


class ResolvedGrid(NamedTuple):
    """A grid with its cells and the examples they run on."""

    grid: Grid
    cells: list[Cell]
    tasks: dict[str, Task]  #: by label
    examples: dict[str, list[Example]]  #: by task label
    digests: dict[str, list[str]]  #: by task label, the identity of each example


def resolve(grid: Grid, marks: Marks | None = None, device: str | None = None) -> ResolvedGrid:
    """Check every name of a grid, load its tasks, hash its checkpoints, and lay out its cells.

    Cells that come out equal (an option written out that is the default anyway) are one cell, under the first label.

    Args:
        grid: from :func:`dlmsample.ablate.spec.grid.read`.
        marks: where its keys stand, for messages.
        device: of the run; its kind decides the dtype, and so the numbers.

    Raises:
        GridError: wrong names or options, all in one line, each with the nearest right one, before anything runs.
    """
    marks = marks or Marks(grid.name)
    mistakes, tasks, hashes = FileMistakes(), dict[str, Task](), {}
    chosen: list[PolicyChoice] = []
    for at, task in enumerate(grid.tasks):
        with mistakes.caught():
            tasks[task.label] = _task(task, marks, at)
    for at, entry in enumerate(grid.checkpoints):
        with mistakes.caught():
            hashes[entry.label] = _at(marks, ("checkpoints", at), identity.of_checkpoint, entry)
    with mistakes.caught():
        chosen = choices(grid, marks)
    mistakes.tell()
    cells = {}
    for checkpoint in grid.checkpoints:
        for task in grid.tasks:
            for choice in chosen:
                if choice.entry.wants(task.label, checkpoint.label):
                    for seed in grid.seeds:
                        split = tasks[task.label].split
                        cell = _cell(grid, task, checkpoint, hashes[checkpoint.label], choice, seed, device, split)
                        cells.setdefault(cell.key, cell)
    examples = {label: list(task) for label, task in tasks.items()}
    digests = {label: [identity.of_example(example) for example in given] for label, given in examples.items()}
    return ResolvedGrid(grid, list(cells.values()), tasks, examples, digests)


def choices(grid: Grid, marks: Marks) -> list[PolicyChoice]:
    """The policies of a grid, expanded and checked.

    Raises:
        GridError: no such policy or option, an option out of range, or a head that is missing; all in one line.
    """
    found: list[PolicyChoice] = []
    mistakes = FileMistakes()
    for at, entry in enumerate(grid.policies):
        with mistakes.caught():
            found += _choices(entry, ("policies", at), grid, marks)
    mistakes.tell()
    return found


def _choices(entry: PolicyEntry, place: tuple[Any, ...], grid: Grid, marks: Marks) -> list[PolicyChoice]:
    """The policies of one entry."""
    cls = _at(marks, (*place, "policy"), policy_class, entry.policy)
    mistakes, found = FileMistakes(), []
    with mistakes.caught():
        check_lists(entry.model_dump(), marks, place)
    with mistakes.caught():
        _check_labels(entry, grid, marks, place)
    known = [*cls.model_fields, *CellSettings.model_fields]
    for option in entry.model_extra or {}:
        if option not in known:
            with mistakes.caught():
                raise marks.error((*place, option), str(unknown(f"option of policy {entry.policy}", option, known)))
    strange = bool(mistakes)
    for given in entry.variants():
        own = {key: value for key, value in given.items() if key in CellSettings.model_fields}
        options = {key: value for key, value in given.items() if key in cls.model_fields}
        with mistakes.caught():
            settings = _made(marks, place, entry.policy, CellSettings, {**grid.settings.model_dump(), **own})
            policy = _made(marks, place, entry.policy, cls, options)
            found.append(PolicyChoice(entry, place, f"{entry.policy}{arguments(given)}", policy, settings))
            if not strange:
                _check_heads(entry, found[-1], grid, marks)
    mistakes.tell()
    return found


def idle_seeds(grid: Grid, chosen: Sequence[PolicyChoice]) -> str | None:
    """A line about seeds that decide nothing: without randomness each of them decodes the same answers again.

    Args:
        grid: of several seeds.
        chosen: from :func:`choices`.

    Returns:
        The line; None where every seed counts.
    """
    if len(grid.seeds) < 2 or not chosen:
        return None
    greedy = [choice for choice in chosen if choice.settings.temperature == 0 and not choice.policy.draws]
    if not greedy:
        return None
    some = "every policy" if len(greedy) == len(chosen) else f"{len(greedy)} of {len(chosen)} policies"
    return (
        f"seeds: {some} of grid {grid.name} decodes at temperature 0 without drawing at random, so its "
        f"{len(grid.seeds)} seeds give the same answers, decoded once for each seed; one seed is enough"
    )


def _cell(
    grid: Grid,
    task: TaskEntry,
    checkpoint: CheckpointEntry,
    hashes: identity.FileHashes,
    choice: PolicyChoice,
    seed: int,
    device: str | None,
    split: str,
) -> Cell:
    kind = (checkpoint.device or device or "cpu").split(",")[0].split(":")[0]
    dtype = (checkpoint.dtype or ("float32" if kind == "cpu" else "bfloat16")).removeprefix("torch.")
    return Cell(
        key=identity.digest(
            identity.of_cell(grid, task, hashes, dtype, kind, choice.policy, choice.settings, seed, split)
        ),
        task=task,
        checkpoint=checkpoint,
        hashes=hashes,
        policy=choice.label,
        policy_name=choice.entry.policy,
        options=choice.policy.model_dump(mode="json"),
        seed=seed,
        settings=choice.settings,
        top_p=grid.top_p,
        top_k=grid.top_k,
    )


def check_lists(given: Mapping[str, Any], marks: Marks, place: tuple[Any, ...]) -> None:
    """Refuse an empty list: it would expand to nothing, and what it belongs to would vanish without a word.

    Raises:
        GridError: there is one.
    """
    for key, value in given.items():
        if value == []:
            raise marks.error((*place, key), f"{key} is an empty list: give a value, or leave {key} out")


def _check_labels(entry: PolicyEntry, grid: Grid, marks: Marks, place: tuple[Any, ...]) -> None:
    for key, given, known in (
        ("checkpoints", entry.checkpoints, [c.label for c in grid.checkpoints]),
        ("tasks", entry.tasks, [t.label for t in grid.tasks]),
    ):
        for at, label in enumerate(given or ()):
            if label not in known:
                raise marks.error((*place, key, at), str(unknown(f"{key.removesuffix('s')} label", label, known)))


def _check_heads(entry: PolicyEntry, choice: PolicyChoice, grid: Grid, marks: Marks) -> None:
    if "error" not in choice.policy.needs:
        return
    for checkpoint in grid.checkpoints:
        if checkpoint.head is None and (entry.checkpoints is None or checkpoint.label in entry.checkpoints):
            raise marks.error(
                choice.place,
                f"{choice.label} reads a correction head and checkpoint {checkpoint.label} has none: give it one, "
                "or name those that have one in the policy's own key checkpoints: [...]",
            )


def _task(entry: TaskEntry, marks: Marks, at: int) -> Task:
    place = ("tasks", at, "name")
    task = _at(marks, place, load_task, entry.name, entry.split, entry.limit, **entry.options)
    _at(marks, place, task.prepare)
    return task


def _at(marks: Marks, place: tuple[Any, ...], call: Any, *args: Any, **options: Any) -> Any:
    """The call's result; a user's mistake is told with its line."""
    try:
        return call(*args, **options)
    except GridError:
        raise
    except ValueError as error:
        raise marks.error(place, one_line(error)) from None


def _made(marks: Marks, place: tuple[Any, ...], name: str, cls: Any, options: dict[str, Any]) -> Any:
    """A validated object; what is wrong is told with its line."""
    try:
        return cls(**options)
    except ValidationError as error:
        first: Any = error.errors()[0]
        said = sentence(first)
        option = first["loc"][0] if first["loc"] else said.split(" ")[0]  # or the first word, if it is one
        inside = first.get("ctx", {}).get("error")
        deeper = inside.place if isinstance(inside, PieceError) else ()
        raise marks.error((*place, option, *deeper), f"{name}: {said}") from None
