"""Damage of any file of a checkpoint, and a value of any type for any key, is one line, and nothing else is loaded."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertTokenizer

import dlmsample as ds
from dlmsample.models.explain import explain
from dlmsample.models.families import open_config
from dlmsample.models.weight_files import stored_quantised
from tests.models import checkpoints as tiny
from tests.models.test_downloads import INDEX, NANO, POINTER, copy, shards
from tests.models.test_families import IDS, edit, fails
from tests.models.test_masked_lm import WORDS

VALUES: list[Any] = [True, False, 0, -1, 7, 1.5, float("inf"), float("nan"), "x", "", "7", [1], ["x"], [None], [{}]]
VALUES += [{"a": 1}, {"a": None}, 10**15, -(10**30)]
#: Beside the keys that a config has.
MORE = ["architectures", "model_type", "auto_map", "dlmsample", "mask_token_id", "eos_token_id", "rope_parameters"]
MORE += ["rope_scaling", "layer_types", "dtype", "tie_word_embeddings", "block_size", "is_decoder", "hidden_act"]


def bert(folder: Path) -> Path:
    """A tiny BERT whose tokenizer is a list of words."""
    tiny.save("bert", folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    return folder


def dream(folder: Path) -> Path:
    """A tiny Dream whose tokenizer is a vocabulary and its merges."""
    tiny.save("dream", folder)
    tokens = ["<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz", "Ġ", "pe", "pen", "ns"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\np e\npe n\nn s\n", encoding="utf-8")
    return folder


#: Files that cannot be read in part.
NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.json")
FOLDERS: dict[str, Callable[[Path], Path]] = {"nano": copy, "bert": bert, "dream": dream}


# ---- values of any type


@pytest.mark.parametrize("name", [*tiny.FAMILIES, "bert", "modernbert", "nano"])
def test_a_value_of_any_type(name: str, tmp_path: Path, full: bool) -> None:
    """Of each key of config.json: read, or refused in one line; never another error, and the body can be built."""
    folder = copy(tmp_path / "c") if name == "nano" else tiny.save(name, tmp_path / "c")
    raw = json.loads((folder / "config.json").read_text())
    cases = [(key, value) for key in dict.fromkeys([*raw, *MORE]) for value in VALUES]
    for key, value in cases if full else random.Random(name).sample(cases, 25):
        (folder / "config.json").write_text(json.dumps({**raw, key: value}))
        said = ""
        try:
            open_config(folder, mask_id=None if name == "nano" else 30, eos_ids=[2]).shell()
        except ValueError as e:
            said = str(e)
        assert "\n" not in said, (key, value)
        assert not said or str(folder) in said, (key, value)


WRONG: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "architectures": ("llada", {"architectures": 7}, ("architectures", "a list of names")),
    "one architecture": ("llada", {"architectures": "LLaDAModelLM"}, ("architectures", "a list of names")),
    "no section": ("dream", {"dlmsample": [1]}, ("dlmsample", "an object")),
    "ids": ("dream", {"eos_token_id": {"a": 1}}, ("eos_token_id", "a list of ids")),
    "a true id": ("dream", {"mask_token_id": True}, ("mask_token_id", "an id")),
    "a size": ("llada", {"embedding_size": 1.5}, ("embedding_size=1.5", "LlamaConfig")),
    "a switch": ("llada", {"weight_tying": 1}, ("weight_tying=1", "LlamaConfig")),
    "no heads": ("dream", {"num_attention_heads": 0}, ("config",)),
    "layers without end": ("llada", {"n_layers": 10**15}, ("n_layers", "10000 at most")),
    "no layers": ("bert", {"num_hidden_layers": 0}, ("num_hidden_layers", "1 or more")),
    "fewer layers than weights": ("bert", {"num_hidden_layers": 1}, ("more layers", "encoder.layer.1.")),
    "not finite": ("llada", {"rms_norm_eps": float("inf")}, ("rms_norm_eps", "a finite number")),
    "no base": ("llada", {"rope_theta": True}, ("rope_theta", "a positive number")),
    "no rope": ("dream", {"rope_parameters": False}, ("rope_parameters", "no object")),
    "yarn alone": ("dream", {"rope_scaling": {"type": "yarn"}}, ("'yarn' without factor",)),
    "a factor": ("dream", {"rope_scaling": {"type": "linear", "factor": "2"}}, ("rope_scaling.factor", "a number")),
    "no block": ("sdar", {"block_size": 0}, ("block_size", "a number of tokens")),
    "no window": ("dream", {"sliding_window": False}, ("sliding_window", "a number of tokens")),
    "a decoder": ("bert", {"is_decoder": True}, ("is_decoder=True", "only False")),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str, tmp_path: Path) -> None:
    name, change, words = WRONG[case]
    ids = {"mask_id": 32, "eos_ids": [2]} if name == "bert" else IDS.get(name, {})
    if "mask_token_id" in change:
        ids = {}
    fails(*words, name=edit(tiny.save(name, tmp_path / "a"), **change), **ids)


def test_a_block_longer_than_the_context(tmp_path: Path) -> None:
    model = ds.load(edit(tiny.save("sdar", tmp_path / "a"), block_size=10**9))
    with pytest.raises(ValueError, match="blocks have 1000000000 tokens, and its context has 512"):
        ds.Sampler(model, ds.Unmask())
    assert ds.Sampler(model, ds.Unmask(), block_length=4).generate([[5, 6]], 4).tokens


def test_what_a_module_returns_is_not_for_the_config_to_say(tmp_path: Path) -> None:
    """Keys that change no number reach no module: with return_dict False it would return a tuple."""
    folder = edit(copy(tmp_path / "nano"), return_dict=False, output_hidden_states=1.5)
    model = ds.load(edit(folder, dtype={"a": 1}, _attn_implementation=7))
    assert ds.Sampler(model, ds.Unmask()).generate(["pens"], 4).tokens
    assert model.module.config.return_dict is True
    assert explain(str(folder))["body"] == "Qwen3ForCausalLM"


# ---- damage of any file


@pytest.mark.parametrize("name", FOLDERS)
def test_damage_of_any_file(name: str, tmp_path: Path, full: bool) -> None:
    """A cut, an empty file, a pointer, a page, zero bytes, another type deep in a JSON file; seeded."""
    folder, draw = FOLDERS[name](tmp_path / "c"), random.Random(f"damage {name}")
    ids = {"mask_id": 250, "eos_ids": [249]} if name == "dream" else {}
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for _ in range(400 if full else 24):
        path = draw.choice(files)
        before = path.read_bytes()
        kind, damaged = _damage(path, before, draw)
        path.write_bytes(damaged)
        try:
            ds.load(folder, **ids).encode("pens")
            said = ""
        except ValueError as e:
            said = str(e)
        assert "\n" not in said, (path.name, kind)
        assert not said or str(folder) in said, (path.name, kind, said)
        if kind in ("empty", "pointer", "page", "half") and path.name in NEEDED:
            assert said, f"{path.name}, {kind}, was taken for whole"
        path.write_bytes(before)


def _damage(path: Path, before: bytes, draw: random.Random) -> tuple[str, bytes]:
    kind = draw.choice(["empty", "pointer", "page", "half", "zeros", "value", "value", "value", "value"])
    cut = draw.randrange(len(before) // 4, 3 * len(before) // 4)
    if kind == "value" and path.suffix == ".json":
        document = json.loads(before)
        at = document
        while True:
            key = draw.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if not isinstance(at[key], dict | list) or not at[key] or draw.random() < 0.3:
                break
            at = at[key]
        at[key] = draw.choice(VALUES)
        return kind, json.dumps(document).encode()
    whole = {"empty": b"", "pointer": POINTER.encode(), "page": b"<!DOCTYPE html><html>log in</html>"}
    rest = b"\0" * (len(before) - cut) if kind == "zeros" else b""
    return kind, whole[kind] if kind in whole else before[:cut] + rest


def test_weights_that_were_cut_off(tmp_path: Path) -> None:
    """The file is named, also among several."""
    folder = copy(tmp_path / "nano")
    index = shards(folder)
    (folder / "model.safetensors").unlink()
    fails("weights are in parts", INDEX, "incomplete", name=folder)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {}}))
    fails(INDEX, "names no file", name=folder)
    (folder / INDEX).write_text(json.dumps(index))
    part = folder / "model-00002-of-00002.safetensors"
    part.write_bytes(part.read_bytes()[:-1])
    fails("model-00002-of-00002.safetensors", "cut off", "download it again", name=folder)
    save_file({"x": torch.zeros(1)}, folder / "other.safetensors")
    for path in (part, folder / INDEX, folder / "model-00001-of-00002.safetensors"):
        path.unlink()
    fails("no weights", "model.safetensors", "other.safetensors", name=folder)


# ---- weights that were stored quantised


@pytest.mark.parametrize("kind", ["fp8", "fp8 and scales", "gptq", "bitsandbytes"])
def test_stored_quantised_without_a_word_in_the_config(kind: str, tmp_path: Path) -> None:
    folder, stored = tiny.save("llada2", tmp_path / "a"), {}
    for key, tensor in load_file(folder / "model.safetensors").items():
        if tensor.dim() != 2:
            stored[key] = tensor
        elif kind == "gptq":
            stored[key.removesuffix("weight") + "qweight"] = torch.zeros(8, 8, dtype=torch.int32)
        elif kind == "bitsandbytes":
            stored |= {key: tensor.to(torch.int8), key.removesuffix("weight") + "SCB": torch.ones(len(tensor))}
        else:
            stored[key] = tensor.to(torch.float8_e4m3fn)
            if kind != "fp8":
                stored[f"{key}_scale_inv"] = torch.ones(1)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    fails("stored quantised", "model.safetensors", "not served", "--quantization", name=folder, **IDS["llada2"])


def test_names_of_plain_weights_are_not_those_of_quantised_ones() -> None:
    for name in (*tiny.FAMILIES, "bert", "esm-rotary"):
        folder = tiny.OFFICIAL / name
        if folder.is_dir():
            assert not stored_quantised(load_file(folder / "model.safetensors"))


# ---- tokenizers


def test_merges_that_were_cut_off(tmp_path: Path) -> None:
    folder = dream(tmp_path / "a")
    ids = ds.load(folder).encode("pens", chat=False)
    (folder / "merges.txt").write_text("#version: 0.2\r\np e\r\npe n\r\nn s\r\n", encoding="utf-8", newline="")
    assert ds.load(folder).encode("pens", chat=False) == ids
    for left in ("", "#version: 0.2\n"):
        (folder / "merges.txt").write_text(left, encoding="utf-8")
        fails("merges.txt", "cut off", "0 of the 3", name=folder)
    words = bert(tmp_path / "b")
    (words / "vocab.txt").write_bytes((words / "vocab.txt").read_bytes()[:-8] + bytes(8))
    fails("vocab.txt", "zero bytes", name=words)


def test_a_mark_of_byte_order_is_no_text(tmp_path: Path) -> None:
    folder = copy(tmp_path / "nano")
    path = folder / "chat_template.jinja"
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert ds.load(folder).encode("pens") == ds.load("nano").encode("pens")


def test_sdar_reads_vocab_and_merges_too(tmp_path: Path) -> None:
    """Its published folders have them beside tokenizer.json."""
    folder = tiny.save("sdar", tmp_path / "a")
    for file in ("vocab.json", "merges.txt"):
        shutil.copy(dream(tmp_path / file) / file, folder)
    assert ds.load(folder).encode("pens", chat=False) == ds.load(tmp_path / "vocab.json").encode("pens", chat=False)


def test_a_family_that_reads_tokenizer_json_alone(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "a")
    for file in ("vocab.json", "merges.txt"):
        shutil.copy(dream(tmp_path / file) / file, folder)
    fails("tokenizer.json is missing", "incomplete", name=folder)


@pytest.mark.parametrize("file", ["merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"])
def test_what_is_left_of_a_tokenizer(file: str, tmp_path: Path) -> None:
    """Without any of its files prompts are ids; with some of them the download broke off."""
    folder = tiny.save("sdar", tmp_path / "a")
    assert ds.load(folder).tokenizer is None
    (folder / file).write_text("{}")
    fails("no vocabulary", "incomplete", name=folder)


def test_a_tokenizer_that_cannot_encode(tmp_path: Path) -> None:
    folder = bert(tmp_path / "a")
    (folder / "vocab.txt").write_text("[PAD]\n[UN")
    fails("cannot encode", "[UNK]", name=folder)
    nano = copy(tmp_path / "nano")
    said = json.loads((nano / "tokenizer_config.json").read_text())
    (nano / "tokenizer_config.json").write_text(json.dumps({**said, "model_max_length": "7"}))
    fails("cannot encode a text", "download them again", name=nano)


@pytest.mark.parametrize("template", ["{% for %}", "{{ x.y.z }}", "{{ messages[9]['content'] }}"])
def test_a_template_that_is_none_does_not_refuse(template: str, tmp_path: Path) -> None:
    """It fails: to change the roles of the messages would not help."""
    folder = copy(tmp_path / "nano")
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ValueError, match=r"fails \(.*\): repair it, or give the prompt as plain text"):
        ds.load(folder).encode("pens")


# ---- adapters


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter of nano's, which may be changed."""
    return Path(shutil.copytree(NANO / "adapters" / "scope", tmp_path / "adapter"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"an_option_of_tomorrow": True}, ("an_option_of_tomorrow=True", "newer peft")),
        ({"target_modules": "("}, ("subpattern",)),
        ({"alpha_pattern": {"(": 1}}, ("subpattern",)),
        ({"layer_replication": [[0, 1]]}, ("does not fit",)),
        ({"megatron_config": {"a": 1}}, ("megatron",)),
        ({"peft_type": "NOPE"}, ("adapter_config.json", "NOPE")),
        ({"r": "x"}, ("does not fit",)),
    ],
)
def test_options_of_an_adapter_that_cannot_be(change: dict[str, Any], words: tuple[str, ...], adapter: Path) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    fails(str(adapter), *words, name="nano", adapter=str(adapter))


@pytest.mark.filterwarnings("error")
def test_options_of_tomorrow_that_ask_for_nothing(adapter: Path) -> None:
    path = adapter / "adapter_config.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "tomorrow": None, "too": False, "peft_version": "9.9"}))
    assert ds.load("nano", adapter=str(adapter)).adapter


def test_other_kinds_of_adapters_are_merged(tmp_path: Path) -> None:
    """IA3 has no target_parameters, which LoRA has."""
    from peft import IA3Config, get_peft_model

    folder = tiny.save("sdar", tmp_path / "base")
    module = ds.load(folder).module
    config = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    wrapped: Any = get_peft_model(module, config)
    with torch.no_grad():
        for key, parameter in wrapped.named_parameters():
            if "ia3" in key:
                parameter.mul_(1.5)
    wrapped.save_pretrained(tmp_path / "ia3")
    before, after = (ds.load(folder, adapter=a).module.state_dict() for a in (None, str(tmp_path / "ia3")))
    key = "model.layers.0.self_attn.k_proj.weight"
    assert torch.allclose(after[key], 1.5 * before[key])
