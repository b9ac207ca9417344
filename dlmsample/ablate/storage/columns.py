"""The results of a cell column by column: what a report reads of a large grid, without an object for each answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from typing import Any

from dlmsample.ablate.analysis.last_mile import last_mile


@dataclass(frozen=True)
class Columns:
    """An entry an answer in every column, which are those of :class:`ExampleResult`."""

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

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def last_mile(self) -> tuple[bool | None, ...]:
        """:func:`~dlmsample.ablate.analysis.last_mile.last_mile` of the wrong answers; None for right ones too."""
        rows = zip(self.correct, self.text, self.answer, strict=True)
        return tuple(None if correct else last_mile(text, answer) for correct, text, answer in rows)

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> Columns:
        """From rows; each holds one value a column, in their order."""
        return cls(*zip(*rows, strict=True)) if (rows := list(rows)) else cls(*[()] * len(NAMES))


#: The columns, in their order.
NAMES = tuple(field.name for field in fields(Columns))


def joined(parts: Iterable[Columns]) -> Columns:
    """Several cells as one.

    Example:
        >>> len(joined([Columns.of([]), Columns.of([])]))
        0
    """
    parts = list(parts)
    return parts[0] if len(parts) == 1 else Columns(*(_along(parts, name) for name in NAMES))


def _along(parts: list[Columns], name: str) -> tuple[Any, ...]:
    columns: Iterator[tuple[Any, ...]] = (getattr(part, name) for part in parts)
    return tuple(chain.from_iterable(columns))
