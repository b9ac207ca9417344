"""Rows that say nothing: counted, and named by file and line; ``data.blank`` decides what becomes of them.

A prompt, an answer or a document is blank when it is empty or holds nothing that shows: white space, control
characters, marks of no width. A blank answer trains a model to end at once, a blank prompt to answer nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dlmsample.train.data.records import Mistakes, Record, blanks

SHOWN = 5
"""So many blank rows that are no mistake are named; the others are counted."""


class Blanks(NamedTuple):
    """The blank rows that were read and not refused."""

    rows: int = 0
    places: tuple[str, ...] = ()
    """``file:line`` and part of the first of them."""
    kept: bool = False

    def line(self) -> str:
        """For people, like ``2 blank rows left out: a.jsonl:3 (answer), a.jsonl:9 (prompt)``."""
        rest = self.rows - len(self.places)
        more = f", and {rest:,} more" if rest else ""
        rows, what = "row" if self.rows == 1 else "rows", "trained on" if self.kept else "left out"
        return f"{self.rows:,} blank {rows} {what}: {', '.join(self.places)}{more}"


class BlankRows:
    """Collects the blank rows of a run.

    Args:
        what: ``data.blank``: ``"refuse"``, ``"skip"`` or ``"keep"``.
    """

    def __init__(self, what: str) -> None:
        self.what, self.count, self.places = what, 0, []

    def find(self, records: Sequence[Record]) -> np.ndarray:
        """Bool ``[row]``: the blank ones."""
        return np.array([bool(blank_part(record)) for record in records], dtype=bool)

    def add(self, records: Sequence[Record], rows: Iterable[int], mistakes: Mistakes) -> None:
        """Note blank rows; where they are refused, each is a mistake."""
        for record in (records[row] for row in rows):
            part = blank_part(record)
            if self.what == "refuse":
                mistakes.add(
                    record.where,
                    f"the {part} is empty or blank: fill it, or leave such rows out with data.blank=skip "
                    "(data.blank=keep trains on them)",
                )
                continue
            self.count += 1
            if len(self.places) < SHOWN:
                self.places.append(f"{record.where} ({part})")

    def taken(self) -> Blanks:
        """What was noted and is no mistake."""
        return Blanks(self.count, tuple(self.places), self.what == "keep")


def blank_part(record: Record) -> str:
    """What of a row is blank: ``"answer"``, ``"document"`` or ``"prompt"``; ``""``: nothing.

    Of several messages before the answer each must say something, but for a system's beside others.

    Example:
        >>> blank_part(Record("a:1", ("user",), (" ",), "4"))
        'prompt'
        >>> blank_part(Record("a:2", ("system", "user"), ("", "2 + 2?"), "4"))
        ''
    """
    if blanks([record.answer]):
        return "answer" if record.roles else "document"
    pairs = zip(record.roles, record.contents, strict=True)
    asked = [said for role, said in pairs if role != "system"] or record.contents
    return "prompt" if blanks(asked) else ""
