"""``Sampler.fill``: the masks inside given text, against the oracle, alone and in a batch, and what it may not do."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.decoding.arguments import row_keys
from dlmsample.decoding.request import Segmentation, open_rows
from dlmsample.decoding.step import Settings, active_block, advance
from dlmsample.heads import CorrectionHead, HeadConfig
from dlmsample.models.attention.base import Features
from dlmsample.policies.base import Policy
from tests.conftest import ZOO
from tests.oracle import fill as oracle_fill
from tests.test_differential import IDS, SETTINGS
from tests.test_protocol import ADVERSARIES, CASES, hashed
from tests.toys import EOS, MASK, VOCAB, random_model, scripted_model

every_policy = pytest.mark.parametrize("policy", CASES, ids=repr)
FORMS = [
    (attention, alignment) for attention in ("block_causal", "bidirectional") for alignment in ("absolute", "prompt")
]
every_form = pytest.mark.parametrize(("attention", "alignment"), FORMS)
#: Masks at the start, at the end, far apart, side by side; one text without, one of masks alone behind a token.
TEXTS: list[list[int]] = [
    [7, MASK, 9, MASK, MASK, 30],
    [5] * 9 + [MASK] * 3 + [6] * 20 + [MASK] + [8] * 4,
    [MASK, 4, 5, 6, MASK],
    [11, 12, 13],
    [9, *[MASK] * 11],
    [*range(10, 30), MASK, 40, MASK, *range(30, 41), MASK, MASK, 3],
    [7, MASK, 9, MASK, MASK, 30],
]


def texts(draw: random.Random, count: int) -> list[list[int]]:
    """Random texts with one to twelve masks, anywhere or in one run, but for the first place.

    A first block of masks alone ties exactly at every position; rounding, which depends on the shape, would rank them.
    """
    made = []
    for _ in range(count):
        length, masks = draw.randrange(4, 34), draw.randrange(1, 13)
        ids = [draw.randrange(3, VOCAB) for _ in range(length)]
        at = draw.randrange(1, length) if draw.random() < 0.3 else None
        for place in draw.sample(range(1, length), min(masks, length - 1)) if at is None else range(at, at + masks):
            ids[place : place + 1] = [MASK]
        made.append(ids)
    return made


def with_head(model: ds.Denoiser) -> ds.Denoiser:
    """A correction head of random weights, whose logits spread around 0."""
    head = CorrectionHead(HeadConfig(hidden_size=32, width=16, heads=2, mlp=24)).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in head.named_parameters():
            if "norm" not in name:
                p.copy_(torch.randn(p.shape, generator=generator) * (2.0 if p is head.out.weight else 0.4))
    return model.with_head(head)


def compare(model: ds.Denoiser, given: list[list[int]], policy: str, options: dict[str, Any], **kw: Any) -> None:
    """Tokens, steps, forwards and every single change."""
    out = ds.Sampler(model, ds.policy(policy, **options), **kw).fill(given, seed=5, record=True)
    assert out.trace is not None
    for i, (ids, key) in enumerate(zip(given, row_keys(5, given), strict=True)):
        options_kw = {"block_length": None, **kw}
        run = oracle_fill(model, ids, policy, options, special_ids=model.special_ids, row_key=key, **options_kw)
        masks = [at for at, token in enumerate(ids) if token == MASK]
        theirs = [
            (number, step.block, start + at, old, new)
            for number, (step, start) in enumerate(zip(run.steps, run.starts, strict=True))
            for at, (old, new) in enumerate(zip(step.before, step.after, strict=True))
            if old != new
        ]
        ours = [(e.step, e.block, masks[e.position], e.old, e.new) for e in out.trace[i]]
        stats = out.stats[i]
        assert out.tokens[i] == run.tokens
        assert ours == theirs
        nfe = run.nfe_cached if model.attention == "block_causal" else len(run.steps)
        assert (stats.steps, stats.nfe, stats.forced) == (len(run.steps), nfe, False)
        assert (stats.tokens, stats.finish_reason) == (len(masks), "length")


@pytest.mark.parametrize(("policy", "options"), SETTINGS, ids=IDS)
@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_random_models(attention: str, policy: str, options: dict[str, Any], full: bool) -> None:
    draw = random.Random(f"fill{attention}{policy}{options}")
    cells = [(a, T, b) for a in ("absolute", "prompt") for T in (0.0, 1.2) for b in (None, "all", 5, 3)]
    many = 1 if not full else 4 if policy in ZOO else len(cells)
    for alignment, temperature, block_length in draw.sample(cells, many):
        model = random_model(attention, alignment, seed=draw.randrange(1000))
        filters: dict[str, Any] = {"top_p": 0.9, "top_k": 20} if temperature else {}
        given = texts(draw, 6 if full else 1 + draw.randrange(2))
        compare(model, given, policy, options, temperature=temperature, block_length=block_length, **filters)


@pytest.mark.parametrize("buffer", [None, 0, 2])
@every_form
def test_a_head(attention: str, alignment: str, buffer: int | None, full: bool) -> None:
    """DSC(scorer="head"): only placed tokens are suspects, given ones are what the head reads beside them."""
    draw = random.Random(f"head{attention}{alignment}{buffer}")
    model = with_head(random_model(attention, alignment, seed=9))
    for block_length in (None, 5) if full else (draw.choice((None, 5)),):
        options = {"stride": 1, "max_remasks": 3, "threshold": 0.4, "buffer": buffer}
        compare(model, texts(draw, 3), "dsc", options, block_length=block_length)


@every_policy
def test_a_batch_is_its_rows_alone(policy: Policy, full: bool) -> None:
    """Ragged rows, in any order, in any batch; with "all" even the blocks are ragged."""
    cells = [(form, block_length) for form in FORMS for block_length in (None, 4)]
    for form, block_length in cells if full else random.Random(repr(policy)).sample(cells, 1):
        model = random_model(*form, seed=2)
        sampler = ds.Sampler(model, policy, block_length, temperature=1.0)
        batch = sampler.fill(TEXTS[:-1], seed=3)
        back = ds.Sampler(model, policy, block_length, temperature=1.0, batch_size=2).fill(TEXTS[-2::-1], seed=3)
        assert (back.tokens[::-1], back.stats[::-1]) == (batch.tokens, batch.stats)
        for i, ids in enumerate(TEXTS[:-1]):
            if not full and i not in (1, 2, 5):
                continue
            alone = sampler.fill([ids], seed=3)
            assert (alone.tokens[0], alone.stats[0]) == (batch.tokens[i], batch.stats[i])


@every_policy
@pytest.mark.parametrize("alignment", ["absolute", "prompt"])
def test_cached_is_uncached(alignment: str, policy: Policy) -> None:
    model = random_model("block_causal", alignment, seed=6)
    cached, plain = (ds.Sampler(model, policy, 4, cache=on).fill(TEXTS[1:]) for on in (True, False))
    assert cached.tokens == plain.tokens
    for a, b in zip(cached.stats, plain.stats, strict=True):
        assert a.steps == b.steps == b.nfe <= a.nfe
        assert b.prefill == 0


@every_policy
@pytest.mark.parametrize(("attention", "temperature"), [("block_causal", 2.0), ("bidirectional", 0.0)])
def test_no_special_id_is_placed(attention: str, temperature: float, policy: Policy) -> None:
    """The toy favours every special id; the trace replays to the tokens."""
    model = random_model(attention)
    special = {0, EOS, MASK}
    assert set(model.special_ids) == special
    with torch.no_grad():
        model.module.lm_head.weight[0] = -model.module.lm_head.weight[5]
        model.module.lm_head.weight[[1, 2]] = 4 * model.module.lm_head.weight[7]
    given = [[*ids, EOS, 0] for ids in TEXTS]  # special ids in the given text are text like any other
    out = ds.Sampler(model, policy, temperature=temperature).fill(given, record=True)
    assert out.trace is not None
    for ids, tokens, stats, trace in zip(given, out.tokens, out.stats, out.trace, strict=True):
        assert len(tokens) == ids.count(MASK) == stats.tokens
        assert not special & set(tokens)
        answer = [MASK] * len(tokens)
        for event in trace:
            assert answer[event.position] == event.old
            answer[event.position] = event.new
        assert answer == tokens
        assert stats.finish_reason == "length"


@every_policy
@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_it_always_ends(policy: Policy, adversary: str) -> None:
    model = scripted_model(ADVERSARIES[adversary](), eos_ids=(EOS,))
    given = [[5, MASK, 7], [9] * 12 + [MASK] * 5, [MASK, *[4] * 30, MASK, MASK]]
    sampler = ds.Sampler(model, policy, random.Random(f"{policy}{adversary}").choice([None, 8]))
    out = sampler.fill(given)
    for ids, tokens, stats in zip(given, out.tokens, out.stats, strict=True):
        assert len(tokens) == ids.count(MASK)
        assert not {EOS, MASK} & set(tokens)
        assert not stats.forced
        assert stats.steps <= _bound(policy, ids, sampler)


def _bound(policy: Policy, ids: list[int], sampler: ds.Sampler) -> int:
    """What the policy promises for the text's blocks with masks."""
    batch = open_rows([ids], [0], sampler.config(filling=True).segmentation, MASK, torch.device("cpu"))
    settings = Settings(policy, MASK, torch.tensor([], dtype=torch.long), 0.0, 1.0, None, False)
    total = 0
    for start in [batch.first[0] + block * batch.layout.width for block in batch.masked[0]]:
        rows = batch.rows._replace(start=torch.tensor([start]))
        total += int(policy.max_steps(active_block(rows, batch.layout, settings)))
    return total


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        (ds.D3IM(steps=9), 9),
        (ds.D3IM(steps=2), 2),
        (ds.Unmask(steps=4), 4),
        (ds.Unmask(steps=99), 6),
        (ds.Unmask(tokens_per_step=4), 2),
        (ds.DSC(tokens_per_step=2, max_remasks=0, scorer="random"), 3),
    ],
    ids=repr,
)
@pytest.mark.parametrize("around", [0, 25])
def test_budgets_count_masks(policy: Policy, steps: int, around: int) -> None:
    """Six masks, however much text stands around them."""
    ids = [*[5] * around, MASK, MASK, 8, MASK, *[6] * around, MASK, MASK, MASK, *[7] * around]
    for attention in ("block_causal", "bidirectional"):
        stats = ds.Sampler(random_model(attention), policy).fill([[3, *ids]]).stats[0]
        assert (stats.steps, stats.tokens) == (steps, 6)


def test_a_budget_is_shared_by_blocks_in_proportion_to_their_masks() -> None:
    """Twelve steps over blocks of 1, 0, 3 and 2 masks: 2, none, 6, 4."""
    ids = [MASK, 5, 5, 5, *[6] * 4, MASK, MASK, 7, MASK, MASK, 8, 9, MASK]
    for attention in ("block_causal", "bidirectional"):
        out = ds.Sampler(random_model(attention, "absolute"), ds.D3IM(steps=12), 4).fill([ids], record=True)
        assert out.stats[0].steps == 12
        assert out.trace is not None
        first = {block: min(e.step for e in out.trace[0] if e.block == block) for block in (0, 2, 3)}
        assert {e.block for e in out.trace[0]} == {0, 2, 3}
        assert (first[0] < 2, 2 <= first[2] < 8, first[3] >= 8) == (True, True, True)


def test_dsc_draws_its_buffer_and_its_cap_from_the_masks() -> None:
    """Buffer None: half of the masks, not of the block; the cap: four times the masks, not the text."""
    given = [[5, *[MASK] * 8, *[6] * 30], [5, *[MASK] * 8], [4, *[MASK] * 2, *[7] * 50]]

    class Objects:
        layer = -2

        def __call__(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
            return torch.full(hidden.shape[:2], 50.0)

    model = random_model().with_head(Objects())
    policy = ds.DSC(tokens_per_step=1, stride=1, max_remasks=1)
    out = ds.Sampler(model, policy).fill(given, record=True)
    explicit = [ds.Sampler(model, ds.DSC(tokens_per_step=1, stride=1, max_remasks=1, buffer=b)) for b in (4, 4, 1)]
    for i, ids in enumerate(given):
        alone = explicit[i].fill([ids])
        assert (alone.tokens[0], alone.stats[0]) == (out.tokens[i], out.stats[i])
        assert out.stats[i].remasks <= 4 * ids.count(MASK)
    unbuffered = ds.DSC(tokens_per_step=1, stride=1, max_remasks=1, buffer=0)
    stats = ds.Sampler(model, unbuffered).fill(given).stats
    assert [s.remasks for s in stats] == [32, 32, 8]


# ---- blocks without masks


def test_blocks_without_masks_cost_a_write_or_nothing() -> None:
    ids = [*[5] * 8, MASK, *[6] * 15, MASK, *[7] * 40]  # blocks of 4: prefill, prefill, mask, 3 given, mask, 10 given
    causal = ds.Sampler(random_model("block_causal", "absolute"), ds.Unmask(), 4).fill([ids]).stats[0]
    assert (causal.steps, causal.nfe, causal.prefill) == (2, 2 + 1 + 3, 1), "the filled block and three given ones"
    whole = ds.Sampler(random_model("bidirectional", "absolute"), ds.Unmask(), 4).fill([ids]).stats[0]
    assert (whole.steps, whole.nfe, whole.prefill) == (2, 2, 0)


def test_a_forward_that_only_writes_is_no_step() -> None:
    """D3IM makes all its steps in blocks with masks and none in others; the trace counts on over the gap."""
    ids = [MASK, *[6] * 11, MASK]
    for attention, nfe in (("block_causal", 4 + 1 + 2), ("bidirectional", 4)):
        out = ds.Sampler(random_model(attention, "absolute"), ds.D3IM(steps=4), 4).fill([ids], record=True)
        assert out.stats[0].steps == 4
        assert out.stats[0].nfe in (nfe, nfe - 1), "one less where the last step of the first block changed nothing"
        assert out.trace is not None
        assert {e.block for e in out.trace[0]} == {0, 3}


@every_form
def test_text_behind_a_mask_is_seen(attention: str, alignment: str) -> None:
    """Within the block always; beyond it by bidirectional models only."""
    model = random_model(attention, alignment)
    one, two = [5, 6, MASK, 9, *[10] * 12], [5, 6, MASK, 33, *[10] * 12]
    sampler = ds.Sampler(model, ds.Unmask())
    events = [e for t in sampler.fill([one, two], record=True).trace or [] for e in t]
    assert events[0].probability != events[1].probability
    far = [[*one[:-1], token] for token in (11, 50)]
    trace = ds.Sampler(model, ds.Unmask(), 4).fill(far, record=True).trace
    assert trace is not None
    assert (trace[0][0].probability == trace[1][0].probability) == (attention == "block_causal")


# ---- inputs


def test_no_mask_costs_nothing(nano: ds.Denoiser) -> None:
    model = scripted_model(hashed)
    out = ds.Sampler(model, ds.D3IM(steps=5)).fill([[5, 6], []], record=True)
    assert model.module.calls == 0
    assert (out.tokens, out.trace) == ([[], []], [[], []])
    stats = out.stats[0]
    assert (stats.nfe, stats.steps, stats.prefill, stats.tokens, stats.finish_reason) == (0, 0, 0, 0, "length")
    given = ["Nothing  to do <|eos|> here. ", ""]
    assert ds.Sampler(nano, ds.T2T()).fill(given).texts == given
    assert ds.Sampler(nano, ds.T2T()).fill([]).texts == []


def test_seeds() -> None:
    sampler = ds.Sampler(random_model(), ds.Unmask(), temperature=1.5)
    ids = [5, *[MASK] * 8, 6]
    first = sampler.fill([ids] * 4)
    assert len(set(map(tuple, first.tokens))) == 4, "repeated texts differ"
    assert sampler.fill([ids] * 4).tokens == first.tokens
    assert sampler.fill([ids] * 4, seed=1).tokens != first.tokens
    own = sampler.fill([ids, ids], seed=[3, 3]).tokens
    assert own[0] == own[1] == sampler.fill([ids], seed=3).tokens[0]
    with pytest.raises(ValueError, match="1 seeds for 2 prompts"):
        sampler.fill([ids, ids], seed=[1])


def test_bytes_are_no_text() -> None:
    with pytest.raises(ValueError, match="texts is a text, or a list of texts"):
        ds.Sampler(random_model(), ds.Unmask()).fill(b"bytes")  # type: ignore[arg-type]


def test_longer_than_the_context_costs_no_forward() -> None:
    model = scripted_model(hashed)
    with pytest.raises(ValueError, match=r"4097 tokens.*context of scripted \(4096\): shorten it"):
        ds.Sampler(model, ds.Unmask(), batch_size=1).fill([[5, MASK], [MASK] * 4097])
    assert model.module.calls == 0
    assert len(ds.Sampler(model, ds.Unmask(tokens_per_step=999)).fill([[MASK] * 4096]).tokens[0]) == 4096


def test_a_text_without_a_tokenizer() -> None:
    with pytest.raises(ValueError, match="no tokenizer to encode text"):
        ds.Sampler(random_model(), ds.Unmask()).fill(["a [MASK]"])
    out = ds.Sampler(random_model(), ds.Unmask()).fill([[5, MASK]])
    with pytest.raises(ValueError, match=r"read `.tokens`"):
        _ = out.texts


def test_generate_names_fill(nano: ds.Denoiser) -> None:
    with pytest.raises(ValueError, match=r"Sampler.fill \(--template\)"):
        ds.Sampler(nano, ds.Unmask()).generate([[5, nano.mask_id]], 8)


# ---- texts


def test_nano_computes_what_is_missing(nano: ds.Denoiser) -> None:
    text = "Q: Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?\nA: 14 * 12 = {}\n"
    for policy in (ds.Unmask(), ds.T2T(), ds.T2M(), ds.D3IM(steps=6), ds.DSC(scorer="random")):
        for mask in ("[MASK]", "<|mask|>"):
            out = ds.Sampler(nano, policy).fill([text.format(3 * mask)])
            assert out.texts == [text.format(168)]
            assert nano.decode(out.tokens[0]) == "168"


def test_messages_are_made_into_a_text_as_they_stand(nano: ds.Denoiser) -> None:
    """The last one may be the answer: its masks are filled, no new answer begins."""
    question = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
    answer = {"role": "assistant", "content": "14 * 12 = [MASK][MASK][MASK]"}
    out = ds.Sampler(nano, ds.Unmask()).fill([[{"role": "user", "content": question}, answer]])
    assert out.texts == [f"Q: {question}\nA: 14 * 12 = 168\n"]


def test_given_text_comes_back_to_the_character(nano: ds.Denoiser) -> None:
    draw = random.Random(0)
    for _ in range(20):
        pieces = ["".join(draw.choice("ab 12.,\n  é<|eos|>[MASK") for _ in range(draw.randrange(9))) for _ in range(4)]
        text = "[MASK]".join(pieces)
        pieces = text.split("[MASK]")
        out = ds.Sampler(nano, ds.Unmask(steps=1)).fill([text])
        assert len(out.tokens[0]) == len(pieces) - 1
        assert re.fullmatch(".*".join(map(re.escape, pieces)), out.texts[0], re.DOTALL)
        if all(pieces[1:-1]) and not any(piece[-1:].isspace() or piece[:1].isspace() for piece in pieces):
            placed = [nano.decode([token]).strip() for token in out.tokens[0]]
            assert [p for p in placed if p] == [p for p in placed if p and p in out.texts[0]]


def test_a_step_has_no_host_sync() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    batch = open_rows(TEXTS[1:3], [1, 2], Segmentation(4, True), MASK, torch.device("cpu"))
    assert any(blocks != list(range(len(blocks))) for blocks in batch.masked)  # there is a gap
    eos, special = torch.tensor([], dtype=torch.long), torch.tensor([EOS])
    for cached in (True, False):
        settings = Settings(ds.T2M(), MASK, eos, 0.7, 0.9, 5, cached, special, False, True)
        with FakeTensorMode(allow_non_fake_inputs=True):
            rows = batch.rows
            for _ in range(2):
                rows, outcome, _ = advance(rows, batch.layout, Features(torch.zeros(2, 4, VOCAB), None), settings)
            assert outcome.shape == (2,)
