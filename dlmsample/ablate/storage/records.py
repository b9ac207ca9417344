"""What a store holds, as plain values: cells of the grid, and results of examples, one by one or column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Literal

from dlmsample.ablate.storage.environment import Environment

Status = Literal["done", "pending", "failed"]


@dataclass(frozen=True)
class CellInfo:
    """One cell of the grid: a task, a checkpoint, a policy and a seed, and how far it has come."""

    key: str  #: hex content hash of everything that decides the numbers
    task: str  #: label, like "wordproblems"
    checkpoint: str  #: label, like "nano", "nano+scope", "nano/fca"
    policy: str  #: label, like "t2m(threshold=0.1)"
    policy_name: str
    options: dict[str, Any]  #: every option of the policy, defaults included
    seed: int
    block_length: int | Literal["all"] | None  #: tokens; None: the checkpoint's own
    temperature: float
    max_new_tokens: int
    expected: int  #: number of examples
    done: int  #: of them, how many have a result
    status: Status
    error: str | None = None  #: of a failed cell, in one line
    environment: int | None = None  #: number of another environment whose results these are; None: the cell's own


@dataclass(frozen=True)
class ResultSource:
    """An environment that results come from."""

    number: int  #: in the store, from 1
    environment: Environment
    answers: int  #: in the cells of the grid


@dataclass(frozen=True)
class ExampleResult:
    """The result of one example in one cell; the figures are those of :class:`dlmsample.RowStats`."""

    index: int  #: in the task's fixed order
    prompt: str
    reference: str  #: gold solution
    answer: str  #: gold final answer
    text: str  #: generated
    extracted: str | None  #: the answer found in ``text``
    correct: bool
    steps: int
    nfe: int
    prefill: int
    tokens: int
    fills: int
    replaces: int
    remasks: int
    forced: bool
    finish_reason: str
    wall_seconds: float  #: its share of the time its batch took
    positions: int | None = None  #: forwarded, those of the prompt included; None: not counted


@dataclass(frozen=True)
class ResultColumns:
    """The results of a cell: one tuple for each field of :class:`ExampleResult`, with one entry for each answer."""

    index: tuple[int, ...]
    answer: tuple[str, ...]
    text: tuple[str, ...]
    extracted: tuple[str | None, ...]
    correct: tuple[int, ...]  #: 0 or 1, as ``forced``
    steps: tuple[int, ...]
    nfe: tuple[int, ...]
    prefill: tuple[int, ...]
    tokens: tuple[int, ...]
    fills: tuple[int, ...]
    replaces: tuple[int, ...]
    remasks: tuple[int, ...]
    forced: tuple[int, ...]
    finish_reason: tuple[str, ...]
    wall_seconds: tuple[float, ...]
    positions: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> ResultColumns:
        """From rows; each holds one value a column, in their order."""
        return cls(*zip(*rows, strict=True)) if (rows := list(rows)) else cls(*[()] * len(NAMES))


#: The columns, in their order.
NAMES = tuple(field.name for field in fields(ResultColumns))


def joined(parts: Iterable[ResultColumns]) -> ResultColumns:
    """The results of several cells, one after the other.

    Example:
        >>> len(joined([ResultColumns.of([]), ResultColumns.of([])]))
        0
    """
    parts = list(parts)
    return parts[0] if len(parts) == 1 else ResultColumns(*(_along(parts, name) for name in NAMES))


def _along(parts: list[ResultColumns], name: str) -> tuple[Any, ...]:
    columns: Iterator[tuple[Any, ...]] = (getattr(part, name) for part in parts)
    return tuple(chain.from_iterable(columns))
