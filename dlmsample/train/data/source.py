"""Where training rows come from: generated tasks and files, behind one small protocol."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dlmsample.rng import draw, fold
from dlmsample.tasks import TASKS, list_tasks, task_class
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.data.encoder import Encoder, make_encoder
from dlmsample.train.data.records import blanks

_MIX = 101
"""Separates the mixture's draws from the other draws of a row (windows and blocks: 102 to 105, order: 106)."""


class Drawn(NamedTuple):
    """Some rows: each a slice of one flat array, first its prompt, then its answer with the EOS."""

    flat: np.ndarray
    """int32 ``[token]``; may hold other rows too."""
    start: np.ndarray
    """int64 ``[row]``, where the row begins."""
    prompt: np.ndarray
    """int64 ``[row]`` prompt length."""
    answer: np.ndarray
    """int64 ``[row]`` answer length, at least 1."""
    room: np.ndarray | None
    """int64 ``[row]``: prompt and window together take no more; None: no limit."""
    keys: Tensor
    """int64 ``[row]``, see :func:`row_keys`."""


class RowSource(Protocol):
    """Rows by number; a pure function, so that any process, worker or resumed run draws the same."""

    @property
    def encoder(self) -> Encoder:
        """The run's text encoder."""
        ...

    @property
    def size(self) -> int | None:
        """Rows of an epoch; None: no two rows are the same."""
        ...

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines for people: what was read and what was left out; empty where nothing was read."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for equal data; empty where the configuration says all."""
        ...

    def rows(self, numbers: Tensor) -> Drawn:
        """The rows with these numbers, int64 ``[row]``, counted from the run's first row."""
        ...


def row_keys(seed: int, epoch: int | Tensor, indices: Tensor) -> Tensor:
    """One int64 key per sequence, a function of (seed, epoch, example index) alone."""
    return fold(torch.tensor(seed, dtype=torch.int64), epoch, indices)


def starts(lengths: np.ndarray) -> np.ndarray:
    """int64 ``[row]``: where each row begins in a flat array."""
    return np.cumsum(lengths) - lengths


class MixturePart(NamedTuple):
    """A share of a task's examples and what makes them."""

    share: float
    name: str
    problem: Callable[..., Any]
    options: dict[str, Any]


class TaskSource:
    """Generated rows: number i is example i of a split; there is no second epoch.

    Raises:
        TrainError: no such task, no generator in it, or an option that it does not take.
    """

    size = None
    summary = ()
    fingerprint = ""

    def __init__(self, config: TrainConfig, split: str = "train") -> None:
        assert config.task is not None
        self.config, self.split, task = config, split, config.task
        self.main = _part(1.0, task.name, task.options)
        self.parts = [
            _part(mix.share, mix.name or task.name, mix.options if mix.name else {**task.options, **mix.options})
            for mix in task.mix
        ]

    @property
    def encoder(self) -> Encoder:
        """Made where it is first needed: each worker has its own."""
        return self._encoder

    @cached_property
    def _encoder(self) -> Encoder:
        return make_encoder(self.config)

    def rows(self, numbers: Tensor) -> Drawn:
        """See :class:`RowSource`."""
        keys = row_keys(self.config.seed, 0, numbers)
        chosen, indices = self._choose(keys), numbers.tolist()
        made = [part.problem(self.split, i, **part.options) for part, i in zip(chosen, indices, strict=True)]
        texts = [text for example in made for text in (example.prompt, example.completion)]
        if found := blanks(texts):
            row, what = divmod(found[0], 2)
            raise TrainError(
                f"task {chosen[row].name}: example {indices[row]} of the split {self.split!r} has a blank "
                f"{('prompt', 'answer')[what]}: mend what makes it"
            )
        prompts, answers = [(text,) for text in texts[::2]], texts[1::2]
        flat, prompt, answer = self.encoder.rows([("user",)] * len(made), prompts, answers)
        return Drawn(flat, starts(prompt + answer), prompt, answer, None, keys)

    def _choose(self, keys: Tensor) -> list[MixturePart]:
        """The part of each row: the first whose shares up to it exceed the row's draw, else the task itself."""
        parts = [*self.parts, self.main]
        if not self.parts:
            return parts * len(keys)
        draws = draw(keys, _MIX).double()
        edges = torch.tensor([part.share for part in self.parts], dtype=torch.float64).cumsum(0)
        return [parts[i] for i in torch.searchsorted(edges, draws, right=True).tolist()]


def generator(name: str) -> Callable[..., Any]:
    """The function that makes example ``index`` of a split.

    Args:
        name: ``package.module:function``, or a task, of another package too: the function ``problem`` beside its
            class.

    Raises:
        TrainError: there is none.
    """
    try:
        return _generator(name)
    except (ImportError, AttributeError, ValueError) as error:
        known = [task for task in list_tasks() if _generates(task)]
        raise TrainError(f"unknown task {name!r} ({error}); tasks that generate data: {', '.join(known)}") from None


def _generator(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    if not attribute:  # a part of a mixture need not be a task
        module = task_class(name).__module__ if name in TASKS else f"dlmsample.tasks.{name}"
    return getattr(importlib.import_module(module), attribute or "problem")


def _generates(task: str) -> bool:
    with suppress(ImportError, AttributeError, ValueError):
        return callable(_generator(task))
    return False


def _part(share: float, name: str, options: dict[str, Any]) -> MixturePart:
    function = generator(name)
    known = inspect.signature(function).parameters
    for key in options:
        if key not in known:
            raise TrainError(f"task {name}: unknown option {key!r}; known: {', '.join(known)}")
    return MixturePart(share, name, function, options)
