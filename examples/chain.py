"""Policies from pieces: pair fill rules with edit rules, and write a detector of your own in a dozen lines.

``Doubted`` flags a token only when two forwards in a row gave it a low probability. Under ``ds.edit.Remask`` it is
capped as every detector is, and it goes with every fill rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

import dlmsample as ds


class Memory(NamedTuple):
    doubted: Tensor  # bool [row, pos], the last forward doubted the token standing here


@dataclass(frozen=True)
class Doubted(ds.detect.Detector):
    """The standing token had ``q < threshold`` in this forward and in the one before."""

    rule: ClassVar[str] = "doubted"
    threshold: float = 0.3

    def init(self, block: ds.Block) -> Memory:
        return Memory(torch.zeros_like(block.editable))

    def judge(self, memory: Memory, block: ds.Block, pred: ds.Prediction) -> ds.detect.Suspects:
        doubted = block.visible & (pred.current_prob < self.threshold)
        order = torch.where(doubted & memory.doubted, pred.current_prob, torch.inf)
        return ds.detect.Suspects(doubted & memory.doubted, order, pred.current_prob)

    def remember(
        self, memory: Memory, block: ds.Block, pred: ds.Prediction, filled: Tensor, remasked: Tensor
    ) -> Memory:
        return Memory(block.visible & (pred.current_prob < self.threshold) & ~remasked)


CHAINS = {
    "threshold fill, remask what two forwards doubt": ds.chain(ds.fill.Threshold(0.5), ds.edit.Remask(Doubted())),
    "two tokens a step by margin, replace": ds.chain(ds.fill.Quota(2, score="margin"), ds.edit.Replace(0.9)),
    "entropy bound, remask the largest drops": ds.chain(
        ds.fill.EntropyBound(0.5), ds.edit.Remask(ds.detect.LogitDiff(0.3), max_per_position=2)
    ),
}


def main() -> None:
    model = ds.load("nano")
    problem = ds.tasks.load("wordproblems", split="valid", limit=1)[0]
    for what, chain in CHAINS.items():
        out = ds.Sampler(model, chain).generate([problem.prompt], max_new_tokens=160)
        print(f"{what}: {out.stats[0].steps} steps, {out.stats[0].remasks + out.stats[0].replaces} edits")
        print(out.texts[0].strip())


if __name__ == "__main__":
    main()
