"""What every training objective is: a pure corruption and a scalar loss.

An objective owns the hyperparameters of one paper's training rule and nothing else: no model, no data, no
loop. The trainer calls ``corrupt`` on the clean answer window, runs the model on the result and hands the
output to ``loss``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from dlmsample.registry import resolve, unknown

ENTRY_POINTS = "dlmsample.objectives"
_BUILT_IN = {"mdm": "dlmsample.objectives.mdm:MDM"}

Draft = Callable[[Tensor], Tensor]
"""``draft(tokens [row, pos]) -> logits [row, pos, vocab]``: the model's own forward, without gradient."""


class Ids(NamedTuple):
    """The token ids a corruption may need: facts of the checkpoint, hence no field of an objective."""

    mask: int
    special: tuple[int, ...] = ()
    """Ids that a random replacement must never be (mask, padding, EOS, ...)."""
    vocab_size: int = 0


class Corrupted(NamedTuple):
    """One corrupted batch; every tensor is ``[row, pos]``."""

    input: Tensor
    """int64 ids the model sees."""
    targets: Tensor
    """int64 ids it should give; read only where ``weights`` is not 0."""
    weights: Tensor
    """float32 weight of each position's cross-entropy: a row's loss is ``sum(weights * CE)``."""
    sets: dict[str, Tensor]
    """Named boolean position sets, for metrics and diagnostics."""


class Objective(BaseModel, ABC):
    """A training rule: ``corrupt`` is pure and ``loss`` normalises within a row, then averages over rows.

    Subclasses declare their options as pydantic fields (unknown options are errors) and implement
    ``corrupt``. All draws are counter-based (:mod:`dlmsample.rng`) from one int64 key per row, so a row's
    corruption does not depend on its batch, its order or the device.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]

    @abstractmethod
    def corrupt(
        self,
        clean: Tensor,
        editable: Tensor,
        keys: Tensor,
        draft: Draft | None = None,
        blocks: Tensor | None = None,
        *,
        ids: Ids,
    ) -> Corrupted:
        """Corrupt the editable positions of a clean batch.

        Args:
            clean: int64 ``[row, pos]`` token ids.
            editable: bool ``[row, pos]``; False (prompt, padding) is neither corrupted nor supervised.
            keys: int64 ``[row]``, one key per sequence.
            draft: the model's forward without gradient; None where the rule needs no draft.
            blocks: int ``[row, pos]`` block index of each position, None for a bidirectional model.
            ids: the checkpoint's token ids.
        """

    def loss(self, logits: Tensor, corrupted: Corrupted) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted cross-entropy in float32: ``mean over rows of sum(weights * CE)``.

        Args:
            logits: ``[row, pos, vocab]``, any floating dtype.
            corrupted: what ``corrupt`` returned.

        Returns:
            The float32 scalar, and detached scalars: for each position set its share of all positions,
            padding included (``share/<set>``), its mean cross-entropy (``ce/<set>``) and argmax accuracy
            (``acc/<set>``).
        """
        # Dense over positions on purpose: picking the supervised ones would read their count back from the
        # device.
        flat = logits.float().flatten(0, 1)
        ce = F.cross_entropy(flat, corrupted.targets.flatten(), reduction="none").view_as(corrupted.weights)
        scalar = (corrupted.weights * ce).sum(1).mean()
        metrics: dict[str, Tensor] = {}
        with torch.no_grad():
            right = logits.argmax(-1) == corrupted.targets
            for name, members in corrupted.sets.items():
                count = members.sum().clamp(min=1)
                metrics[f"share/{name}"] = members.float().mean()
                metrics[f"ce/{name}"] = (ce * members).sum() / count
                metrics[f"acc/{name}"] = (right & members).sum() / count
        return scalar, metrics


def objective(name: str, **options: object) -> Objective:
    """Build an objective by its name, built in or from the entry-point group ``dlmsample.objectives``.

    Raises:
        ValueError: unknown name (with the nearest one), or options the objective refuses.

    Example:
        >>> objective("mdm", eps=0.01).model_dump()
        {'eps': 0.01}
    """
    targets = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)} | _BUILT_IN
    if name not in targets:
        raise unknown("objective", name, targets)
    return resolve(targets[name])(**options)
