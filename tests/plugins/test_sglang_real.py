"""SGLang's own classes: they find our plugin, and where the rules agree, its algorithms decode as ours do.

Runs only where ``DLMSAMPLE_SGLANG_REAL`` is set and SGLang can be imported: ``test_sglang_wheel.py`` sees to it. No
server is started: logits are made up, and SGLang's scheduler, cache and model runner are not used.

Where the rules agree: the mask id has no mass (SGLang lets it be a candidate); confidences keep clear of thresholds
and of 1, where SGLang's float32 softmax has ties; no repetition penalty.
"""

from __future__ import annotations

import argparse
import json
import shlex
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dlmsample.plugins import sglang as plugin
from tests.docs.pages import blocks
from tests.plugins.server import BLOCK, REAL, config, ours, serve, table_rule
from tests.toys import MASK

pytestmark = pytest.mark.skipif(not REAL, reason="runs where SGLang is installed: see test_sglang_wheel.py")
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sglang.md"
PROMPTS = [[5, 6, 7], list(range(3, 14)), [4] * 8, [9, 3] * 8]
BANNED = -1e4  # exp of it is 0 in float32


def known() -> dict[str, type]:
    return import_module("sglang.srt.dllm.algorithm").algo_name_to_cls


def test_sglang_finds_and_loads_the_plugin() -> None:
    (declared,) = [entry for entry in entry_points(group="sglang.srt.plugins") if entry.name == "dlmsample"]
    assert declared.value == "dlmsample.plugins.sglang:register"
    before = dict(known())
    plugins = import_module("sglang.srt.plugins")
    plugins.load_plugins()
    assert plugins._plugins_loaded
    assert known().keys() == {*before, *plugin.ALGORITHMS}
    assert {name: known()[name] for name in before} == before


@pytest.mark.parametrize("name", plugin.ALGORITHMS)
def test_sglang_makes_our_algorithms_by_name(name: str) -> None:
    plugin.register()
    package, base = import_module("sglang.srt.dllm.algorithm"), import_module("sglang.srt.dllm.algorithm.base")
    options = {"DlmsampleDSC": {"scorer": "random"}, "DlmsampleD3IM": {"eos": "none", "steps": 3}}
    made = package.get_algorithm(config(name, options.get(name, {}), fdfo=True))
    assert isinstance(made, base.DllmAlgorithm)
    assert type(made) is package.get_algorithm_cls(name)
    assert made.max_steps(BLOCK) > 1


def theirs(name: str, options: dict[str, Any], fdfo: bool) -> Any:
    return known()[name](config(name, options, fdfo))


@pytest.mark.parametrize("late", [0, 3])
@pytest.mark.parametrize("fdfo", [True, False], ids=["rounds", "blocks"])
@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.95])
def test_low_confidence_is_unmask_by_threshold(threshold: float, fdfo: bool, late: int) -> None:
    for seed in range(5):
        rule = table_rule(seed, BANNED)
        one = serve(ours("DlmsampleUnmask", {"threshold": threshold}, fdfo), PROMPTS, 3 * BLOCK, rule, late)
        two = serve(theirs("LowConfidence", {"threshold": threshold}, fdfo), PROMPTS, 3 * BLOCK, rule, late)
        assert [(row.output, row.rounds) for row in one] == [(row.output, row.rounds) for row in two]


@pytest.mark.parametrize("vectorized", [True, False], ids=["batched", "by-row"])
@pytest.mark.parametrize("fdfo", [True, False], ids=["rounds", "blocks"])
@pytest.mark.parametrize(("fill", "edit", "post"), [(0.5, 0.0, 16), (0.7, 0.5, 16), (0.4, 0.3, 2), (0.9, 0.0, 0)])
def test_joint_threshold_is_t2t(fill: float, edit: float, post: int, fdfo: bool, vectorized: bool) -> None:
    options = {"threshold": fill, "edit_threshold": edit, "max_post_edit_steps": post}
    for seed in range(5):
        rule = table_rule(seed, BANNED)
        ours_ = ours("DlmsampleT2T", {"fill_threshold": fill, "edit_threshold": edit, "max_post_steps": post}, fdfo)
        theirs_ = theirs("JointThreshold", {**options, "vectorized_decoding": vectorized}, fdfo)
        one, two = (serve(algorithm, PROMPTS, 3 * BLOCK, rule, late=2) for algorithm in (ours_, theirs_))
        assert [(row.output, row.rounds) for row in one] == [(row.output, row.rounds) for row in two]


@pytest.mark.parametrize("theirs_is", ["LowConfidence", "JointThreshold"])
def test_only_theirs_may_place_the_mask_id(theirs_is: str) -> None:
    """A difference, met on purpose: where the mask id is the model's favourite, SGLang's own place it."""
    from tests.plugins.server import VOCAB, batch

    logits = torch.zeros(BLOCK, VOCAB)
    logits[:, MASK] = 9.0
    for made, left in ((theirs(theirs_is, {"threshold": 0.5}, True), BLOCK), (ours("DlmsampleUnmask"), BLOCK - 1)):
        now = batch([[MASK] * BLOCK], [0], ["a"])
        made.step(now, logits.clone(), made.init_step_state(now))
        assert (now.input_ids == MASK).sum() == left


def test_requests_are_read_as_sglang_makes_them() -> None:
    params = import_module("sglang.srt.sampling.sampling_params").SamplingParams
    cls = type(ours("DlmsampleT2M"))

    def said(**asked: Any) -> str | None:
        return cls.validate_request(SimpleNamespace(sampling_params=params(**asked), return_logprob=False))

    assert said() is None
    assert said(temperature=0.0, max_new_tokens=4, stop=["x"]) is None
    for asked in ({"json_schema": "{}"}, {"min_p": 0.1}, {"sampling_seed": 0}, {"logit_bias": {"3": 1.0}}):
        assert next(iter(asked)) in (said(**asked) or "")
    for name in plugin._PARAMETERS:
        assert hasattr(params(), name), f"SGLang has no {name} any more"


def arguments(line: str) -> Any:
    """SGLang's reading of a command."""
    args = import_module("sglang.srt.server_args").ServerArgs
    parser = argparse.ArgumentParser()
    args.add_cli_args(parser)
    return args.from_cli_args(parser.parse_args(shlex.split(line)[2:]))


def command() -> str:
    (line,) = [line for block in blocks(PAGE, "sh") for line in block.splitlines() if line.startswith("sglang serve")]
    return line


def test_the_command_of_the_page_is_understood() -> None:
    given = arguments(command())
    assert given.dllm_algorithm in plugin.ALGORITHMS
    assert given.dllm_algorithm_config == "t2m.yaml"


def test_sglang_makes_an_algorithm_from_the_command(tmp_path: Path) -> None:
    """From the words and the file of the page; of the checkpoint SGLang reads no more than what it is."""
    plugin.register()
    checkpoint, file = tmp_path / "checkpoint", tmp_path / "t2m.yaml"
    checkpoint.mkdir()
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    about = {"architectures": ["LLaDA2MoeModelLM"], "model_type": "qwen3", "vocab_size": 156_900, **sizes}
    (checkpoint / "config.json").write_text(json.dumps(about))
    file.write_text(blocks(PAGE, "yaml")[0])
    line = command().replace("inclusionAI/LLaDA2.1-mini", str(checkpoint)).replace("t2m.yaml", str(file))
    given = arguments(f"{line} --device cpu")
    made = import_module("sglang.srt.dllm.algorithm.base").DllmAlgorithm.from_server_args(given)
    assert type(made).__name__ == "DlmsampleT2M"
    assert (made.block_size, made.mask_id, made.fdfo) == (32, 156_895, True)
    assert made.options.policy.threshold == 0.3
    type(made).configure_server_args(given)
    file.write_text("treshold: 0.3\n")
    with pytest.raises(ValueError, match="'treshold'"):
        type(made).configure_server_args(given)
