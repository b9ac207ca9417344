"""The decoders that the speed benchmark compares do the same work: same tokens, same steps, on a tiny model."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import product
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import torch
from torch import nn

import dlmsample as ds
from benchmarks import roofline, speed
from benchmarks.peers import PEERS, Answer, Job, Unfit
from benchmarks.speed_report import merge, plot, table
from benchmarks.timed import Timed
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
        ("llada", job(ds.T2T(), "bidirectional")),
        ("llada2", job(ds.D3IM())),
        ("llada2", replace(job(ds.Unmask()), new=3)),
    ],
)
def test_what_a_decoder_cannot_do_it_says(peer: str, work: Job) -> None:
    with pytest.raises(Unfit):
        answer(peer, work)


def test_timed_counts_only_while_it_is_open() -> None:
    work = job(ds.Unmask(tokens_per_step=8))
    run = PEERS["ours_plain"].open(work)
    with Timed(work.prompts.device, work.model.body, work.model.lm_head) as clock:
        forwards = run().forwards
    run()
    assert clock.calls == 2 * forwards - 1  # the prompt's forward needs no logits
    assert clock.seconds() > 0


def test_work_grows_with_the_batch() -> None:
    model = job(ds.Unmask()).model
    one, two = roofline.work(model, 1, 16, 32), roofline.work(model, 2, 16, 32)
    assert one.bytes < two.bytes < 2 * one.bytes, "weights are read once for all rows"
    assert two.flops == pytest.approx(2 * one.flops)
    assert one.seconds(roofline.Machine(one.bytes, 2 * one.flops)) == 1.0


def _args(**given: Any) -> argparse.Namespace:
    usual = {"device": "cpu", "small": True, "prompt": 32, "new": 32, "repeats": 1, "seconds": 60.0, "policy": None}
    return argparse.Namespace(**usual | {"shape": ["llada_8b_causal"], "batch": [1, 2], "peer": None} | given)


def test_a_run_ends_in_a_table_and_a_picture() -> None:
    found = list(speed.cells(_args(peer=["ours", "ours_plain", "llada2", "llada"]), time.perf_counter()))
    assert "machine" in found[0]
    record = {"device": "a CPU", "prompt_tokens": 32, "new_tokens": 32, "cells": found[1:]}
    measured = [cell for cell in found[1:] if "skipped" not in cell]
    assert [(c["batch"], c["peer"]) for c in measured] == list(product((1, 2), ("ours", "ours_plain", "llada2")))
    assert {cell["steps"] for cell in measured} == {8}
    assert all(0 < cell["forward_share"] < 1 for cell in measured)
    assert [line.count("|") for line in table(record).splitlines()] == [10] * 4
    assert fromstring(plot(record)).tag.endswith("svg")


def test_without_time_no_cell_is_begun() -> None:
    found = list(speed.cells(_args(peer=["llada2"], seconds=-1.0), 0.0))
    assert [cell["skipped"] for cell in found[1:]] == ["no time left"] * 2


def test_runs_that_were_cut_make_one() -> None:
    same = {"device": "a CPU", "torch": "2", "versions": {}, "prompt_tokens": 32, "new_tokens": 32}
    cell = {"shape": "nano", "policy": "unmask", "batch": 1, "peer": "ours"}
    cut = same | {"command": ["one"], "cells": [cell | {"skipped": "no time left"}]}
    whole = same | {"command": ["two"], "cells": [cell | {"seconds": 2.0}]}
    both = merge([cut, whole])
    assert (both["command"], both["cells"]) == (["one", "two"], whole["cells"])
    assert merge([whole, cut])["cells"] == whole["cells"]
    with pytest.raises(ValueError, match="differ"):
        merge([cut, whole | {"torch": "3"}])
