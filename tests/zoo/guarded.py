"""The guard against oscillation, position by position: any edit of the oracle's chains, and what it may still touch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from tests import oracle
from tests.oracle import Block, Chain, Numbers


class GuardedChain(Chain):
    """A chain whose edit no longer sees a position that has returned to a token it held before."""

    def __init__(self, block: Block, *, fill: dict, edit: dict):
        super().__init__(block, fill=fill, edit=edit["edit"])
        self.held: dict[int, set[int]] = {i: set() for i in block.editable}
        self.shut: set[int] = set()
        self.resets = 0

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        still_open = replace(self.block, editable=[i for i in self.block.editable if i not in self.shut])
        self.edit.block = still_open
        if self.edit.detector is not None:
            self.edit.detector.block = still_open
        if self.edit.rule == "buffered_remask":
            self.edit.remasks_left = max(0, 4 * still_open.n - self.resets)
        after = list(z)
        placed = self.fill.choose(step, key, z, numbers) if self.block.masked(z) else []
        for i in placed:
            after[i] = numbers[i].token
        changed = self.edit.changes(step, key, z, numbers)
        for i, token in changed.items():
            after[i] = token
        if self.edit.detector is not None:
            self.edit.detector.remember(z, after, numbers)
        self.edit.post.after_step(z, bool(changed))

        self.resets += sum(token == self.block.mask_id for token in changed.values())
        for i in self.block.editable:
            if after[i] not in (z[i], self.block.mask_id):
                if after[i] in self.held[i]:
                    self.shut.add(i)
                self.held[i].add(after[i])
        return after


def chain(block: Block, *, fill: dict, edit: dict) -> Any:
    """A guarded chain, or the oracle's own."""
    return (GuardedChain if edit["rule"] == "guard" else Chain)(block, fill=fill, edit=edit)


oracle.POLICIES["chain"] = chain  # type: ignore[assignment]
