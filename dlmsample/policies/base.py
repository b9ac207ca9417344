"""The contract of a policy: frozen, validated options and pure functions over tensors whose first axis is the row."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from torch import Tensor

from dlmsample.support.files import atomic_write
from dlmsample.support.validated import Options
from dlmsample.types import Block, Prediction, Update


class Stateless(NamedTuple):
    """State of a policy that remembers nothing within a block."""


class Asked(NamedTuple):
    """What a policy asks of a step's prediction, before the prediction is made; None: nothing of that kind."""

    no_eos: Tensor | None = None  #: bool ``[row]``, rows in which EOS is no candidate
    eos_divisor: Tensor | None = None  #: float32 ``[row]``, what the logits of EOS are divided by; 1 leaves them
    ids: Tensor | None = None  #: int64 ``[row, pos, k]``, ids whose log-probabilities ``Prediction.asked`` gives


class Policy(Options, ABC):
    """A decoding rule. Subclass it, declare options as pydantic fields, give ``step`` (and ``init`` if it has state).

    ``init`` and ``step`` are pure; state is a NamedTuple of tensors whose first axis is the row, and is made
    anew whenever a row enters a block. A step runs without host synchronisation and without a Python branch on
    data (the protocol tests run it under ``FakeTensorMode``). Rows stand at different blocks and steps: read
    ``block.step``, never count in Python.
    """

    noun: ClassVar[str] = "policy"
    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    #: Options that name a file, at any depth of the dump: a grid tells cells apart by what is in them.
    files: ClassVar[frozenset[str]] = frozenset()

    @property
    def needs(self) -> frozenset[str]:
        """Which optional numbers of :class:`~dlmsample.types.Prediction` it reads.

        Entropy, margin, error, loo_prob, gap, kl, listed.
        """
        return frozenset()

    @property
    def reasons(self) -> tuple[str, ...]:
        """What may ask for an edit; :class:`~dlmsample.types.EditInfo` refers to them by number."""
        return ()

    @property
    def draws(self) -> bool:
        """Whether its steps may draw at random, so that a seed counts even at temperature 0.

        Of a policy of another package it is not known; it may override this.
        """
        return not type(self).__module__.startswith("dlmsample.") or '"random"' in self.model_dump_json()

    def init(self, block: Block) -> Any:
        """State of a row on entering ``block``."""
        return Stateless()

    @abstractmethod
    def step(self, state: Any, block: Block, pred: Prediction) -> tuple[Any, Update]:
        """One update from one forward: the next state, the block's next tokens, and which rows are done with it."""

    @abstractmethod
    def max_steps(self, block: Block) -> Tensor:
        """int64 ``[row]``: a bound on the updates this block can take. The sampler enforces it."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same policy with some options changed; they are validated as those of a new one."""
        options = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**options, **(update or {})})

    def entry(self) -> dict[str, Any]:
        """The policy as a plain dict, as grid files and ``decoding_config.json`` name it.

        Returns:
            its name under ``policy`` and every option; :func:`dlmsample.policy` reads it back.

        Example:
            >>> from dlmsample.policies.t2m import T2M
            >>> T2M(threshold=0.2).entry()["policy"]
            't2m'
        """
        return {"policy": self.name, **self.model_dump(mode="json")}

    def save(self, path: str | PathLike[str]) -> None:
        """Write :meth:`entry` to a JSON file, which :func:`dlmsample.policy` reads back by its path.

        Raises:
            ValueError: the file cannot be written.
        """
        with atomic_write(Path(path).expanduser()) as file:
            file.write(json.dumps(self.entry(), indent=2, ensure_ascii=False) + "\n")

    def asks(self, state: Any, block: Block) -> Asked:
        """What it asks of this step's prediction, beside what it :attr:`needs` at every step."""
        return Asked()

    def table(self) -> Tensor | None:
        """float32 ``[id]``: a number for each id, of which ``Prediction.listed`` gives the candidate's.

        The last entry stands for every id beyond. Read once for a call of the Sampler, where ``listed`` is needed.
        """
        return None
