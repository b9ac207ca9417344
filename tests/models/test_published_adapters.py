"""LoRA trained on a family's published module names: merged, it adds to the published matrices what it should."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import dlmsample as ds
from tests.models import checkpoints as tiny

RANK, ALPHA = 4, 8
_BLOCK = "model.transformer.blocks.1."
PUBLISHED = {
    "llada": [_BLOCK + n for n in ("q_proj", "k_proj", "v_proj", "attn_out", "ff_proj", "up_proj", "ff_out")],
    "llada2": [
        "model.layers.0.attention.query_key_value",
        "model.layers.2.attention.query_key_value",
        "model.layers.2.attention.dense",
        "model.layers.1.attention.dense",
    ],
    "llada2, layers named like experts": [
        "model.layers.0.mlp.down_proj",
        "model.layers.0.mlp.gate_proj",
        "model.layers.1.mlp.shared_experts.down_proj",
        "model.layers.2.mlp.shared_experts.up_proj",
    ],
    "llada2, both": ["model.layers.1.mlp.shared_experts.down_proj", "model.layers.2.attention.query_key_value"],
    "dream": ["model.layers.0.self_attn.q_proj", "model.layers.2.mlp.down_proj"],
}
IDS: dict[str, dict[str, Any]] = {"llada2": {"mask_id": 254}}


def write(folder: Path, weights: dict[str, Tensor], modules: list[str], **config: Any) -> Path:
    """A PEFT folder with random factors over these modules."""
    g = torch.Generator().manual_seed(0)
    tensors = {}
    for module in modules:
        rows, columns = weights[module + ".weight"].shape
        tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(RANK, columns, generator=g)
        tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(rows, RANK, generator=g)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    named = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "org/base",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": modules,
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(named))
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_equals_published_weights_with_the_product_added(name: str, tmp_path: Path) -> None:
    modules, name = PUBLISHED[name], name.partition(",")[0]
    base, changed = tiny.save(name, tmp_path / "base"), tiny.save(name, tmp_path / "changed")
    weights = load_file(base / "model.safetensors")
    adapter = write(tmp_path / "adapter", weights, modules)
    factors = load_file(adapter / "adapter_model.safetensors")
    for module in modules:
        a, b = (factors[f"base_model.model.{module}.lora_{f}.weight"] for f in "AB")
        weights[module + ".weight"] = weights[module + ".weight"] + ALPHA / RANK * b @ a
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    merged = ds.load(base, adapter=adapter, **IDS.get(name, {})).module
    wanted = ds.load(changed, **IDS.get(name, {})).module
    assert type(merged) is type(wanted)
    for (key, found), want in zip(merged.state_dict().items(), wanted.state_dict().values(), strict=True):
        assert torch.allclose(found, want, atol=1e-5), key


@pytest.mark.parametrize(
    ("targets", "modules"),
    [
        (["down_proj"], ["model.layers.0.mlp.down_proj", "model.layers.1.mlp.shared_experts.down_proj"]),
        (r".*\.shared_experts\.(up|down)_proj", ["model.layers.2.mlp.shared_experts.up_proj"]),
        (r"model\.layers\.\d\.attention\.dense", ["model.layers.1.attention.dense"]),
        (["model.layers.1.mlp.shared_experts.gate_proj"], ["model.layers.1.mlp.shared_experts.gate_proj"]),
    ],
)
def test_targets_may_be_names_paths_or_a_pattern(targets: Any, modules: list[str], tmp_path: Path) -> None:
    """Of LLaDA2 every target that ends like an expert's matrix was taken for the experts."""
    base = tiny.save("llada2", tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    every = [m.removesuffix(".weight") for m in weights]
    matched = [m for m in every if re.fullmatch(targets, m)] if isinstance(targets, str) else modules
    if targets == ["down_proj"]:
        matched = [m for m in every if m.endswith(".down_proj") and ".experts." not in m]
    assert {*modules} <= {*matched}
    adapter = write(tmp_path / "adapter", weights, matched, target_modules=targets)
    before = ds.load(base, mask_id=254).module.state_dict()
    after = ds.load(base, adapter=adapter, mask_id=254).module.state_dict()
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert len(changed) == len(matched)


def test_ranks_and_scales_by_module_and_modules_trained_whole(tmp_path: Path) -> None:
    base, changed = tiny.save("llada", tmp_path / "base"), tiny.save("llada", tmp_path / "changed")
    weights = load_file(base / "model.safetensors")
    modules = [_BLOCK + "attn_out", _BLOCK + "ff_out"]
    adapter = write(
        tmp_path / "adapter",
        weights,
        modules,
        rank_pattern={"attn_out": 2},
        alpha_pattern={r"blocks\.\d+\.attn_out": 3, "ff_proj": 5},
        modules_to_save=["ln_f", "wte"],
    )
    g = torch.Generator().manual_seed(1)
    factors = load_file(adapter / "adapter_model.safetensors")
    name = f"base_model.model.{_BLOCK}attn_out.lora_"
    factors |= {
        name + "A.weight": factors[name + "A.weight"][:2].clone(),
        name + "B.weight": factors[name + "B.weight"][:, :2].clone(),
    }
    for whole in ("model.transformer.ln_f", "model.transformer.wte"):
        new = torch.randn(weights[whole + ".weight"].shape, generator=g)
        weights[whole + ".weight"] = factors[f"base_model.model.{whole}.weight"] = new
    save_file(factors, adapter / "adapter_model.safetensors")
    for module, scale in zip(modules, (3 / 2, ALPHA / RANK), strict=True):
        a, b = (factors[f"base_model.model.{module}.lora_{f}.weight"] for f in "AB")
        weights[module + ".weight"] = weights[module + ".weight"] + scale * b @ a
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    merged, wanted = ds.load(base, adapter=adapter).module, ds.load(changed).module
    for (key, found), want in zip(merged.state_dict().items(), wanted.state_dict().values(), strict=True):
        assert torch.allclose(found, want, atol=1e-5), key


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"r": 8}, ("is of rank 4", "it says 8", "contradicts")),
        ({"rank_pattern": {"attn_out": 2}}, ("blocks.1.attn_out is of rank 4", "it says 2")),
        ({"modules_to_save": ["ln_f"]}, ("ln_f was trained whole", "no weights of it")),
        ({"rank_pattern": [4]}, ("ranks or scales", "save it again")),
        ({"alpha_pattern": {"(": 4}}, ("ranks or scales", "save it again")),
        ({"lora_alpha": "x"}, ("does not fit",)),
    ],
)
def test_what_contradicts_its_weights(config: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    """Under published names the ranks are told by the tensors, which PEFT then cannot hold against the config."""
    base = tiny.save("llada", tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    adapter = write(tmp_path / "adapter", weights, [_BLOCK + "attn_out", _BLOCK + "ff_out"], **config)
    with pytest.raises(ValueError, match=re.escape(str(adapter))) as caught:
        ds.load(base, adapter=adapter)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_adapter_config_that_is_no_object(tmp_path: Path) -> None:
    base = tiny.save("llada", tmp_path / "base")
    adapter = write(tmp_path / "adapter", load_file(base / "model.safetensors"), [_BLOCK + "attn_out"])
    (adapter / "adapter_config.json").write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        ds.load(base, adapter=adapter)


@pytest.mark.parametrize("name", ["llada", "llada2"])
def test_ours_have_stock_names(name: str, tmp_path: Path) -> None:
    folder = tiny.save(name, tmp_path / "base")
    model = ds.load(folder, **IDS.get(name, {}))
    stock = {key: p.detach() for key, p in model.module.named_parameters()}
    adapter = write(tmp_path / "adapter", stock, ["model.layers.2.self_attn.o_proj"])
    merged = ds.load(folder, adapter=adapter, **IDS.get(name, {})).module
    after = dict(merged.named_parameters())
    assert [key for key in stock if not torch.equal(stock[key], after[key])] == [
        "model.layers.2.self_attn.o_proj.weight"
    ]


def test_what_cannot_be_renamed(tmp_path: Path) -> None:
    def fails(*words: str, **arguments: Any) -> None:
        with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
            ds.load(**arguments)
        message = str(caught.value)
        assert "\n" not in message.strip()
        assert all(word in message for word in words)

    folder = tiny.save("llada2", tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    expert = write(tmp_path / "expert", weights, ["model.layers.1.mlp.experts.3.up_proj"])
    fails("single experts", "merge it", name=folder, adapter=expert, mask_id=254)
    tokens = write(tmp_path / "tokens", weights, PUBLISHED["llada2"], trainable_token_indices=[1, 2])
    fails("trainable_token_indices", name=folder, adapter=tokens, mask_id=254)
    # made for another base: both are named
    other = tiny.save("llada", tmp_path / "other")
    foreign = write(tmp_path / "foreign", load_file(other / "model.safetensors"), PUBLISHED["llada"])
    fails("'org/base'", str(folder), "does not fit", name=folder, adapter=foreign, mask_id=254)
