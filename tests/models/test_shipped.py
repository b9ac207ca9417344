"""The nano family as shipped: every member loads by its short name and does what it was trained for."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds

NANO = Path(str(files("dlmsample") / "models" / "nano"))
ADAPTERS = ["certainty", "joint", "mdm", "random_t2t", "scope", "self_generated_t2t"]
HEADS = ["fca", "joint", "prism", "uniform"]


@pytest.fixture(scope="module")
def problems() -> list[Any]:
    return list(ds.tasks.load("wordproblems", split="valid", limit=12))


def right(model: ds.Denoiser, policy: ds.Policy, problems: list[Any], **options: Any) -> int:
    out = ds.Sampler(model, policy, **options).generate([p.prompt for p in problems], max_new_tokens=160)
    task = ds.tasks.load("wordproblems", split="valid", limit=1)
    return sum(task.score(p, text).correct for p, text in zip(problems, out.texts, strict=True))


def test_these_are_shipped() -> None:
    assert sorted(f.name for f in (NANO / "adapters").iterdir()) == ADAPTERS
    assert sorted(f.name for f in (NANO / "heads").iterdir()) == HEADS


@pytest.mark.parametrize("folder", [f"adapters/{n}" for n in ADAPTERS] + [f"heads/{n}" for n in HEADS])
def test_a_member_says_how_it_was_made_and_what_it_does(folder: str) -> None:
    card = (NANO / folder / "README.md").read_text(encoding="utf-8")
    record = json.loads((NANO / folder / "training.json").read_text(encoding="utf-8"))
    assert record["command"] in card
    assert (record["step"], record["config"]["steps"], record["config"]["batch_size"]) == (400, 400, 512)
    assert "## What it does" in card


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_answers_with_plain_decoding(name: str, problems: list[Any]) -> None:
    assert right(ds.load("nano", adapter=name), ds.Unmask(threshold=0.9), problems[:6]) >= 4


def test_self_generated_drafts_teach_editing_better_than_random_tokens() -> None:
    policy, problems = ds.T2T(fill_threshold=0.3), list(ds.tasks.load("wordproblems", split="valid", limit=20))
    own, random = (right(ds.load("nano", adapter=n), policy, problems) for n in ("self_generated_t2t", "random_t2t"))
    assert own >= random + 2


def test_certainty_fills_more_tokens_a_forward_and_answers_as_well(problems: list[Any]) -> None:
    prompts, forwards, found = [p.prompt for p in problems], {}, {}
    for name in (None, "certainty"):
        model = ds.load("nano", adapter=name)
        out = ds.Sampler(model, ds.Unmask(threshold=0.9)).generate(prompts, max_new_tokens=160)
        forwards[name] = sum(row.nfe for row in out.stats)
        found[name] = right(model, ds.Unmask(threshold=0.9), problems)
    assert forwards["certainty"] < forwards[None] / 2
    assert found["certainty"] >= found[None] - 1


def test_scope_answers_from_a_clean_slate(problems: list[Any]) -> None:
    model = ds.load("nano", adapter="scope")
    assert right(model, ds.D3IM(steps=24), problems[:6], block_length="all") >= 4


def test_the_head_trained_on_own_errors_points_at_more_of_them(problems: list[Any]) -> None:
    prompts, remasks = [p.prompt for p in problems], {}
    for name in ("fca", "uniform"):
        sampler = ds.Sampler(ds.load("nano", head=name), ds.DSC(tokens_per_step=4))
        remasks[name] = sum(row.remasks for row in sampler.generate(prompts).stats)
    assert remasks["fca"] > remasks["uniform"] > 0


def test_a_jointly_trained_head_is_refused_without_its_adapter() -> None:
    with pytest.raises(ValueError, match="'joint' was trained together with an adapter"):
        ds.load("nano", head="joint")


@pytest.mark.parametrize("given", [{"head": "prism"}, {"adapter": "joint", "head": "joint"}], ids=["prism", "joint"])
def test_the_rivals_heads_remask_and_answer(given: dict[str, str], problems: list[Any]) -> None:
    model = ds.load("nano", **given)
    out = ds.Sampler(model, ds.DSC(tokens_per_step=4)).generate([p.prompt for p in problems])
    assert sum(row.remasks for row in out.stats) > 0
    assert right(model, ds.DSC(tokens_per_step=2), problems[:6]) >= 4
