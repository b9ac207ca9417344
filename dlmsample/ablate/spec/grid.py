"""The grid file: what is compared with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dlmsample.support.text import scalar
from dlmsample.support.yamlfile import Marks, Section, document, load, validated
from dlmsample.support.yamlfile import YamlError as GridError
from dlmsample.tasks import is_task, task_options

__all__ = ["CellSettings", "CheckpointEntry", "Grid", "GridError", "PolicyEntry", "TaskEntry", "parse", "read"]


def _block(value: Any) -> Any:
    """Check a block length here, since pydantic would report one error for each member of the union."""
    if value is None or value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError('must be a number of tokens or "all"')


#: Task options that say where data lie or what is permitted: they change no number, and no label names them.
OUTSIDE = ("data_dir", "allow_code_execution")
Count = Annotated[int, Field(ge=1, strict=True)]
BlockLength = Annotated[int | Literal["all"] | None, BeforeValidator(_block)]
Temperature = Annotated[float, Field(ge=0, strict=True)]
Name = Annotated[str, Field(min_length=1)]


class TaskEntry(Section):
    """A task: its name, split, how many of its first examples, and its own options."""

    name: Name
    split: Name | None = None
    """None: the one that is reported, see :func:`dlmsample.tasks.load`."""
    limit: Count | None = None
    options: dict[str, Any] = {}

    @field_validator("options")
    @classmethod
    def _no_permission(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "allow_code_execution" in options:
            raise ValueError("a grid file cannot allow code to run: give --allow-code-execution on the command line")
        return options

    @property
    def label(self) -> str:
        """``wordproblems``; another split than test and options are named."""
        split = "" if self.split in (None, "test") else f"/{self.split}"
        shown = {key: value for key, value in self.options.items() if key not in OUTSIDE}
        return f"{self.name}{split}{arguments(shown)}"


class CheckpointEntry(Section):
    """A model, on request with an adapter or a correction head."""

    model: Name
    adapter: Name | None = None
    head: Name | None = None
    dtype: Name | None = None
    device: Name | None = None
    name: Name | None = None
    """Its label; None: made of the above."""

    @field_validator("dtype")
    @classmethod
    def _is_the_same_everywhere(cls, dtype: str | None) -> str | None:
        if dtype == "auto":
            raise ValueError("auto is another dtype on another machine: name one, such as float32 or bfloat16")
        return dtype

    @property
    def label(self) -> str:
        """``nano``, ``nano+scope`` with an adapter, ``nano/fca`` with a head."""
        adapter = "" if self.adapter is None else f"+{self.adapter}"
        head = "" if self.head is None else f"/{self.head}"
        return self.name or f"{self.model}{adapter}{head}"


class CellSettings(Section):
    """What a policy entry may carry besides the policy's options."""

    block_length: BlockLength = None
    temperature: Temperature = 0.0
    max_new_tokens: Count = 160


class PolicyEntry(BaseModel):
    """A policy and its options; every list expands, several of them to all combinations.

    ``checkpoints`` and ``tasks`` name the labels it is run with; without them it is run with all.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    policy: Name
    checkpoints: list[Name] | None = None
    tasks: list[Name] | None = None

    @property
    def size(self) -> int:
        """Number of :meth:`variants`."""
        return prod(len(value) for value in self._options().values() if isinstance(value, list))

    @property
    def first(self) -> PolicyEntry:
        """The same policy with the first value of each list alone."""
        one = {key: value[0] if isinstance(value, list) and value else value for key, value in self._options().items()}
        return self.model_validate({**self.model_dump(include=set(type(self).model_fields)), **one})

    def _options(self) -> dict[str, Any]:
        return self.model_extra or {}

    def wants(self, task: str, checkpoint: str) -> bool:
        """Whether it is run on a task with a checkpoint, by their labels."""
        given = ((self.tasks, task), (self.checkpoints, checkpoint))
        return all(labels is None or label in labels for labels, label in given)

    def variants(self) -> Iterator[dict[str, Any]]:
        """Options and settings with one value each, in the order of the file; the first list varies slowest."""
        given = self._options()
        lists = [value if isinstance(value, list) else [value] for value in given.values()]
        for values in product(*lists):
            yield dict(zip(given, values, strict=True))


class Grid(Section):
    """Every task with every checkpoint, policy and seed.

    Example:
        >>> grid = parse("{name: g, tasks: [{name: wordproblems}], checkpoints: [{model: nano}], "
        ...              "policies: [{policy: t2m, threshold: [0.1, 0.3], max_remasks: [1, 3]}]}")
        >>> len(list(grid.policies[0].variants()))
        4
    """

    name: Name
    tasks: list[TaskEntry] = Field(min_length=1)
    checkpoints: list[CheckpointEntry] = Field(min_length=1)
    policies: list[PolicyEntry] = Field(min_length=1)
    seeds: list[Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]] = Field(default=[0], min_length=1)
    max_new_tokens: Count = 160
    batch_size: Count = 32
    """Rows in one forward; it changes no number."""
    block_length: BlockLength = None
    temperature: Temperature = 0.0
    top_p: Annotated[float, Field(gt=0, le=1, strict=True)] = 1.0
    top_k: Count | None = None
    baseline: Name | None = None
    """What the report compares with; see ``dlmsample report``."""

    @model_validator(mode="after")
    def _distinct(self) -> Grid:
        for kind, labels in (
            ("tasks", [t.label for t in self.tasks]),
            ("checkpoints", [c.label for c in self.checkpoints]),
            ("seeds", self.seeds),
        ):
            twice = next((label for label, times in Counter[object](labels).items() if times > 1), None)
            if twice is not None:
                remedy = "give one of them another name" if kind == "checkpoints" else "keep one"
                raise ValueError(f"{kind} holds {twice!r} twice: {remedy}")
        return self

    @property
    def sizes(self) -> dict[str, int]:
        """Label of each task -> number of its cells; cells that will turn out equal are counted apart.

        Example:
            >>> parse("{name: g, tasks: [{name: wordproblems}], checkpoints: [{model: nano}], seeds: [0, 1], "
            ...       "policies: [{policy: t2m, threshold: [0.1, 0.3]}]}").sizes
            {'wordproblems': 4}
        """
        return {
            task.label: len(self.seeds)
            * sum(
                policy.size
                for policy in self.policies
                for checkpoint in self.checkpoints
                if policy.wants(task.label, checkpoint.label)
            )
            for task in self.tasks
        }

    def with_options(self, given: dict[str, Any]) -> Grid:
        """The same grid with task options added: to each task those that it knows and does not set itself."""
        tasks = [
            task.model_copy(update={"options": {**_known(task.name, given), **task.options}}) for task in self.tasks
        ]
        return self.model_copy(update={"tasks": tasks})

    def asking(self, task: TaskEntry | None) -> Grid:
        """The same grid with one task in place of its own; None: unchanged."""
        return self if task is None else self.model_copy(update={"tasks": [task]})

    def resized(self, limit: int | None = None, batch_size: int | None = None) -> Grid:
        """The same grid with another limit of examples a task, or another batch size; None: unchanged.

        Raises:
            ValueError: a number below 1.
        """
        for name, value in (("--limit", limit), ("--batch-size", batch_size)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more (got {value})")
        tasks = [task if limit is None else task.model_copy(update={"limit": limit}) for task in self.tasks]
        return self.model_copy(update={"tasks": tasks, "batch_size": batch_size or self.batch_size})

    @property
    def settings(self) -> CellSettings:
        """What holds for the policies that do not say otherwise."""
        return CellSettings(
            block_length=self.block_length, temperature=self.temperature, max_new_tokens=self.max_new_tokens
        )


def read(path: str | Path) -> tuple[Grid, Marks]:
    """A grid file, and where its keys stand.

    Raises:
        GridError: it cannot be read, or one line about every mistake, with its line number.
    """
    data, marks = document(path, "grid")
    return validate(data, marks), marks


def parse(text: str) -> Grid:
    """A grid from YAML text.

    Raises:
        GridError: one line about every mistake, with its line number.
    """
    return validate(*load(text, "grid"))


def validate(data: Any, marks: Marks) -> Grid:
    """Check plain data.

    Raises:
        GridError: one line about every mistake.
    """
    if not isinstance(data, dict):
        raise marks.error((), "a grid is keys and values: name, tasks, checkpoints, policies")
    for key, (what, remedy) in _OTHER_FILES.items():
        if key in data and "policies" not in data:
            raise marks.error((key,), f"this is {what}, no grid: {remedy}")
    return validated(Grid, data, marks, _SECTIONS)


_OTHER_FILES = {  # a key that tells what a file is instead
    "objective": ("a recipe for training", "dlmsample train --recipe FILE"),
    "extends": ("a recipe for training", "dlmsample train --recipe FILE"),
    "papers": ("a list of papers' claims", "dlmsample report DIR --claims FILE"),
}
_SECTIONS: dict[str, type[BaseModel]] = {
    "tasks": TaskEntry,
    "checkpoints": CheckpointEntry,
    "policies": PolicyEntry,
}


def _known(task: str, given: dict[str, Any]) -> dict[str, Any]:
    known = task_options(task) if is_task(task) else {}
    return {key: value for key, value in given.items() if key in known}


def arguments(options: dict[str, Any]) -> str:
    """The options of a label, like ``(threshold=0.1)``; nothing without any."""
    shown = ", ".join(f"{key}={scalar(value)}" for key, value in options.items())
    return f"({shown})" if shown else ""
