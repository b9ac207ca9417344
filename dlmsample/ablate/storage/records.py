"""What a store holds, as plain values: a cell of the grid, and the result of one example in it."""

from __future__ import annotations

from dataclasses import dataclass
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
class Source:
    """An environment that results come from."""

    number: int  #: in the store, from 1
    environment: Environment
    answers: int  #: in the cells of the grid


@dataclass(frozen=True)
class ExampleResult:
    """What became of one example in one cell; the figures are those of :class:`dlmsample.RowStats`."""

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
