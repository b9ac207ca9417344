"""Every fill rule with every edit rule, against the oracle's composition of the two."""

from __future__ import annotations

import itertools
import json
import pickle
import random
from dataclasses import replace
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.policies.base import Policy
from dlmsample.types import Block, Prediction
from tests.test_differential import compare
from tests.toys import VOCAB, random_model

FILLS: list[Any] = [
    ds.fill.Quota(2),
    ds.fill.Quota(3, score="margin", eos="confidence"),
    ds.fill.Steps(9),
    ds.fill.Steps(5, score="random", eos="confidence"),
    ds.fill.Threshold(0.4),
    ds.fill.Threshold(0.6, min_commit=2, score="entropy", eos="confidence"),
    ds.fill.EntropyBound(2.0),
    ds.fill.EntropyBound(3.0, score="margin", eos="confidence"),
]
EDITS: list[Any] = [
    ds.edit.Keep(),
    ds.edit.Replace(0.3),
    ds.edit.Replace(0.0, max_edits=2, max_post_steps=4),
    ds.edit.Remask(ds.detect.LowProb(0.3)),
    ds.edit.Remask(ds.detect.T2TRemask(0.3), max_per_position=2, max_share=0.5),
    ds.edit.Remask(ds.detect.LogitDiff(0.05), max_per_position=3, min_per_step=0),
    ds.edit.Remask(ds.detect.Random(0.6), max_per_position=2),
    ds.edit.BufferedRemask(ds.detect.Random()),
    ds.edit.BufferedRemask(ds.detect.LowProb(0.4), stride=1, max_per_step=3, buffer=1),
    ds.edit.BufferedRemask(ds.detect.T2TRemask(0.2), stride=1),
]
PAIRS = list(itertools.product(FILLS, EDITS))


def many_ends(model: ds.Denoiser) -> ds.Denoiser:
    """The model, for which every third id ends an answer."""
    return replace(model, facts=replace(model.facts, eos_ids=tuple(range(3, VOCAB, 3))))


@pytest.mark.parametrize("at", range(len(PAIRS)), ids=lambda at: f"{PAIRS[at][0]!r}-{PAIRS[at][1]!r}")
def test_every_pair_is_the_oracles(at: int, full: bool) -> None:
    chain = ds.chain(*PAIRS[at])
    draw = random.Random(at)
    for _ in range(10 if full else 1):
        model = random_model(draw.choice(["block_causal", "bidirectional"]), "absolute", seed=draw.randrange(1000))
        model = many_ends(model) if chain.fill.eos == "confidence" else model  # type: ignore[attr-defined]
        prompts = [[draw.randrange(3, VOCAB) for _ in range(n)] for n in (3, 8)]
        kw = {"temperature": draw.choice([0.0, 1.2]), "block_length": draw.choice([None, "all", 5])}
        assert compare(model, prompts, "chain", chain.model_dump(), 13, **kw) == []


EOS_SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("unmask", {"tokens_per_step": 2}),
    ("unmask", {"steps": 5, "score": "margin"}),
    ("unmask", {"threshold": 0.3, "min_commit": 2}),
    ("unmask", {"entropy_bound": 2.0}),
    ("t2t", {"fill_threshold": 0.3, "edit_threshold": 0.2, "max_edits": 1}),
    ("t2m", {"fill_threshold": 0.4, "threshold": 0.4}),
    ("dsc", {"scorer": "random"}),
]


@pytest.mark.parametrize(("policy", "options"), EOS_SETTINGS, ids=str)
@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_eos_after_all_others(policy: str, options: dict[str, Any], attention: str, full: bool) -> None:
    draw = random.Random(f"{policy}{options}{attention}")
    for _ in range(10 if full else 2):
        model = many_ends(random_model(attention, "prompt", seed=draw.randrange(1000)))
        prompts = [[draw.randrange(3, VOCAB) for _ in range(n)] for n in (4, 9)]
        kw = {"block_length": draw.choice([None, "all", 5]), "temperature": draw.choice([0.0, 1.2])}
        assert compare(model, prompts, policy, {**options, "eos": "confidence"}, 13, **kw) == []


@pytest.mark.parametrize("max_edits", [0, 1, 3])
def test_t2t_with_a_limit_on_edits(max_edits: int) -> None:
    options = {"fill_threshold": 0.2, "edit_threshold": 0.0, "max_edits": max_edits}
    for seed in range(4):
        assert compare(random_model(seed=seed), [[5, 6], [7] * 9], "t2t", options, 13, temperature=1.0) == []


@pytest.mark.parametrize("steps", [3, 9, 30])
def test_d3im_without_channels_is_unmask_under_the_eos_rule_too(steps: int) -> None:
    model = many_ends(random_model("bidirectional"))
    for block_length in (5, "all"):
        d3im, unmask = (
            ds.Sampler(model, policy, block_length=block_length).generate([[5, 6], [9] * 7], max_new_tokens=14)
            for policy in (ds.D3IM(steps=steps, t2t=False, t2m=False), ds.Unmask(steps=steps, eos="confidence"))
        )
        assert (d3im.tokens, d3im.stats) == (unmask.tokens, unmask.stats)


NAMED: list[tuple[Any, Any]] = [
    (ds.Unmask(), ds.chain(ds.fill.Quota(1))),
    (ds.Unmask(steps=7, score="margin"), ds.chain(ds.fill.Steps(7, "margin"))),
    (ds.T2T.quality(), ds.chain(ds.fill.Threshold(0.7), ds.edit.Replace(0.5))),
    (ds.T2M(detector="logit_diff"), ds.chain(ds.fill.Threshold(), ds.edit.Remask(ds.detect.LogitDiff()))),
    (ds.DSC(), ds.chain(ds.fill.Quota(2), ds.edit.BufferedRemask(ds.detect.Head()))),
]


@pytest.mark.parametrize(("named", "chain"), NAMED, ids=lambda p: p.name)
def test_a_named_policy_is_its_chain(named: Any, chain: Policy) -> None:
    assert named.chain == chain
    assert (named.needs, named.reasons) == (chain.needs, chain.reasons)
    assert pickle.loads(pickle.dumps(named)) == named
    assert "chain" not in named.model_dump()


def test_a_changed_copy_is_another_chain() -> None:
    changed = ds.T2M().model_copy(update={"threshold": 0.1})
    assert changed.chain == ds.T2M(threshold=0.1).chain
    with pytest.raises(ValueError, match="threshold must be <= 1"):
        ds.T2M().model_copy(update={"threshold": 2})


@pytest.mark.parametrize("pair", PAIRS[:: len(EDITS) + 1], ids=repr)
def test_a_dump_survives_json(pair: tuple[Any, Any]) -> None:
    chain = ds.chain(*pair)
    assert ds.policy("chain", **json.loads(chain.model_dump_json())) == chain
    assert ds.policy("chain", **chain.model_dump(mode="json")) == chain
    assert hash(ds.policy("chain", **chain.model_dump())) == hash(chain)


def test_needs_of_both_pieces() -> None:
    chain = ds.chain(ds.fill.EntropyBound(1.0, score="margin"), ds.edit.Remask(ds.detect.Head()))
    assert chain.needs == {"entropy", "margin", "error"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: ds.fill.Threshold(True), "threshold of threshold must be a number"),
        (lambda: ds.fill.Quota("2"), "tokens_per_step of quota must be a whole number"),
        (lambda: ds.fill.Quota(0), "must be >= 1"),
        (lambda: ds.fill.EntropyBound(float("nan")), "finite"),
        (lambda: ds.fill.Steps(), "steps of steps must be given"),
        (lambda: ds.fill.Threshold(treshold=0.5), "did you mean 'threshold'"),
        (lambda: ds.fill.Quota(score="confidense"), "'confidence', 'margin'"),
        (lambda: ds.edit.Remask(ds.fill.Quota()), "instance of Detector"),
        (lambda: ds.chain(ds.edit.Keep()), "instance of Fill"),
        (lambda: ds.chain(ds.fill.Quota(), ds.detect.Head()), "instance of Edit"),
        (lambda: ds.policy("chain", fill={"rule": "qouta"}), "did you mean 'quota'"),
        (lambda: ds.policy("chain", fill={"tokens_per_step": 2}), "unknown fill rule None"),
        (lambda: ds.policy("chain", fill={"rule": "quota", "k": 2}), "unknown option of fill rule quota 'k'"),
        (
            lambda: ds.policy("chain", fill={"rule": "quota", "tokens_per_step": True}),
            "tokens_per_step of quota must be .*true",
        ),
        (lambda: ds.policy("chain", fill="entropy_bound"), "bound of entropy_bound must be given"),
        (
            lambda: ds.policy("chain", fill="quota", edit={"rule": "remask", "detector": {"rule": "head", "t": 1}}),
            "detector of remask: unknown option of detector head 't'",
        ),
    ],
)
def test_mistakes(wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wrong()


def test_a_piece_is_also_read_by_the_name_of_its_rule() -> None:
    given = ds.policy("chain", fill="quota", edit={"rule": "remask", "detector": "logit_diff"})
    assert given == ds.chain(ds.fill.Quota(), ds.edit.Remask(ds.detect.LogitDiff()))


@pytest.mark.parametrize("piece", [*FILLS, *EDITS], ids=repr)
def test_every_wrong_option_of_a_piece_is_named(piece: Any) -> None:
    """Whatever stands in any option of any piece, the message has its name, its rule and the value."""
    kind = "fill" if isinstance(piece, tuple(map(type, FILLS))) else "edit"
    dump = piece.model_dump()
    for option in dump.keys() - {"rule"}:
        wrong = {"fill": "quota", kind: {**dump, option: "nonsense"}}
        with pytest.raises(ValueError, match=rf"{option} of {dump['rule']}:? .*'nonsense'"):
            ds.policy("chain", **wrong)


@pytest.mark.parametrize("piece", [*FILLS, *EDITS], ids=repr)
def test_pieces_are_frozen(piece: Any) -> None:
    with pytest.raises((AttributeError, ValueError)):
        piece.rule = "x"
    assert type(piece)(**{k: v for k, v in vars(piece).items() if not k.startswith("_")}) == piece


class Stubborn(ds.fill.Fill):
    """Somebody's own fill rule: the lowest masked position."""

    rule = "stubborn"

    def choose(self, block: Block, pred: Prediction) -> torch.Tensor:
        return block.masked & (block.masked.cumsum(-1) == 1)

    def max_steps(self, block: Block) -> torch.Tensor:
        return block.size


def test_a_fill_rule_of_ones_own() -> None:
    out = ds.Sampler(random_model(), ds.chain(Stubborn(), ds.edit.Replace(0.9))).generate(
        [[5, 6]], max_new_tokens=12, record=True
    )
    assert out.trace is not None
    filled = [e.position for e in out.trace[0] if e.kind == "fill"]
    assert filled == list(range(len(filled)))
    assert not out.stats[0].forced


@pytest.mark.parametrize("detector", [ds.detect.LowProb(0.4), ds.detect.T2TRemask(0.2), ds.detect.Random()], ids=repr)
def test_the_trace_says_why(detector: Any) -> None:
    chain = ds.chain(ds.fill.Threshold(0.2), ds.edit.Remask(detector, max_per_position=2))
    out = ds.Sampler(random_model(), chain).generate([[5, 6], [7] * 9], max_new_tokens=20, record=True)
    assert out.trace is not None
    edits = [e for row in out.trace for e in row if e.kind != "fill"]
    assert edits
    for event in edits:
        assert event.reason == detector.rule
        assert event.score is not None
        if isinstance(detector, ds.detect.LowProb):
            assert event.score == event.probability < 0.4
        else:
            assert event.score > detector.threshold
    assert all((e.reason, e.score) == (None, None) for row in out.trace for e in row if e.kind == "fill")
