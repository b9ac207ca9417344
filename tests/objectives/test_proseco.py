"""ProSeCo without its correcting half is MDM; and it refuses the logits of one text alone."""

from __future__ import annotations

import pytest
import torch

from dlmsample.objectives.base import Batch, Outputs
from dlmsample.objectives.mdm import MDM
from dlmsample.objectives.proseco import SelfCorrection
from tests.objectives.common import IDS, VOCAB, Toy, rows


def test_without_the_corrector_it_is_mdm() -> None:
    clean, editable, keys, blocks = rows(40, 20)
    logits = torch.randn(40, 20, VOCAB, generator=torch.Generator().manual_seed(1))
    for given in (None, blocks):
        batch = Batch(clean, editable, keys, IDS, given)
        rule, plain = SelfCorrection(eps=0.2, corrector_weight=0), MDM(eps=0.2)
        ours, mdm = rule.corrupt(batch, Toy()), plain.corrupt(batch)
        assert ours.apart is not None
        assert torch.equal(ours.apart.input, mdm.input)
        assert torch.equal(ours.apart.weights, mdm.weights)
        assert torch.equal(rule.loss(Outputs(logits, of_input=logits.flip(0)), ours)[0], plain.loss(logits, mdm)[0])


def test_visible_tokens_enter_the_draft_as_they_are() -> None:
    clean, editable, keys, _ = rows(40, 20)
    batch = Batch(clean, editable, keys, IDS)
    kept, argmaxes = (SelfCorrection(drafts=drafts).corrupt(batch, Toy()) for drafts in ("masked", "all"))
    shown = editable & ~kept.sets["demasked"]
    assert torch.equal(kept.input[shown], clean[shown])
    assert (argmaxes.input[shown] != clean[shown]).any()
    assert torch.equal(kept.input[~shown], argmaxes.input[~shown])
    assert not (kept.input == IDS.mask).any()


def test_one_text_alone_is_refused() -> None:
    clean, editable, keys, _ = rows(4, 12)
    rule = SelfCorrection()
    out = rule.corrupt(Batch(clean, editable, keys, IDS), Toy())
    for given in (torch.zeros(4, 12, VOCAB), Outputs(torch.zeros(4, 12, VOCAB), torch.zeros(4, 12))):
        with pytest.raises(ValueError, match="the logits of two texts"):
            rule.loss(given, out)
