"""``policies NAME``, ``--policy auto``, and what adapters and heads recommend."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from dlmsample.cli import settings
from dlmsample.cli.listing import policy as explain
from dlmsample.cli.listing.policy import explained_policy
from dlmsample.cli.main import run
from dlmsample.models.embedded import folder_of, shipped
from dlmsample.models.recommended import RECOMMENDED, recommended
from dlmsample.objectives.base import OBJECTIVES
from tests.cli.conftest import Call, Terminal, is_mistake

NANO = folder_of("nano")
MEMBERS = [(kind, name) for kind in ("adapter", "head") for name in shipped(NANO, kind)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", dlmsample.list_policies())
def test_every_policy_is_explained(name: str, call: Call) -> None:
    code, out, err = call("policies", name)
    assert (code, err) == (0, "")
    row = explained_policy(name)
    assert all(facts["values"] and facts["meaning"] for facts in row["options"].values())
    said = " ".join(out.split())
    for option, facts in row["options"].items():
        assert f"--set {option}=" in said
        assert facts["values"] in said
    assert "When to use:" in said
    assert row["paper"] in said
    assert "``" not in out
    assert max(map(len, out.split("\n"))) <= 80


def test_an_explanation_gives_ranges_and_defaults(call: Call) -> None:
    options = json.loads(call("policies", "t2m", "--json").out)["options"]
    assert options["threshold"]["values"] == "a number from 0 to 1, or null"
    assert options["detector"]["values"] == "low_prob, t2t_remask, logit_diff"
    assert (options["max_remasks"]["values"], options["max_remasks"]["default"]) == ("a whole number, at least 0", 1)
    assert "T2T.speed(): S mode: fill 0.5" in call("policies", "t2t").out
    is_mistake(call("policies", "t2mm"), "did you mean 't2m'")


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_every_shipped_part_recommends_a_policy(kind: str, name: str) -> None:
    adapter, head = (name, None) if kind == "adapter" else (None, name)
    source, entry = recommended("nano", adapter, head)
    assert source == f"{kind} {name}"
    chosen = settings.choose_policy("auto", "nano", adapter, head, {})
    assert chosen.policy.name == entry["policy"]
    assert chosen.options.get("block_length") == entry.get("block_length")


def test_a_head_beside_an_adapter_recommends_its_own_policy() -> None:
    assert recommended("nano", "joint", "joint") == ("head joint", {"policy": "dsc"})
    alone = {"policy": "unmask", "tokens_per_step": None, "threshold": 0.9}
    assert recommended("nano", "joint") == ("adapter joint", alone)


def test_auto_is_the_recommended_policy_and_set_wins(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # a hub id is asked for once, and not waited for
    words = ("generate", "Tom has 12 pens.", "--adapter", "scope", "--max-new-tokens", "8", "--json")
    same = ("--policy", "d3im", "--set", "steps=4", "--block-length", "all")
    auto = call(*words, "--policy", "auto", "--set", "steps=4")
    row = json.loads(auto.out)
    entry = dlmsample.D3IM(steps=4).entry()
    assert row.pop("policy") == entry
    assert row == json.loads(call(*words, *same).out)
    assert auto.err == (
        "policy d3im steps=48, block length all, as adapter scope was trained for; with --set it is d3im steps=4\n"
    )
    for nothing in (None, "", "org/name", "~nobody/at/all"):
        assert settings.choose_policy("auto", "nano", nothing, None, {}).policy.name == "unmask"


def test_a_folder_of_one_s_own_recommends_too(tmp_path: Path) -> None:
    file = tmp_path / RECOMMENDED
    file.write_text('{"policy": "t2m", "threshold": 0.2}')
    assert settings.choose_policy("auto", "nano", str(tmp_path), None, {}).policy == dlmsample.T2M(threshold=0.2)
    assert settings.choose_policy("auto", str(tmp_path), None, None, {}).policy.name == "t2m"
    wrongs = (
        "{",
        "[]",
        '{"threshold": 1}',
        '{"policy": "t2m", "treshold": 1}',
        '{"policy": "t2m", "block_length": "x"}',
    )
    for wrong in wrongs:
        file.write_text(wrong)
        assert settings.choose_policy(None, "nano", str(tmp_path), None, {}).policy.name == "unmask"
        with pytest.raises(ValueError, match=r"policy"):
            settings.choose_policy("auto", "nano", str(tmp_path), None, {})


def test_auto_is_explained_and_refused_where_no_checkpoint_is_known(call: Call) -> None:
    code, out, _ = call("policies", "auto")
    assert code == 0
    assert "--model nano --adapter scope: policy d3im steps=48" in " ".join(out.split())
    assert "Known" not in out
    is_mistake(call("generate", "x", "--policy", "autoo"), "unknown policy")
    with pytest.raises(ValueError, match="name a policy here"):
        dlmsample.policy("auto")


def test_a_saved_policy_is_taken_where_a_name_is(call: Call, tmp_path: Path) -> None:
    words = ("generate", "Tom has 12 pens.", "--max-new-tokens", "8", "--json")
    saved = dlmsample.T2M(threshold=0.2)
    saved.save(tmp_path / "mine.json")
    (tmp_path / "mine.yaml").write_text("policy: t2m\nthreshold: 0.2\nblock_length: 8\n")
    plain = json.loads(call(*words, "--policy", "t2m", "--set", "threshold=0.2").out)
    code, out, err = call(*words, "--policy", str(tmp_path / "mine.json"))
    row = json.loads(out)
    assert (code, row.pop("policy"), row) == (0, saved.entry(), plain)
    assert err == f"policy t2m threshold=0.2, from {tmp_path / 'mine.json'}\n"
    blocks = json.loads(call(*words, "--policy", "t2m", "--set", "threshold=0.2", "--block-length", "8").out)
    assert json.loads(call(*words, "--policy", str(tmp_path / "mine.yaml")).out)["tokens"] == blocks["tokens"]
    changed = call(*words, "--policy", str(tmp_path / "mine.yaml"), "--set", "threshold=0.5").out
    assert json.loads(changed)["policy"]["threshold"] == 0.5
    is_mistake(call(*words, "--policy", str(tmp_path / "none.yaml")), "cannot read policy")
    (tmp_path / "mine.yaml").write_text("policy: t2m\ntreshold: 0.2\n")
    is_mistake(call(*words, "--policy", str(tmp_path / "mine.yaml")), "did you mean 'threshold'")


def test_a_hub_id_recommends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetched where it is asked for; without --policy only what is here already is looked at."""
    (tmp_path / "policy.json").write_text('{"policy": "t2m", "threshold": 0.2}')
    asked: list[tuple[Any, ...]] = []

    def download(name: str, file: str, *, revision: str | None, local_files_only: bool) -> str:
        asked.append((name, file, revision, local_files_only))
        if name == "org/none":
            raise OSError("no such file on the hub")
        return str(tmp_path / "policy.json")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    chosen = settings.choose_policy("auto", "org/model", None, None, {}, "v1")
    assert (chosen.policy, asked) == (dlmsample.T2M(threshold=0.2), [("org/model", RECOMMENDED, "v1", False)])
    assert settings.choose_policy("auto", "nano", "org/adapter", None, {}).policy.name == "t2m"
    assert settings.choose_policy("auto", "nano", None, "org/head", {}).policy.name == "t2m"
    assert settings.choose_policy("auto", "org/none", "org/none", None, {}).policy.name == "unmask"
    note = settings.choose_policy(None, "org/model", None, None, {}).note
    assert (note.split(";")[0], asked[-1][-1]) == ("model org/model was trained for --policy t2m", True)
    asked.clear()
    for name in ("./org/x", "/org/x", "~/x", "a/b/c", "nano"):
        assert settings.choose_policy("auto", name, None, None, {}).policy.name == "unmask"
    assert asked == []


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_what_every_objective_is_made_for_is_a_policy(name: str) -> None:
    entry = dict(OBJECTIVES[name].made_for)
    assert entry.pop("block_length", "all") == "all"
    assert settings.make_policy(entry.pop("policy"), entry)


def test_a_terminal_is_told_what_an_adapter_was_trained_for(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "x", "--adapter", "scope", "--max-new-tokens", "8", "--json"]
    assert call(*words).err == ""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert run(words) == 0
    assert "adapter scope was trained for --policy d3im; --policy auto takes it\n" in screen.getvalue()
    assert run([*words, "--policy", "unmask"]) == 0
    assert screen.getvalue().count("was trained for") == 1


def test_a_policy_of_pieces_tells_its_pieces(call: Call) -> None:
    said = " ".join(call("policies", "chain").out.split())
    for word in ("--set fill=RULE", "grid file", "quota(tokens_per_step=", "early_commit(", "remask(detector=low_prob"):
        assert word in said
    assert "low_prob(threshold=" in said
    assert "keep()" in said


def test_the_list_ends_with_what_has_no_row(call: Call) -> None:
    said = " ".join(call("policies").out.split())
    assert "chain" in said
    assert "backplay" in said
    assert {row["name"] for row in json.loads(call("policies", "--json").out)} == {*dlmsample.list_policies()}


def test_a_chain_is_typed_with_dots(call: Call) -> None:
    """Tokens are those of the chain made in Python; the order of the options does not matter."""
    words = ["generate", "2 + 2?", "--policy", "chain", "--max-new-tokens", "24", "--json"]
    typed = [
        "edit.detector.threshold=0.9",
        "fill.tokens_per_step=4",
        "fill=quota",
        "edit=remask",
        "edit.detector=low_prob",
    ]
    code, out, _ = call(*words, *(word for setting in typed for word in ("--set", setting)))
    assert code == 0
    remask = dlmsample.edit.Remask(dlmsample.detect.LowProb(0.9))
    sampler = dlmsample.Sampler(dlmsample.load("nano"), dlmsample.chain(dlmsample.fill.Quota(4), remask))
    assert json.loads(out)["tokens"] == sampler.generate(["2 + 2?"], max_new_tokens=24).tokens[0]


def test_a_typed_number_is_one_wherever_it_stands() -> None:
    """YAML 1.1 alone takes 1e-4 for a text, which a piece of a chain refuses."""
    typed = settings.parse_settings(["fill=threshold", "fill.threshold=1e-4", "edit.threshold=5E-1"])
    assert typed == {"fill": {"rule": "threshold", "threshold": 0.0001}, "edit": {"threshold": 0.5}}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "fill must be given (fill=..., --set fill="),
        (["fill=qouta"], "did you mean 'quota'"),
        (["fill.rule=quota", "fill.tokens_per_step=0"], "tokens_per_step of quota"),
        (
            ["fill=quota", "edit=remask", "edit.detector.rule=low_prob", "edit.detector.x=1"],
            "option of detector low_prob 'x'",
        ),
        (["fill=quota", "fill.rule=quota"], "once"),
        (["fill.=3"], "--set fill."),
        (["fill=quota", "edit={rule: keep}"], "one YAML scalar"),
        (["fil=quota"], "did you mean 'fill'"),
    ],
)
def test_mistakes_in_a_typed_chain(typed: list[str], said: str, call: Call) -> None:
    words = ["generate", "x", "--policy", "chain"]
    is_mistake(call(*words, *(word for setting in typed for word in ("--set", setting))), said)


TYPED = [
    dlmsample.T2T(edit_threshold=None),
    dlmsample.D3IM(steps=9, t2t=False),
    dlmsample.Unmask(entropy_bound=0.3, eos="confidence"),
    dlmsample.chain(dlmsample.fill.Threshold(0.7), dlmsample.edit.Remask(dlmsample.detect.LowProb(0.3))),
    dlmsample.chain(dlmsample.fill.Quota(2)),
]


@pytest.mark.parametrize("policy", TYPED, ids=lambda policy: policy.name)
def test_a_policy_as_it_would_be_typed_is_that_policy(policy: dlmsample.Policy) -> None:
    name, *given = settings.spell(policy).split()
    assert settings.make_policy(name, settings.parse_settings(given)) == policy


def test_options_may_follow_the_name(call: Call, tiny: Any) -> None:
    def said(*words: str) -> Any:
        return json.loads(call("generate", "x", "--max-new-tokens", "8", "--json", *words).out)

    assert said("--policy", "unmask:tokens_per_step=4") == said("--policy", "unmask", "--set", "tokens_per_step=4")
    wins = said("--policy", "t2m:threshold=0.2,max_remasks=2", "--set", "threshold=0.1")
    assert wins == said("--policy", "t2m", "--set", "threshold=0.1", "--set", "max_remasks=2")
    is_mistake(call("generate", "x", "--policy", "unmask:tokens=4"), "unknown option of policy unmask 'tokens'")
    is_mistake(call("generate", "x", "--policy", "unmask:4"), "4")


@pytest.mark.parametrize("name", ["t2m", "auto", "backplay", "chain", "d3im", "dsc"])
def test_the_command_to_try_works(name: str, call: Call) -> None:
    last = call("policies", name).out.splitlines()[-1]
    _, *words = shlex.split(last)
    code, said, _ = call(*words)
    assert code == 0
    assert said.strip()


def test_a_policy_that_needs_options_says_where_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(explain._BESIDE, "chain")
    assert explain.tried("chain").endswith("--policy chain --set OPTION=VALUE")


def test_a_file_may_leave_to_set_what_it_lacks(call: Call, tiny: Any, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text('{"policy": "chain"}', encoding="utf-8")
    words = ("generate", "x", "--policy", str(file), "--max-new-tokens", "8")
    assert call(*words, "--set", "fill=quota").code == 0
    is_mistake(call(*words), "fill")
