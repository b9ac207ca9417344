"""Batches, a toy model and the variants that every objective's tests share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlmsample.objectives.base import Ids, Objective, Outputs
from dlmsample.objectives.certainty import Certainty
from dlmsample.objectives.fca import FCA
from dlmsample.objectives.mdm import MDM
from dlmsample.objectives.proseco import SelfCorrection
from dlmsample.objectives.random_t2t import RandomT2T
from dlmsample.objectives.scope import SCOPE
from dlmsample.objectives.self_generated_t2t import SelfGeneratedT2T

VOCAB = 40
IDS = Ids(mask=2, special=(0, 1, 2, 17), end=VOCAB)

VARIANTS: dict[str, Objective] = {
    "mdm": MDM(),
    "mdm-visible": MDM(visible_weight=0.5, mask_ratio=(0.5, 1.0)),
    "random_t2t": RandomT2T(),
    "random_t2t-weights": RandomT2T(mask_ratio=(0.1, 0.9), random_share=0.5, wrong_weight=2, right_weight=0.5),
    "random_t2t-sets": RandomT2T(mask_ratio=(0.1, 0.9), random_share=0.5, wrong_weight=2, normalise="set"),
    "random_t2t-masks": RandomT2T(mask_ratio=(0.5, 1.0), random_share=0, right_weight=0),
    "self_generated_t2t": SelfGeneratedT2T(),
    "self_generated_t2t-edits": SelfGeneratedT2T(edit_ratio=(0.2, 0.6), random_probability=0.4, masked_weight=3),
    "self_generated_t2t-sets": SelfGeneratedT2T(normalise="set", right_weight=0.5),
    "scope": SCOPE(),
    "scope-ratio": SCOPE(mask_ratio=(0.5, 1.0)),
    "scope-argmax": SCOPE(temperature=0, mdm_share=0.2, commit_rate=(0.1, 0.8)),
    "scope-random": SCOPE(random_commit=True, mdm_share=0),
    "scope-all": SCOPE(supervise="all"),
    "scope-mdm": SCOPE(mdm_share=1),
    "fca": FCA(),
    "fca-steps": FCA(steps=3),
    "fca-uniform": FCA(artefacts="uniform"),
    "fca-prism": FCA(artefacts="prism", steps=2),
    "fca-joint": FCA(gamma=0.7),
    "proseco": SelfCorrection(),
    "proseco-all": SelfCorrection(eps=0.5, corrector_weight=0.3, weighted=False, drafts="all"),
    "proseco-errors": SelfCorrection(errors_upweighted=True),
    "certainty": Certainty(),
    "certainty-short": Certainty(block_length=3, mask_ratio=(0.4, 1.0), temperature=0.8, certainty_weight=0.7),
    "certainty-whole": Certainty(block_length=None, mask_ratio=1, temperature=1.5),
    "certainty-consistency": Certainty(block_length=4, certainty_weight=0),
}


def rows(count: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random clean ids (some are EOS, 1), ragged editable regions, keys, blocks of 3."""
    g = torch.Generator().manual_seed(seed)
    clean = torch.randint(3, VOCAB, (count, width), generator=g)
    clean = torch.where(torch.rand(count, width, generator=g) < 0.1, 1, clean)
    first = torch.randint(0, width // 2, (count, 1), generator=g)
    last = torch.randint(width // 2, width + 1, (count, 1), generator=g)
    at = torch.arange(width)[None]
    keys = torch.randint(-(2**62), 2**62, (count,), generator=g)
    blocks = ((at - first).div(3, rounding_mode="floor") + 1).clamp(min=0)
    return clean, (at >= first) & (at < last), keys, blocks


class Toy:
    """A model whose logits depend on a token and its left neighbour; it counts its calls and keeps what it saw.

    Equal neighbourhoods give equal logits, so that the rankings have ties to break.
    """

    def __init__(self, vocab: int = VOCAB, seed: int = 7) -> None:
        g = torch.Generator().manual_seed(seed)
        self.own, self.left = (2 * torch.randn(vocab, vocab, generator=g) for _ in range(2))
        self.seen: list[Tensor] = []

    def __call__(self, tokens: Tensor) -> Tensor:
        assert not torch.is_grad_enabled(), "a draft pass needs no gradient"
        self.seen.append(tokens)
        return self.own[tokens] + self.left[tokens.roll(1, 1)]


def gold_model(clean: Tensor, vocab: int = VOCAB) -> Callable[[Tensor], Tensor]:
    """A model that is always right."""
    return lambda tokens: 30.0 * torch.nn.functional.one_hot(clean, vocab)


def outputs(rule: Objective, shape: tuple[int, int], seed: int = 3) -> Tensor | Outputs:
    """Random outputs of the kind the rule needs, that require grad."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(*shape, VOCAB, generator=g).requires_grad_()
    error = torch.randn(*shape, generator=g).requires_grad_()
    if rule.needs == {"error"}:
        return error
    if isinstance(rule, SelfCorrection):
        return Outputs(logits, of_input=torch.randn(*shape, VOCAB, generator=g).requires_grad_())
    return logits if rule.needs == {"logits"} else Outputs(logits, error)
