"""The decoders that the speed benchmark compares do the same work: same tokens, same steps, on a tiny model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import dlmsample as ds
from benchmarks import shapes
from benchmarks.peers import PEERS, Answer, Job, Unfit, ours
from benchmarks.speed import open_model
from dlmsample.policies.base import Policy
from tests.toys import MASK, VOCAB, random_model

PREFIX = ["llada2", "diffusers"]


def job(policy: Policy, attention: str = "block_causal", prompt: int = 16, rows: int = 1, seed: int = 0) -> Job:
    """In float64, and with a mask that is never a candidate: only ours leaves it out by itself."""
    causal = attention == "block_causal"
    model = random_model(attention, "absolute" if causal else "prompt", seed)
    head = model.module.lm_head
    biased = nn.Linear(head.in_features, VOCAB)
    with torch.no_grad():
        biased.weight.copy_(head.weight)
        biased.bias.zero_()
        biased.bias[MASK] = -1e4
    model.module.lm_head = biased
    model.module.double()
    model = replace(model, facts=replace(model.facts, eos_ids=()))
    draw = torch.Generator().manual_seed(seed)
    return Job(model, torch.randint(3, VOCAB, (rows, prompt), generator=draw), 40 - prompt % 8, policy)


def answer(peer: str, job: Job) -> Answer:
    if peer == "diffusers":
        pytest.importorskip("diffusers", minversion="0.42")
    return PEERS[peer].open(job)()


@pytest.mark.parametrize("peer", PREFIX)
@pytest.mark.parametrize("policy", [ds.Unmask(tokens_per_step=4), ds.Unmask(tokens_per_step=2)], ids=repr)
def test_fixed_steps(peer: str, policy: Policy) -> None:
    for seed in range(3):
        work = job(policy, rows=3, seed=seed)
        mine, theirs = answer("ours_plain", work), answer(peer, work)
        assert mine.tokens == theirs.tokens == answer("ours", work).tokens
        assert mine.steps == theirs.steps == 40 // (policy.model_dump()["tokens_per_step"])


def test_fixed_steps_of_a_whole_canvas() -> None:
    for seed in range(3):
        work = job(ds.Unmask(tokens_per_step=4), "bidirectional", rows=3, seed=seed)
        mine, theirs = answer("ours_plain", work), answer("llada", work)
        assert (mine.tokens, mine.steps, mine.forwards) == (theirs.tokens, theirs.steps, theirs.forwards)


@pytest.mark.parametrize("peer", PREFIX)
@pytest.mark.parametrize("policy", [ds.Unmask(threshold=0.6), ds.T2T.quality(), ds.T2T.speed()], ids=repr)
def test_thresholds_and_edits(peer: str, policy: Policy) -> None:
    """Row by row: over a batch both go on with a block until its slowest row is done."""
    for seed, prompt in ((0, 16), (1, 11), (2, 5)):
        work = job(policy, prompt=prompt, seed=seed)
        assert answer(peer, work).tokens == answer("ours_plain", work).tokens


@pytest.mark.parametrize(
    ("peer", "work"),
    [
        ("llada", job(ds.Unmask())),
        ("llada2", job(ds.Unmask(), "bidirectional")),
        ("ours_dual", job(ds.Unmask())),
        ("llada", job(ds.T2T(), "bidirectional")),
        ("llada2", job(ds.D3IM())),
        ("llada2", replace(job(ds.Unmask()), new=3)),
    ],
)
def test_what_a_decoder_cannot_do_it_says(peer: str, work: Job) -> None:
    with pytest.raises(Unfit):
        answer(peer, work)


@pytest.mark.parametrize("shape", ["llada_8b_causal", "llada2_mini", "sdar_4b"])
def test_published_shapes_with_few_layers(shape: str) -> None:
    model = open_model(shape, shapes.build(shape.removesuffix("_causal"), "cpu", torch.float32, small=True))
    prompts = torch.randint(10, 256, (2, 32), generator=torch.Generator().manual_seed(0))
    work = Job(model, prompts, 64, ds.Unmask(tokens_per_step=8))
    assert work.width == 32
    theirs = [answer(peer, work) for peer in PREFIX]
    for mine in (answer("ours", work), answer("ours_plain", work)):
        assert [(a.tokens, a.steps) for a in theirs] == [(mine.tokens, mine.steps)] * 2


def test_approximate_caches_are_marked_and_make_the_same_steps() -> None:
    work = job(ds.Unmask(tokens_per_step=4), "bidirectional", rows=2)
    assert PEERS["ours_prefix"].approximate
    assert PEERS["ours_dual"].approximate
    exact = answer("llada", work)
    for peer in ("ours_prefix", "ours_dual"):
        assert answer(peer, work).steps == exact.steps


def test_what_is_compiled_is_a_copy_on_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(ours, "fuse", lambda module: made.append(module) or module)
    work = job(ds.Unmask(tokens_per_step=4))
    opened = [PEERS["ours_fused"].open(work) for _ in range(2)]
    assert made == [opened[0].model.module]  # once for both
    assert made[0] is not work.model.module
    pairs = zip(made[0].parameters(), work.model.module.parameters(), strict=True)
    assert all(copy is weight for copy, weight in pairs)
    assert opened[0]().tokens == answer("ours_plain", work).tokens
