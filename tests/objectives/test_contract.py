"""What holds for every objective: purity, independence of rows, untouched prompts, one draft without gradient."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dlmsample.objectives.base import Batch, Corrupted, Ids, Objective, Outputs, objective
from dlmsample.objectives.draws import random_token
from dlmsample.objectives.fca import FCA
from dlmsample.objectives.mdm import MDM
from dlmsample.objectives.proseco import SelfCorrection
from dlmsample.objectives.random_t2t import RandomT2T
from dlmsample.objectives.scope import SCOPE
from dlmsample.objectives.self_generated_t2t import SelfGeneratedT2T
from tests.objectives.common import IDS, VARIANTS, VOCAB, Toy, gold_model, outputs, rows

every = pytest.mark.parametrize("rule", VARIANTS.values(), ids=VARIANTS.keys())
both = pytest.mark.parametrize("with_blocks", [False, True])


def same(a: Corrupted, b: Corrupted, order: Tensor | slice = slice(None)) -> None:
    assert torch.equal(a.input[order], b.input)
    assert torch.equal(a.targets[order], b.targets)
    assert torch.equal(a.weights[order], b.weights)
    assert a.sets.keys() == b.sets.keys()
    assert all(torch.equal(a.sets[name][order], b.sets[name]) for name in a.sets)


@every
@both
def test_pure_and_independent_of_the_batch(rule: Objective, with_blocks: bool) -> None:
    clean, editable, keys, blocks = rows(9, 16)
    given = blocks if with_blocks else None
    before = [x.clone() for x in (clean, editable, keys, blocks)]
    torch.manual_seed(0)
    whole = rule.corrupt(Batch(clean, editable, keys, IDS, given), Toy())
    torch.manual_seed(1)
    same(whole, rule.corrupt(Batch(clean, editable, keys, IDS, given), Toy()))
    assert all(torch.equal(a, b) for a, b in zip(before, (clean, editable, keys, blocks), strict=True))
    for order in (torch.tensor([4]), torch.tensor([7, 2, 4, 0])):
        part = rule.corrupt(
            Batch(clean[order], editable[order], keys[order], IDS, blocks[order] if with_blocks else None), Toy()
        )
        same(whole, part, order)


@every
@both
def test_prompt_and_padding_are_left_alone(rule: Objective, with_blocks: bool) -> None:
    clean, editable, keys, blocks = rows(100, 22)
    toy = Toy()
    out = rule.corrupt(Batch(clean, editable, keys, IDS, blocks if with_blocks else None), toy)
    assert all(torch.equal(seen[~editable], clean[~editable]) for seen in toy.seen)
    assert torch.equal(out.input[~editable], clean[~editable])
    assert torch.equal(out.targets, clean)
    assert not out.weights[~editable].any()
    assert not any(members[~editable].any() for members in out.sets.values())


@every
@both
def test_every_editable_position_can_be_corrupted(rule: Objective, with_blocks: bool) -> None:
    """EOS inside the answer is an ordinary token, as is the answer's first and last position."""
    clean, _, _, blocks = rows(1, 12)
    clean, blocks = clean.expand(400, -1).contiguous(), blocks.expand(400, -1)
    clean[:, -1] = 1
    keys = torch.arange(400) * 7919
    everywhere = torch.ones_like(clean, dtype=torch.bool)
    out = rule.corrupt(Batch(clean, everywhere, keys, IDS, blocks if with_blocks else None), Toy())
    assert (out.input != clean).any(0).all()
    assert (out.weights > 0).any(0).all()


@every
def test_one_draft_pass_at_most_and_no_gradient_through_it(rule: Objective) -> None:
    clean, editable, keys, _ = rows(6, 18)
    toy = Toy()
    toy.own.requires_grad_()
    out = rule.corrupt(Batch(clean, editable, keys, IDS), toy)
    assert len(toy.seen) <= 1
    assert not any(x.requires_grad for x in (out.input, out.weights, *out.sets.values()))
    output = outputs(rule, (6, 18))
    loss, metrics = rule.loss(output, out)
    loss.backward()
    assert loss.dtype == torch.float32
    assert not any(value.requires_grad for value in metrics.values())
    parts = output if isinstance(output, Outputs) else (output,)
    touched = torch.zeros_like(editable)
    for part in parts:
        if part is None:
            continue
        assert part.grad is not None
        touched |= part.grad.flatten(2).abs().sum(-1) > 0 if part.ndim == 3 else part.grad != 0
    counted = out.weights > 0 if out.apart is None else (out.weights > 0) | (out.apart.weights > 0)
    assert torch.equal(touched, counted)
    assert toy.own.grad is None


@every
@both
def test_rows_without_editable_positions_add_nothing(rule: Objective, with_blocks: bool) -> None:
    clean, editable, keys, blocks = rows(4, 12)
    editable[1] = editable[3] = False
    given = blocks if with_blocks else None
    out = rule.corrupt(Batch(clean, editable, keys, IDS, given), Toy())
    output = outputs(rule, (4, 12))
    loss, metrics = rule.loss(output, out)
    kept = torch.tensor([0, 2])
    part = rule.corrupt(
        Batch(clean[kept], editable[kept], keys[kept], IDS, blocks[kept] if with_blocks else None), Toy()
    )
    alone = Outputs(*(None if x is None else x[kept] for x in output)) if isinstance(output, Outputs) else output[kept]
    half = rule.loss(alone, part)[0].item() / 2
    assert loss.item() == pytest.approx(half, rel=1e-5)
    assert all(torch.isfinite(value) for value in metrics.values())

    nothing = rule.corrupt(Batch(clean, torch.zeros_like(editable), keys, IDS, given), Toy())
    output = outputs(rule, (4, 12))
    loss, metrics = rule.loss(output, nothing)
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(value) for value in metrics.values())
    grads = [x.grad for x in (output if isinstance(output, Outputs) else (output,)) if x is not None]
    assert all(grad is None or not grad.any() for grad in grads)


@every
@both
def test_runs_without_reading_the_device(rule: Objective, with_blocks: bool) -> None:
    with FakeTensorMode():
        clean = torch.zeros(3, 14, dtype=torch.int64)
        editable = torch.ones(3, 14, dtype=torch.bool)
        keys = torch.zeros(3, dtype=torch.int64)
        blocks = torch.zeros(3, 14, dtype=torch.int64) if with_blocks else None
        out = rule.corrupt(Batch(clean, editable, keys, IDS, blocks), lambda tokens: torch.zeros(3, 14, VOCAB))
        assert out.input.shape == out.weights.shape == (3, 14)
        assert out.input.dtype == torch.int64
        assert out.weights.dtype == torch.float32
        logits, error = torch.zeros(3, 14, VOCAB, dtype=torch.bfloat16), torch.zeros(3, 14, dtype=torch.bfloat16)
        output = {1: error if "error" in rule.needs else logits, 2: Outputs(logits, error)}[len(rule.needs)]
        output = Outputs(logits, of_input=logits) if isinstance(rule, SelfCorrection) else output
        loss, _ = rule.loss(output, out)
        assert loss.shape == ()
        assert loss.dtype == torch.float32


@every
def test_a_right_model_leaves_only_random_errors(rule: Objective) -> None:
    clean, editable, keys, _ = rows(50, 20)
    out = rule.corrupt(Batch(clean, editable, keys, IDS), gold_model(clean))
    wrong = editable & (out.input != clean) & (out.input != IDS.mask)
    if isinstance(rule, SCOPE) and rule.temperature == 0:
        assert not wrong.any()
    excluded = torch.tensor([*IDS.special])
    if isinstance(rule, RandomT2T | SelfGeneratedT2T) or (isinstance(rule, FCA) and rule.artefacts == "uniform"):
        assert wrong.any() != (isinstance(rule, RandomT2T) and rule.random_share == (0.0, 0.0))
        assert not torch.isin(out.input[wrong], excluded).any()


def test_a_draft_never_gives_the_mask_and_may_give_eos() -> None:
    clean, editable, keys, _ = rows(40, 20)

    def wants(token: int) -> object:
        return lambda tokens: torch.zeros(*tokens.shape, VOCAB).index_fill(2, torch.tensor([token]), 50.0)

    for rule in (SCOPE(mdm_share=0), SelfGeneratedT2T(draft_remask=0), FCA(), FCA(artefacts="prism", steps=2)):
        name = "artefact" if isinstance(rule, FCA) else "wrong_commit" if isinstance(rule, SCOPE) else "wrong"
        out = rule.corrupt(Batch(clean, editable, keys, IDS), wants(IDS.mask))  # type: ignore[arg-type]
        assert out.sets[name].any()
        assert not (out.input[out.sets[name]] == IDS.mask).any()
        out = rule.corrupt(Batch(clean, editable, keys, IDS), wants(1))  # type: ignore[arg-type]
        assert (out.input[out.sets[name]] == 1).float().mean() > 0.8


def test_scope_alone_with_mdm_masks_what_mdm_masks() -> None:
    clean, editable, keys, blocks = rows(60, 20)
    for given in (None, blocks):
        plain = MDM().corrupt(Batch(clean, editable, keys, IDS, given))
        assert torch.equal(SCOPE(mdm_share=1).corrupt(Batch(clean, editable, keys, IDS, given)).input, plain.input)


@pytest.mark.parametrize("name", ["random_t2t", "self_generated_t2t", "scope", "fca", "proseco", "certainty"])
def test_by_name(name: str) -> None:
    made = objective(name)
    assert made.name == name
    assert made == VARIANTS[name]
    for rule in VARIANTS.values():
        assert objective(rule.name, **rule.model_dump()) == rule
        assert objective(rule.name, **rule.model_dump(mode="json")) == rule


def test_needs() -> None:
    assert {rule.needs for rule in (MDM(), RandomT2T(), SelfGeneratedT2T(), SCOPE())} == {frozenset({"logits"})}
    assert FCA().needs == {"error"}
    assert FCA(gamma=1).needs == {"logits", "error"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scope", {"temprature": 1}, "temprature"),
        ("scope", {"temperature": -1}, "must be >= 0"),
        ("scope", {"temperature": float("inf")}, "finite"),
        ("scope", {"temperature": True}, "must not be True"),
        ("scope", {"commit_rate": (0.8, 0.2)}, "low <= high"),
        ("scope", {"commit_rate": 1.5}, "must be <= 1"),
        ("scope", {"mdm_share": 2}, "must be <= 1"),
        ("scope", {"supervise": "some"}, "'corrupted' or 'all'"),
        ("random_t2t", {"random_share": (0, 0.3, 0.4)}, "random_share"),
        ("random_t2t", {"wrong_weight": -1}, "must be >= 0"),
        ("self_generated_t2t", {"random_probability": 1.01}, "must be <= 1"),
        ("self_generated_t2t", {"draft_remask": (0.2, float("nan"))}, "draft_remask"),
        ("fca", {"artefacts": "model"}, "'self', 'uniform' or 'prism'"),
        ("fca", {"steps": 0}, "must be >= 1"),
        ("fca", {"gamma": 0}, "must be > 0"),
        ("certainty", {"temperature": 0}, "must be > 0"),
        ("certainty", {"certainty_weight": -1}, "must be >= 0"),
        ("certainty", {"block_length": 0}, "must be >= 1"),
    ],
)
def test_options_out_of_range(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        objective(name, **options)


def test_missing_things_are_named() -> None:
    clean, editable, keys, _ = rows(2, 8)
    for rule in (SCOPE(), SelfGeneratedT2T(), FCA()):
        with pytest.raises(ValueError, match=f"{type(rule).__name__} needs draft="):
            rule.corrupt(Batch(clean, editable, keys, IDS))
    for rule in (RandomT2T(), FCA(artefacts="uniform")):
        with pytest.raises(ValueError, match="end"):
            rule.corrupt(Batch(clean, editable, keys, Ids(mask=2)))
    with pytest.raises(ValueError, match="no random tokens: 1 ordinary ids"):
        random_token(clean, clean, Ids(mask=2, special=(0, 1), end=4))
    out = FCA().corrupt(Batch(clean, editable, keys, IDS), Toy())
    with pytest.raises(ValueError, match=r"error logits \[row, pos\]"):
        FCA().loss(torch.zeros(2, 8, VOCAB), out)
    with pytest.raises(ValueError, match="pass Outputs"):
        FCA(gamma=1).loss(torch.zeros(2, 8), out)
