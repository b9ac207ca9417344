"""A policy of your own in one file: commit what the model is sure of, give back what it has come to doubt.

It composes two pieces of the package, the threshold fill and a capped remask, and adds one idea: patience. Only
a token that has been doubted in two forwards in a row is given back.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

import dlmsample as ds
from dlmsample.policies import edit, fill
from dlmsample.policies.select import lowest


class PatientState(NamedTuple):
    post: Tensor  # int64 [row], forwards that saw the block free of masks
    doubted: Tensor  # bool [row, pos], the last forward doubted the token standing here
    spent: Tensor  # bool [row, pos], already given back once in this block


class Patient(ds.Policy):
    """Reset a token to mask when two forwards in a row give it less than ``doubt``, once per position."""

    name: ClassVar[str] = "patient"
    summary: ClassVar[str] = "threshold fill + reset tokens that were doubted twice"
    paper: ClassVar[str] = "example"

    fill_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    doubt: Annotated[float, Field(ge=0, le=1)] = 0.3

    def init(self, block: ds.Block) -> PatientState:
        no = torch.zeros_like(block.editable)
        return PatientState(torch.zeros_like(block.step), no, no)

    def step(self, state: PatientState, block: ds.Block, pred: ds.Prediction) -> tuple[PatientState, ds.Update]:
        chosen = fill.threshold(block, pred, self.fill_threshold)
        doubted = block.visible & (pred.current_prob < self.doubt)
        reset = lowest(pred.current_prob, doubted & state.doubted & ~state.spent, 2)
        tokens = edit.apply(block, chosen, pred.token, remask=reset)
        done, post = edit.settled(block, tokens, reset.any(-1), state.post, max_post_steps=4, enabled=True)
        return PatientState(post, doubted & ~reset, state.spent | reset), ds.Update(tokens, done)

    def max_steps(self, block: ds.Block) -> Tensor:
        return 2 * block.size + 4  # every position is filled at most twice, then four looks


def main() -> None:
    model = ds.load("nano")
    problem = ds.tasks.load("wordproblems", split="valid", limit=1)[0]
    out = ds.Sampler(model, Patient()).generate([problem.prompt], max_new_tokens=160)
    print(out.texts[0].strip())
    print(out.stats[0])


if __name__ == "__main__":
    main()
