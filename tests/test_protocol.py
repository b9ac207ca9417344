"""One suite through which every registered policy goes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import dlmsample as ds
from dlmsample.decoding.step import Counts, Rows, Settings, advance, tree_map
from dlmsample.models.attention.base import Features, Layout
from dlmsample.policies.base import Policy, Stateless
from dlmsample.types import Block, Prediction, Update
from tests.toys import EOS, MASK, VOCAB, random_model, scripted_model

#: Options that make each policy's less usual branches run; every registered policy must be here.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "unmask": [
        {},
        {"steps": 5},
        {"threshold": 0.4},
        {"entropy_bound": 1.0},
        {"score": "margin"},
        {"score": "random"},
        {"tokens_per_step": 2, "eos": "confidence"},
        {"threshold": 0.4, "eos": "confidence"},
    ],
    "t2t": [
        {},
        {"fill_threshold": 0.2, "edit_threshold": 0.0, "max_post_steps": 3},
        {"edit_threshold": None},
        {"fill_threshold": 0.2, "edit_threshold": 0.0, "max_edits": 1},
    ],
    "t2m": [
        {},
        {"detector": "t2t_remask", "threshold": 0.2, "max_remasks": 3},
        {"detector": "logit_diff", "threshold": 0.01, "min_per_step": 0, "max_ratio": 0.5},
    ],
    "d3im": [{"steps": 12}, {"steps": 30, "eos": "logit_all"}, {"steps": 6, "t2t": False}, {"steps": 6, "t2m": False}],
    "dsc": [{"scorer": "random"}, {"scorer": "random", "stride": 1, "max_remasks": 4, "buffer": 0, "threshold": 0.1}],
    "rcr": [{"steps": 12}, {"steps": 40, "eos": "confidence"}],
    "p2": [
        {"steps": 12},
        {"steps": 40, "eta": 2.5, "eos": "confidence"},
        {"steps": 7, "eta": 0.3, "planner": "candidate"},
    ],
    "remdm": [
        {"steps": 16, "eta": 0.3},
        {"steps": 30, "sigma": "rescale", "eta": 0.5, "when": "switch"},
        {"steps": 20, "sigma": "conf"},
        {"steps": 40, "eta": 0.1, "when": "loop", "t_off": 0.2},
    ],
    "tolerator": [
        {"steps": 8, "rounds": 5},
        {"steps": 30, "rounds": 12, "decay": "exponential", "end_share": 0.1, "lock_after": 2, "eos_penalty": 1.0},
    ],
    "wino": [{}, {"draft_threshold": 0.1, "verify_threshold": 0.3, "max_draft": 3, "eos": "confidence"}],
    "pc_sampler": [{}, {"steps": 5, "position_weight": 0.05, "eos": "confidence"}],
    "prophet": [{"steps": 12}, {"steps": 9, "early": 2.0, "mid": 1.5, "late": 1.0, "answer_start": 2}],
    "klass": [{}, {"threshold": 0.2, "kl": 0.5, "history": 1, "tokens_per_step": 2, "eos": "confidence"}],
    "credit": [{}, {"threshold": 0.6, "fusion": 2.0, "min_commit": 2, "eos": "confidence"}],
    "saber": [{}, {"tokens_per_step": 3, "per_remask": 2, "eos": "confidence"}],
    "core": [
        {"steps": 10, "every": 2, "candidates": 3, "protect": 2},
        {"steps": 12, "every": 1, "start": 0.0, "stop": 1.0, "max_revisions": 2, "protect": 0, "min_prob": 0.0},
    ],
    "proseco": [{"steps": 10}, {"steps": 30, "every": 1, "max_corrections": 2, "eos": "confidence"}],
}
#: Chains that are no named policy, and options that came after the golden outputs.
CHAINS: list[Policy] = [
    ds.T2T(fill_threshold=0.2, edit_threshold=0.0, guard=True),
    ds.chain(ds.fill.Steps(9, score="margin"), ds.edit.Remask(ds.detect.LowProb(0.4), max_per_position=2)),
    ds.chain(ds.fill.EntropyBound(1.0, eos="confidence"), ds.edit.Replace(0.2, max_edits=2)),
    ds.chain(ds.fill.Threshold(0.3, min_commit=2), ds.edit.BufferedRemask(ds.detect.LogitDiff(0.05), stride=1)),
    ds.chain(ds.fill.Quota(3, score="random"), ds.edit.Remask(ds.detect.Random(0.2), max_share=1, max_post_steps=3)),
    ds.chain(ds.fill.Threshold(0.3), ds.edit.Guard(ds.edit.Remask(ds.detect.LowProb(0.5), max_per_position=3))),
    ds.chain(ds.fill.Steps(30), ds.edit.BufferedRemask(ds.detect.Random(0.0), stride=1, max_per_step=8, buffer=0)),
]
CASES = [ds.policy(name, **options) for name, variants in VARIANTS.items() for options in variants] + CHAINS
every_policy = pytest.mark.parametrize("policy", CASES, ids=repr)
PROMPTS = [[7, 9, 30], [5] * 11, list(range(10, 27)), [40, 41, 42, 43, 44, 45, 46, 47], [8]]


def block_and_prediction(rows: int = 3, width: int = 8) -> tuple[Block, Prediction]:
    g = torch.Generator().manual_seed(0)
    tokens = torch.where(
        torch.rand(rows, width, generator=g) < 0.5, MASK, torch.randint(3, 9, (rows, width), generator=g)
    )
    column = torch.ones(rows, dtype=torch.long)
    block = Block(
        tokens=tokens,
        editable=torch.arange(width).expand(rows, -1) >= 2,
        step=column,
        start=0 * column,
        stop=(width - 2) * column,
        total=20 * column,
        key=torch.arange(rows) + 5,
        eos_ids=torch.tensor([EOS]),
        mask_id=MASK,
    )
    p = torch.rand(8, rows, width, generator=g)
    pred = Prediction(torch.randint(3, 9, (rows, width), generator=g), p[0], 1 / p[0] - 1, p[1], 1 / p[1] - 1, *p[2:6])
    more = {"gap": 5 * p[6], "kl": p[7], "asked": torch.rand(rows, width, width, generator=g).log()}
    return block, pred._replace(**more)


def test_the_suite_covers_every_policy() -> None:
    assert set(ds.list_policies()) == set(VARIANTS)


@every_policy
def test_round_trip_and_frozen(policy: Policy) -> None:
    again = ds.policy(policy.name, **policy.model_dump())
    assert again == policy
    field = next(iter(type(policy).model_fields))
    with pytest.raises(ValidationError):
        setattr(policy, field, getattr(policy, field))


@pytest.mark.parametrize("name", VARIANTS)
def test_options_are_validated(name: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown option of policy {name} 'treshold'"):
        ds.policy(name, treshold=0.5)
    for field, info in type(ds.policy(name, **VARIANTS[name][0])).model_fields.items():
        if info.annotation is not bool and "Literal" not in str(info.annotation):
            with pytest.raises(ValidationError):
                ds.policy(name, **{field: -1})


@every_policy
def test_only_policies_that_say_so_draw(policy: Policy) -> None:
    """The row's key decides nothing where ``draws`` is False."""
    found = []
    for key in (5, 6, 7):
        block, pred = block_and_prediction()
        block = block._replace(key=torch.full_like(block.key, key))
        found.append(policy.step(policy.init(block), block, pred)[1])
    same = all(torch.equal(a, b) for one in found[1:] for a, b in zip(_tensors(found[0]), _tensors(one), strict=True))
    assert same or policy.draws


@every_policy
def test_init_and_step_are_pure(policy: Policy) -> None:
    block, pred = block_and_prediction()
    state = policy.init(block)
    inputs = (state, block, pred)
    before = tree_map(torch.clone, inputs)
    first = policy.step(state, block, pred)
    second = policy.step(state, block, pred)
    for a, b in zip(_tensors(first), _tensors(second), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(_tensors(before), _tensors(inputs), strict=True):
        assert torch.equal(a, b)
    for t in _tensors(first):
        assert len(t) == 3, "the row is the first axis of every state tensor"


@every_policy
def test_step_of_a_row_ignores_the_other_rows(policy: Policy) -> None:
    block, pred = block_and_prediction()
    state, update = policy.step(policy.init(block), block, pred)
    for row in range(3):
        one_block = block._replace(
            **{k: v[row : row + 1] for k, v in block._asdict().items() if k not in ("eos_ids", "mask_id", "nominal")}
        )
        one_pred = tree_map(lambda t, row=row: t[row : row + 1], pred)
        alone_state, alone = policy.step(policy.init(one_block), one_block, one_pred)
        for a, b in zip(_tensors((alone_state, alone)), _tensors((state, update)), strict=True):
            assert torch.equal(a[0], b[row])


@every_policy
def test_step_changes_only_editable_positions(policy: Policy) -> None:
    block, pred = block_and_prediction()
    _, update = policy.step(policy.init(block), block, pred)
    assert torch.equal(update.tokens[~block.editable], block.tokens[~block.editable])


@every_policy
def test_no_host_sync_in_a_step(policy: Policy) -> None:
    """FakeTensorMode has no data: any look at a value, or branch on one, raises."""
    with FakeTensorMode():
        zero, no = torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.bool)
        canvas = torch.zeros(2, 24, dtype=torch.long)
        rows = Rows(canvas, canvas, zero, zero, zero, ~no, no, no, Counts(*[zero] * 5, no, no), None)
        layout = Layout(zero, zero + 16, 8, True)
        settings = Settings(policy, MASK, torch.tensor([EOS]), 0.7, 0.9, 5, True)
        features = Features(torch.zeros(2, 8, VOCAB), torch.zeros(2, 8), torch.zeros(2, 8, VOCAB))
        for _ in range(2):
            rows, outcome, _ = advance(rows, layout, features, settings)
        assert outcome.shape == (2,)


@every_policy
@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_are_independent(policy: Policy, attention: str, temperature: float) -> None:
    sampler = ds.Sampler(random_model(attention, "absolute"), policy, temperature=temperature)
    batch = sampler.generate(PROMPTS, max_new_tokens=19, seed=3)
    again = sampler.generate(PROMPTS, max_new_tokens=19, seed=3)
    assert (batch.tokens, batch.stats) == (again.tokens, again.stats)
    back = sampler.generate(PROMPTS[::-1], max_new_tokens=19, seed=3)
    assert (back.tokens[::-1], back.stats[::-1]) == (batch.tokens, batch.stats)
    for i, prompt in enumerate(PROMPTS):
        alone = sampler.generate([prompt], max_new_tokens=19, seed=3)
        assert (alone.tokens[0], alone.stats[0]) == (batch.tokens[i], batch.stats[i])


@every_policy
def test_rows_that_leave_early_change_nothing(policy: Policy) -> None:
    """Half the rows meet an EOS in their first block; the others must not notice."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        early = ids[:, :1] % 2 == 0
        logits = hashed(ids, positions)
        return torch.where(early[..., None] & (torch.arange(16) == EOS), 9.0, logits)

    sampler = ds.Sampler(scripted_model(rule), policy, batch_size=6)
    prompts = [[a, 5, 6] for a in (4, 5, 6, 7, 8, 9)]
    batch = sampler.generate(prompts, max_new_tokens=24)
    for i, prompt in enumerate(prompts):
        alone = sampler.generate([prompt], max_new_tokens=24)
        assert (alone.tokens[0], alone.stats[0]) == (batch.tokens[i], batch.stats[i])
    if getattr(policy, "eos", "") != "logit_all":
        assert {batch.stats[i].finish_reason for i in (0, 2, 4)} == {"eos"}
        assert max(batch.stats[i].steps for i in (0, 2, 4)) <= min(batch.stats[i].steps for i in (1, 3, 5))


def hashed(ids: Tensor, positions: Tensor) -> Tensor:
    """Pseudo-random logits that depend on the whole canvas, the same for a row in any batch."""
    mix = ((ids * (positions + 3)).sum(-1, keepdim=True) + 7 * positions)[..., None] + 13 * torch.arange(16)
    return ((mix * 2654435761 % 1000) / 125.0).float()


def _uniform(ids: Tensor, positions: Tensor) -> Tensor:
    return torch.zeros(*ids.shape, 16)


def _favour(token: int) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda ids, positions: torch.nn.functional.one_hot(torch.full_like(ids, token), 16).float() * 50


def _flip() -> Callable[[Tensor, Tensor], Tensor]:
    """Every forward is sure of another token everywhere."""
    calls = itertools.count()
    return lambda ids, positions: (
        torch.nn.functional.one_hot(torch.full_like(ids, 3 + next(calls) % 7), 16).float() * 50
    )


def _not_what_stands(ids: Tensor, positions: Tensor) -> Tensor:
    return torch.nn.functional.one_hot((ids + 1) % 16, 16).float() * 50


def _broken(value: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda ids, positions: torch.full((*ids.shape, 16), value)


ADVERSARIES = {
    "unsure": lambda: _uniform,
    "mask id": lambda: _favour(MASK),
    "eos everywhere": lambda: _favour(EOS),
    "flips": _flip,
    "contradicts": lambda: _not_what_stands,
    "nan": lambda: _broken(torch.nan),
    "-inf": lambda: _broken(-torch.inf),
    "+inf": lambda: _broken(torch.inf),
    "hashed": lambda: hashed,
}


@every_policy
@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_it_always_ends(policy: Policy, adversary: str) -> None:
    model = scripted_model(ADVERSARIES[adversary](), eos_ids=(EOS,))
    out = ds.Sampler(model, policy, block_length=8).generate([[5, 6, 7], [], [9] * 12], max_new_tokens=20, record=True)
    n, total = torch.tensor([8, 8, 4]), torch.full((3,), 20)
    editable = torch.arange(8) < n[:, None]
    start = torch.tensor([0, 8, 16])
    blocks = Block(torch.full((3, 8), MASK), editable, 0 * n, start, start + n, total, n, torch.tensor([EOS]), MASK)
    for row, tokens in enumerate(out.tokens):
        assert MASK not in tokens
        assert out.stats[row].steps <= policy.max_steps(blocks).sum()
        assert len(tokens) == 20 or out.stats[row].finish_reason == "eos"
    assert all(not s.forced for s in out.stats)


class _Never(Policy):
    """A third party's policy that fills nothing and never ends."""

    name = "never"
    summary = paper = ""

    def step(self, state: Stateless, block: Block, pred: Prediction) -> tuple[Stateless, Update]:
        return state, Update(torch.full_like(block.tokens, MASK), torch.zeros_like(block.step, dtype=torch.bool))

    def max_steps(self, block: Block) -> Tensor:
        return torch.full_like(block.step, 3)


class _Leaves(_Never):
    """One that says it is done with masks left."""

    def step(self, state: Stateless, block: Block, pred: Prediction) -> tuple[Stateless, Update]:
        return state, Update(block.tokens, torch.ones_like(block.step, dtype=torch.bool))


@pytest.mark.parametrize(("policy", "steps"), [(_Never(), 9), (_Leaves(), 3)])
def test_the_sampler_enforces_the_bound(policy: Policy, steps: int) -> None:
    """A policy can neither hang the loop, nor leave a mask, nor touch the prompt."""
    out = ds.Sampler(scripted_model(hashed), policy).generate([[5, 6, 7]], max_new_tokens=20)
    assert out.stats[0].forced
    assert MASK not in out.tokens[0]
    assert out.stats[0].steps <= steps


@every_policy
def test_prompt_and_counts(policy: Policy) -> None:
    """Events replay to the output, counts agree with events, EOS ids in a prompt stay and stop nothing."""
    prompts = [[EOS, 7, EOS], [5] * 9]
    out = ds.Sampler(random_model("block_causal", "absolute"), policy).generate(prompts, max_new_tokens=19, record=True)
    assert out.trace is not None
    for i in range(2):
        answer = [MASK] * 19
        for event in out.trace[i]:
            assert 0 <= event.position < 19
            assert answer[event.position] == event.old
            assert 0 <= event.probability <= 1
            answer[event.position] = event.new
        stats = out.stats[i]
        assert answer[: len(out.tokens[i])] == out.tokens[i]
        kinds = [e.kind for e in out.trace[i]]
        assert (stats.fills, stats.replaces, stats.remasks) == tuple(
            kinds.count(k) for k in ("fill", "replace", "remask")
        )
        assert stats.steps <= stats.nfe <= stats.steps + 3
        assert stats.tokens == len(out.tokens[i])


def _tensors(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    tree_map(lambda t: found.append(t), tree)
    return found


class _DictState(_Never):
    """One whose state is no NamedTuple: without a check it would start afresh at every step."""

    def init(self, block: Block) -> Any:
        return {"n": torch.zeros_like(block.step)}


def test_a_state_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="NamedTuple of tensors"):
        ds.Sampler(scripted_model(hashed), _DictState()).generate([[5]], max_new_tokens=8)


@pytest.mark.parametrize("options", [{"edit_threshold": False}, {"max_post_steps": True}])
def test_a_bool_is_no_number(options: dict[str, Any]) -> None:
    """``--set edit_threshold=off`` is False in YAML; as 0.0 it would edit everything."""
    with pytest.raises(ValueError, match="must not be"):
        ds.T2T(**options)


def test_options_that_the_budget_ignores_are_refused() -> None:
    for options in ({"entropy_bound": 0.1, "score": "margin"}, {"tokens_per_step": 2, "min_commit": 5}):
        with pytest.raises(ValueError, match="leave"):
            ds.Unmask(**options)
