"""What callers pass in, checked: numbers, and the seeds of a list of prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Real
from operator import index
from typing import Any

from dlmsample import rng


def integer(name: str, value: Any) -> int:
    """``value`` as an int; NumPy's integers count, bools and floats do not."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise ValueError(f"{name} must be an int, not {value!r}")


def real(name: str, value: Any) -> float:
    """``value`` as a float; NumPy's numbers count, bools and tensors do not."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{name} must be a number, not {value!r}")


class RowKeys:
    """A 64-bit key per prompt: of the seed, its ids, and how many equal prompts came before."""

    def __init__(self, seed: int) -> None:
        self._seed = integer("seed", seed)
        self._seen: Counter[int] = Counter()  # by a hash, so that endless prompts leave a number each

    def of(self, ids: Sequence[int]) -> int:
        """The key of the next prompt."""
        prompt = rng.sequence_key(0, ids)
        self._seen[prompt] += 1
        return rng.sequence_key(self._seed, ids, self._seen[prompt] - 1)


def row_keys(seed: int | Sequence[int], ids: list[list[int]]) -> list[int]:
    """A key per prompt, see :class:`RowKeys`; with a seed for each, of that seed and its ids alone."""
    if isinstance(seed, Sequence) and not isinstance(seed, (str, bytes)):
        if len(seed) != len(ids):
            raise ValueError(f"{len(seed)} seeds for {len(ids)} prompts: give one int, or one per prompt")
        return [rng.sequence_key(integer("seed", s), i, 0) for s, i in zip(seed, ids, strict=True)]
    keys = RowKeys(integer("seed", seed))
    return [keys.of(prompt) for prompt in ids]
