"""What every training objective is: a pure corruption and a scalar loss.

An objective owns the hyperparameters of one paper's training rule and nothing else: no model, no data, no
loop. The trainer calls ``corrupt`` on the clean answer window, runs the model on the result and hands the
output to ``loss``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dlmsample.support.registry import Registry
from dlmsample.support.validated import Options

OBJECTIVES = Registry(
    "objective",
    "dlmsample.objectives",
    {
        "mdm": "dlmsample.objectives.mdm:MDM",
        "random_t2t": "dlmsample.objectives.random_t2t:RandomT2T",
        "self_generated_t2t": "dlmsample.objectives.self_generated_t2t:SelfGeneratedT2T",
        "scope": "dlmsample.objectives.scope:SCOPE",
        "fca": "dlmsample.objectives.fca:FCA",
        "proseco": "dlmsample.objectives.proseco:SelfCorrection",
        "certainty": "dlmsample.objectives.certainty:Certainty",
    },
)

Draft = Callable[[Tensor], Tensor]
"""``draft(tokens [row, pos]) -> logits [row, pos, vocab]``: the model's own forward, run without gradient."""


class Ids(NamedTuple):
    """The token ids a corruption may need: facts of the checkpoint, hence no field of an objective."""

    mask: int
    special: tuple[int, ...] = ()
    """Ids that a random replacement must never be (mask, padding, EOS, ...)."""
    end: int = 0
    """Ids from here on have no token: a vocabulary is often padded beyond its tokenizer. 0: not told."""
    tokenless: tuple[int, ...] = ()
    """Ids below that have no token either; no draft and no random replacement is one."""


class Batch(NamedTuple):
    """Clean sequences and what a corruption must know of them; every tensor's first axis is the row."""

    clean: Tensor
    """int64 ``[row, pos]`` token ids."""
    editable: Tensor
    """bool ``[row, pos]``; False (prompt, padding) is neither corrupted nor supervised."""
    keys: Tensor
    """int64 ``[row]``, one key per sequence: all its draws come from it."""
    ids: Ids
    """The checkpoint's token ids."""
    blocks: Tensor | None = None
    """int ``[row, pos]`` block index of each position; None for a bidirectional model."""


class Apart(NamedTuple):
    """A second state of the same batch, for a loss that reads the logits of one state and the errors of another."""

    input: Tensor
    """int64 ``[row, pos]`` ids that the model sees for the logits."""
    weights: Tensor
    """float32 ``[row, pos]`` weight of each position's cross-entropy."""


class Corrupted(NamedTuple):
    """One corrupted batch; every tensor is ``[row, pos]``."""

    input: Tensor
    """int64 ids the model sees."""
    targets: Tensor
    """int64 ids it should give; read only where ``weights`` is not 0."""
    weights: Tensor
    """float32 weight of each position's term (its cross-entropy, if not said otherwise): a row's loss is
    ``sum(weights * term)``."""
    sets: dict[str, Tensor]
    """Named boolean position sets, for metrics and diagnostics."""
    apart: Apart | None = None
    """Where logits are those of another input: a second forward. The first one gives errors, or logits as well."""


class Outputs(NamedTuple):
    """What the model gives to an objective that reads two things of it."""

    logits: Tensor
    """``[row, pos, vocab]``; of ``Corrupted.apart``'s input where there is one."""
    error: Tensor | None = None
    """``[row, pos]`` error logit of the correction head."""
    of_input: Tensor | None = None
    """``[row, pos, vocab]``, logits of ``Corrupted.input`` where ``logits`` are of ``apart`` and no error is read."""


class Objective(Options, ABC):
    """A training rule: ``corrupt`` is pure and ``loss`` normalises within a row, then averages over rows.

    Subclasses declare their options as pydantic fields (unknown options are errors) and implement
    ``corrupt``. All draws are counter-based (:mod:`dlmsample.rng`) from one int64 key per row, so a row's
    corruption does not depend on its batch, its order or the device. ``corrupt`` runs without host
    synchronisation and without a Python branch on data.

    A term that is a mean over a set adds 0 for a row in which the set is empty; that row still counts in the
    mean over rows.
    """

    noun: ClassVar[str] = "objective"
    not_a_bool: ClassVar[str] = "give a number"
    name: ClassVar[str]
    made_for: ClassVar[Mapping[str, Any]] = {}
    """The sampler whose steps it trains for, as a grid names a policy; written beside the weights. Empty: none."""

    @property
    def needs(self) -> frozenset[str]:
        """What ``loss`` reads of the model: ``logits``, ``error`` (a correction head), or both."""
        return frozenset({"logits"})

    @abstractmethod
    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """Corrupt the editable positions of a clean batch.

        Args:
            batch: the clean sequences.
            draft: the model's forward without gradient; None where the rule needs no draft.
        """

    def loss(self, output: Tensor | Outputs, corrupted: Corrupted) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted cross-entropy in float32: ``mean over rows of sum(weights * CE)``.

        Args:
            output: what :attr:`needs` asks for, any floating dtype: logits ``[row, pos, vocab]``, error logits
                ``[row, pos]``, or :class:`Outputs` with both.
            corrupted: what ``corrupt`` returned.

        Returns:
            The float32 scalar, and detached scalars: for each position set its share of all positions,
            padding included (``share/<set>``), its mean cross-entropy (``ce/<set>``) and argmax accuracy
            (``acc/<set>``). Means are over the batch's members of the set, 0 where there are none.
        """
        logits = output.logits if isinstance(output, Outputs) else output
        ce, right = cross_entropy(logits, corrupted)
        metrics = shares(corrupted.sets) | means(corrupted.sets, ce=ce, acc=right)
        return (corrupted.weights * ce).sum(1).mean(), metrics


def per_row_mean(members: Tensor, weight: float = 1.0) -> Tensor:
    """float32 ``[row, pos]`` weights that make a sum the mean over a row's members, times ``weight``; all 0 if none.

    Example:
        >>> per_row_mean(torch.tensor([[True, True, False], [False, False, False]])).tolist()
        [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    return torch.where(members, weight / members.sum(1, keepdim=True).clamp(min=1), 0.0)


def cross_entropy(logits: Tensor, corrupted: Corrupted) -> tuple[Tensor, Tensor]:
    """float32 cross-entropy against the targets, and whether the argmax is right: both ``[row, pos]``."""
    # Dense over positions on purpose: picking the supervised ones would read their count back from the device.
    flat = logits.float().flatten(0, 1)
    ce = F.cross_entropy(flat, corrupted.targets.flatten(), reduction="none").view_as(corrupted.weights)
    return ce, logits.detach().argmax(-1) == corrupted.targets


def shares(sets: dict[str, Tensor]) -> dict[str, Tensor]:
    """``share/<set>``: how large each set is among all positions, padding included."""
    return {f"share/{name}": members.float().mean() for name, members in sets.items()}


def means(sets: dict[str, Tensor], **values: Tensor) -> dict[str, Tensor]:
    """``<value>/<set>``: mean of each ``[row, pos]`` value over each set, detached; 0 over an empty set."""
    return {
        f"{key}/{name}": (value.detach() * members).sum() / members.sum().clamp(min=1)
        for name, members in sets.items()
        for key, value in values.items()
    }


def objective(name: str, **options: object) -> Objective:
    """Build an objective by its name, built in or from the entry-point group ``dlmsample.objectives``.

    Raises:
        ValueError: unknown name (with the nearest one), or options the objective refuses.

    Example:
        >>> objective("mdm", eps=0.01).eps
        0.01
    """
    return OBJECTIVES[name](**options)
