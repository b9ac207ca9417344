"""The policies inside SGLang: the tokens are the Sampler's, options are checked, and blocks end.

These tests meet a stand-in of SGLang; ``test_sglang_wheel.py`` runs them again with SGLang's own wheel.
"""

from __future__ import annotations

import re
import sys
import tomllib
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

import dlmsample as ds
from dlmsample.plugins import sglang as plugin
from dlmsample.support.registry import resolve
from tests.docs.pages import blocks
from tests.plugins.server import BLOCK, REAL, VOCAB, StandIn, batch, model, ours, serve, table_rule
from tests.toys import EOS, MASK

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "sglang.md"
PROMPTS = [[5, 6, 7], list(range(3, 14)), [4] * 8, [9, 3, 9, 3, 9, 3, 9, 3, 9, 3, 9, 3, 9, 3, 9, 3, 9]]
NEW = 3 * BLOCK
#: Algorithms and their configurations.
ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("DlmsampleUnmask", {}),
    ("DlmsampleUnmask", {"tokens_per_step": 3, "score": "margin"}),
    ("DlmsampleUnmask", {"threshold": 0.6}),
    ("DlmsampleUnmask", {"entropy_bound": 0.5}),
    ("DlmsampleT2T", {}),
    ("DlmsampleT2T", {"fill_threshold": 0.5, "edit_threshold": 0.0, "max_post_steps": 3}),
    ("DlmsampleT2T", {"guard": True, "edit_threshold": 0.2}),
    ("DlmsampleT2T", {"eos": "confidence", "eos_ids": [EOS]}),
    ("DlmsampleT2M", {"threshold": 0.6, "fill_threshold": 0.4}),
    ("DlmsampleT2M", {"detector": "t2t_remask", "threshold": 0.5}),
    ("DlmsampleT2M", {"detector": "logit_diff", "max_remasks": 3}),
]
#: Those that draw random numbers.
DRAWING: list[tuple[str, dict[str, Any]]] = [
    ("DlmsampleDSC", {"scorer": "random"}),
    ("DlmsampleDSC", {"scorer": "random", "stride": 1, "buffer": 2}),
    ("DlmsampleUnmask", {"tokens_per_step": 2, "score": "random"}),
]


def policy_of(name: str, options: dict[str, Any]) -> ds.Policy:
    """The Sampler's policy for a configuration."""
    return ds.policy(plugin.ALGORITHMS[name], **{key: value for key, value in options.items() if key != "eos_ids"})


def sampled(policy: ds.Policy, prompts: list[list[int]], new: int, rule: Any, seed: Any = 0) -> list[list[int]]:
    """The Sampler's answers."""
    return ds.Sampler(model(rule), policy, BLOCK, cache=False).generate(prompts, new, seed).tokens


@pytest.mark.parametrize("fdfo", [True, False], ids=["rounds", "blocks"])
@pytest.mark.parametrize(("name", "options"), ANSWERS, ids=str)
def test_answers_are_the_samplers(name: str, options: dict[str, Any], fdfo: bool, full: bool) -> None:
    """Prompts that end inside a block, at its end, and behind it; rows that join and leave one by one."""
    policy, placed = policy_of(name, options), 0
    for seed in range(2 if full else 1):
        rule = table_rule(seed)
        expected = sampled(policy, PROMPTS, NEW, rule)
        for late in (0, 3) if full else (3,):
            for prompt, want, row in zip(
                PROMPTS, expected, serve(ours(name, options, fdfo), PROMPTS, NEW - BLOCK, rule, late), strict=True
            ):
                row.new = NEW - len(prompt) % BLOCK  # up to a block's end, for the Sampler's last block is shorter
                assert row.tokens == want[: len(row.tokens)]
                placed += len(row.tokens)
    assert placed >= 40


@pytest.mark.parametrize("fdfo", [True, False], ids=["rounds", "blocks"])
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("options", [{"t2t": False}, {"t2m": False}, {"eos": "logit_nonfinal"}, {}], ids=str)
def test_d3im_spends_its_steps_on_every_block(options: dict[str, Any], blocks: int, fdfo: bool) -> None:
    """Where blocks are equal, the Sampler shares a budget of ``blocks`` times as much out as SGLang spends it."""
    rule, prompts = table_rule(2), [[4] * BLOCK, [7] * BLOCK]
    asked = serve(ours("DlmsampleD3IM", {"steps": 5, "eos_ids": [EOS], **options}, fdfo), prompts, blocks * BLOCK, rule)
    policy = ds.D3IM(steps=5 * blocks, **options)
    assert [row.tokens for row in asked] == sampled(policy, prompts, blocks * BLOCK, rule)
    if EOS not in asked[0].output:
        assert asked[0].rounds - fdfo <= blocks * (5 + 1) + 1  # the prompt's block, and a forward that writes each


def test_a_budget_of_steps_is_a_blocks() -> None:
    rule, prompts = table_rule(3), [[4] * BLOCK, [7] * BLOCK]
    asked = serve(ours("DlmsampleUnmask", {"steps": 4}), prompts, 3 * BLOCK, rule)
    assert [row.tokens for row in asked] == sampled(ds.Unmask(steps=12), prompts, 3 * BLOCK, rule)


@pytest.mark.parametrize("fdfo", [True, False], ids=["rounds", "blocks"])
@pytest.mark.parametrize(("name", "options"), DRAWING, ids=str)
def test_draws_are_those_of_an_empty_prompt(name: str, options: dict[str, Any], fdfo: bool) -> None:
    """SGLang shows an algorithm the block alone; so with ``seed`` the draws are the Sampler's for no prompt."""
    rule, policy = table_rule(4), policy_of(name, options)
    asked = serve(ours(name, {**options, "seed": 11}, fdfo), [[]], NEW, rule)
    assert [row.tokens for row in asked] == sampled(policy, [[]], NEW, rule, seed=[11])
    other = serve(ours(name, {**options, "seed": 12}, fdfo), [[]], NEW, rule)
    assert asked[0].tokens != other[0].tokens


def test_without_a_seed_requests_draw_for_themselves() -> None:
    rule = table_rule(4)
    two = serve(ours("DlmsampleDSC", {"scorer": "random"}), [[5], [5]], NEW, rule)
    assert two[0].output != two[1].output
    again = serve(ours("DlmsampleDSC", {"scorer": "random"}), [[5], [5]], NEW, rule, late=2)
    assert [row.output for row in two] == [row.output for row in again]  # the ids of the requests are the same
    alike = serve(ours("DlmsampleDSC", {"scorer": "random", "seed": 1}), [[5], [5]], NEW, rule)
    assert alike[0].output == alike[1].output


@pytest.mark.parametrize("name", plugin.ALGORITHMS)
def test_blocks_end_whatever_the_model_says(name: str) -> None:
    """Never sure, another candidate at every step, the mask id above all: a block is full in time, without a mask."""
    options = {"DlmsampleDSC": {"scorer": "random", "stride": 1, "max_remasks": 8, "tokens_per_step": 1}}
    options["DlmsampleT2T"] = {"edit_threshold": 0.0}
    options["DlmsampleT2M"] = {"threshold": 1.0, "max_remasks": 3, "max_ratio": 1.0}
    options["DlmsampleD3IM"] = {"eos": "none", "steps": 7}
    algorithm = ours(name, options.get(name, {}))
    now = batch([[MASK] * BLOCK, [3, *[MASK] * (BLOCK - 1)], [3] * BLOCK], [0, 0, 0], ["a", "b", "c"])
    states = algorithm.init_step_state(now)
    done = [False] * 3
    for step in range(algorithm.max_steps(BLOCK)):
        logits = torch.zeros(3 * BLOCK, VOCAB)
        logits[:, MASK], logits[:, 3 + step % 5] = 9.0, 0.1
        before = now.input_ids.clone()
        done = algorithm.step(now, logits, states)
        assert done[2], "nothing is left to decide"
        for row, is_done in enumerate(done):
            block = slice(row * BLOCK, (row + 1) * BLOCK)
            assert not is_done or torch.equal(before[block], now.input_ids[block])
    assert all(done)
    assert MASK not in now.input_ids.tolist()
    assert now.input_ids[BLOCK] == 3


def test_a_prompt_may_hold_the_mask_id_where_sglang_says_so() -> None:
    algorithm = ours("DlmsampleUnmask", {"tokens_per_step": BLOCK})
    given = torch.arange(BLOCK)[None] < 2
    now = batch([[MASK] * BLOCK], [0], ["a"], given)
    states = algorithm.init_step_state(now)
    algorithm.step(now, torch.randn(BLOCK, VOCAB, generator=torch.Generator().manual_seed(0)), states)
    assert [token == MASK for token in now.input_ids.tolist()] == given[0].tolist()


def test_ids_stay_where_they_are_and_as_they_are() -> None:
    """Captured graphs read one tensor, of whatever integers SGLang uses."""
    algorithm = ours("DlmsampleUnmask")
    now = batch([[MASK] * BLOCK], [0], ["a"])
    ids = now.input_ids = now.input_ids.to(torch.int32)
    algorithm.step(now, torch.randn(BLOCK, VOCAB), algorithm.init_step_state(now))
    assert now.input_ids is ids
    assert ids.dtype == torch.int32
    assert (ids != MASK).sum() == 1


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("DlmsampleT2M", {"treshold": 0.2}, "unknown option of DlmsampleT2M 'treshold'; did you mean 'threshold'?"),
        ("DlmsampleT2T", {"threshold": 0.5, "penalty_lambda": 1}, "unknown option of DlmsampleT2T 'threshold'"),
        ("DlmsampleT2M", {"threshold": 1.5}, "t2m: threshold must be <= 1 (got 1.5)"),
        ("DlmsampleUnmask", {"steps": 4, "threshold": 0.5}, "give one of"),
        ("DlmsampleDSC", {}, "SGLang runs no correction head: set scorer: random"),
        ("DlmsampleD3IM", {}, "give eos_ids: [...], or set eos: none"),
        ("DlmsampleT2T", {"eos": "confidence"}, "give eos_ids: [...], or set eos: none"),
        ("DlmsampleD3IM", {"eos_ids": "1"}, "eos_ids must be a list of ids, not '1'"),
        ("DlmsampleD3IM", {"eos_ids": [True]}, "eos_ids must be an int, not True"),
        ("DlmsampleT2T", {"seed": "x"}, "seed must be an int, not 'x'"),
    ],
)
def test_options_are_a_closed_world(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as e:
        ours(name, options)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("block", blocks(PAGE, "yaml"), ids=lambda block: block.partition(",")[0])
def test_the_files_of_the_page_are_read(block: str) -> None:
    found = re.match(r"# \w+\.yaml, for (\w+)\n", block)
    assert found
    plugin.read_options(found[1], yaml.safe_load(block))


def test_a_file_is_checked_before_the_model_is_loaded(tmp_path: Path) -> None:
    cls, file = type(ours("DlmsampleT2M")), tmp_path / "t2m.yaml"
    for text, said in (("", None), ("threshold: 0.2\nblock_size: 8\n", None), ("treshold: 0.2\n", "'treshold'")):
        file.write_text(text)
        args = SimpleNamespace(dllm_algorithm_config=str(file))
        with nullcontext() if said is None else pytest.raises(ValueError, match=said):
            cls.configure_server_args(args)
    with pytest.raises(ValueError, match="scorer: random"):
        type(ours("DlmsampleDSC", {"scorer": "random"})).configure_server_args(SimpleNamespace())


def test_an_unknown_algorithm_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown algorithm 'DlmsampleT2'; did you mean 'DlmsampleT2[MT]'"):
        plugin.read_options("DlmsampleT2", {})


def test_requests_that_ask_for_more_are_told() -> None:
    cls = type(ours("DlmsampleT2M"))
    plain = {"frequency_penalty": 0.0, "repetition_penalty": 1.0, "json_schema": None, "temperature": 0.7}
    assert cls.validate_request(SimpleNamespace(sampling_params=SimpleNamespace(**plain), return_logprob=False)) is None
    assert "sampling_seed" in (
        cls.validate_request(SimpleNamespace(sampling_params=SimpleNamespace(sampling_seed=0))) or ""
    )
    wants = SimpleNamespace(**{**plain, "json_schema": "{}", "frequency_penalty": 0.5})
    said = cls.validate_request(SimpleNamespace(sampling_params=wants, return_logprob=True))
    assert said == (
        "DlmsampleT2M decodes whole blocks, for which frequency_penalty, json_schema, return_logprob has no meaning: "
        "leave it out"
    )


@pytest.mark.skipif(REAL, reason="SGLang is here")
def test_without_sglang_the_remedy_is_one_line() -> None:
    remedy = "this needs SGLang, on a machine with a GPU: pip install 'dlmsample[sglang]'"
    with pytest.raises(ValueError, match=f"^{re.escape(remedy)}$"):
        plugin.register()


def pretend(monkeypatch: pytest.MonkeyPatch, base: type | None) -> dict[str, type]:
    """An SGLang with this base class in place of what is installed; its table of algorithms."""
    known: dict[str, type] = {"LowConfidence": object}
    paths = ("sglang", "sglang.srt", "sglang.srt.dllm", "sglang.srt.dllm.algorithm", "sglang.srt.dllm.algorithm.base")
    for path in paths:
        module = ModuleType(path)
        module.__path__ = []  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, path, module)
    vars(sys.modules[paths[-2]])["algo_name_to_cls"] = known
    if base is not None:
        vars(sys.modules[paths[-1]])["DllmAlgorithm"] = base
    return known


def test_registering_adds_and_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pretend(monkeypatch, StandIn)
    plugin.register()
    first = dict(known)
    plugin.register()
    assert known == first
    assert known.keys() == {"LowConfidence", *plugin.ALGORITHMS}
    assert all(issubclass(known[name], StandIn) and known[name].__name__ == name for name in plugin.ALGORITHMS)


@pytest.mark.parametrize(
    ("base", "said"),
    [(type("Old", (), {"run": None}), "the algorithms of this SGLang have no init_step_state"), (None, "no attribute")],
)
def test_an_sglang_without_the_interface_is_told(base: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, base)
    with pytest.raises(ValueError, match=said) as e:
        plugin.register()
    assert "pip install 'dlmsample[sglang]'" in str(e.value)


def test_the_package_declares_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (target,) = project["entry-points"]["sglang.srt.plugins"].values()
    assert resolve(target) is plugin.register
    assert "sglang" in project["optional-dependencies"]


@pytest.mark.skipif(REAL, reason="SGLang is here")
def test_importing_the_plugin_imports_no_sglang() -> None:
    assert not [name for name in sys.modules if name.partition(".")[0] == "sglang"]
