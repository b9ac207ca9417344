"""What a task is: examples with a gold answer, and a scorer for any text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Example:
    """One problem: ``prompt`` (question alone), ``answer`` (gold, final), ``reference`` (gold solution).

    ``meta`` is free-form and takes no part in comparison or hashing.

    Example:
        >>> Example("What is 1 + 1?", "2", "Sum: 1 + 1 = 2.\\n#### 2").completion
        ' Sum: 1 + 1 = 2.\\n#### 2'
    """

    prompt: str
    answer: str
    reference: str
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def completion(self) -> str:
        """The exact text that continues a templated prompt in training: a space, then ``reference``.

        Training, evaluation and the tokenizer all take it from here. Generated text therefore usually starts
        with a space; scorers do not mind and people strip it.
        """
        return " " + self.reference


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict on one text: ``correct``, and the answer ``extracted`` from it (None: there was none)."""

    correct: bool
    extracted: str | None


class Task(ABC):
    """A named, ordered, indexable set of examples (one split) together with its scorer.

    Subclasses give ``name``, ``splits``, ``__len__``, ``example`` and ``score``; indexing (negative too),
    slicing to a list and iteration come from here. A subclass is made as ``cls(split, limit, **options)``,
    its options being its keyword-only arguments. Raises: IndexError outside ``len``.
    """

    name: ClassVar[str]
    source: ClassVar[str] = "generated"
    """Who published the examples, and their licence."""
    scorer: ClassVar[str] = "exact final answer"
    """What counts as correct, in a few words."""
    splits: ClassVar[tuple[str, ...]] = ("train", "valid", "test")

    def __init__(self, split: str = "test", limit: int | None = None, **options: Any) -> None:
        """Keep ``split``; subclasses call this. Raises: ValueError: unknown split, or limit below 1."""
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise ValueError(f"unknown split {split!r} of task {self.name}; choose from {known}")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ValueError(f"limit must be an integer of at least 1, or None for all; got {limit!r}")
        self.split = split

    @abstractmethod
    def __len__(self) -> int:
        """How many examples the split (or the limit put on it) holds."""

    @abstractmethod
    def example(self, index: int) -> Example:
        """The example at ``0 <= index < len(self)``; the same one at every call."""

    @abstractmethod
    def score(self, example: Example, text: str) -> Score:
        """Judge a model's ``text`` against the gold answer of ``example``; no text makes it raise."""

    def prepare(self) -> None:  # noqa: B027 (most tasks need nothing)
        """Raise now what ``score`` would raise at its first call: a missing library, a permission not given.

        A long run calls it before it generates anything. Raises: ValueError naming what to do.
        """

    def __getitem__(self, index: int | slice) -> Any:
        """``task[3]`` is an Example; ``task[:10]`` a list of them."""
        if isinstance(index, slice):
            return [self.example(i) for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"example {index} of {self.name}/{self.split}, which has {len(self)}")
        return self.example(at)

    def __iter__(self) -> Iterator[Example]:
        return (self.example(i) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(split={self.split!r}, examples={len(self)})"
