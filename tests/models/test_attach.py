"""``load(name, adapter, head)``: merged adapters, correction heads, what is shipped, and what each mistake says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import dlmsample as ds
from dlmsample.heads import save_head
from dlmsample.models import adapters as attach
from dlmsample.models import embedded
from tests.heads.test_correction import inputs, make
from tests.heads.test_correction import run as run_head
from tests.toys import EOS, MASK, random_model

FACTS = {
    "mask_id": MASK,
    "eos_ids": [EOS],
    "block_length": 8,
    "attention": "block_causal",
    "block_alignment": "prompt",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A checkpoint folder of random weights."""
    folder = tmp_path / "model"
    random_model().module.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dlmsample": FACTS}))
    return folder


Wrapped = tuple[Path, Any]


@pytest.fixture
def lora(tmp_path: Path) -> Callable[..., Wrapped]:
    """Save a LoRA of random weights as PEFT does; gives its folder and the wrapped module."""
    from peft import LoraConfig, get_peft_model

    def write(folder: Path | None = None, seed: int = 1, dtype: torch.dtype = torch.float32, **options: Any) -> Wrapped:
        chosen = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"], **options}
        wrapped = get_peft_model(random_model().module, LoraConfig(**chosen))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in wrapped.named_parameters():
                if "lora_" in name:
                    p.copy_((torch.randn(p.shape, generator=generator) * 0.2).to(dtype))
        folder = folder or tmp_path / "lora"
        wrapped.save_pretrained(str(folder))
        return folder, wrapped.eval()

    return write


def logits(module: Any) -> Tensor:
    ids = torch.arange(3, 35).reshape(2, 16)
    mask = torch.ones(2, 1, 16, 16, dtype=torch.bool).tril()
    with torch.no_grad():
        return module(input_ids=ids, attention_mask=mask, position_ids=torch.arange(16).expand(2, -1)).logits


def fails(*words: str, **arguments: Any) -> None:
    """Loading raises a ValueError of one line that holds every word."""
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        ds.load(**arguments)
    message = str(caught.value)
    assert "\n" not in message.strip()
    for word in words:
        assert word in message


# ---- adapters


def test_an_adapter_is_merged(model: Path, lora: Callable[..., Wrapped]) -> None:
    folder, wrapped = lora()
    plain = ds.load(model)
    state = torch.random.get_rng_state()
    loaded = ds.load(model, folder)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.allclose(logits(loaded.module), logits(wrapped), atol=1e-5)
    assert not torch.allclose(logits(loaded.module), logits(plain.module), atol=0.1)
    assert type(loaded.module) is type(plain.module)
    assert list(loaded.module.state_dict()) == list(plain.module.state_dict())
    assert [p.requires_grad for p in loaded.module.parameters()] == [p.requires_grad for p in plain.module.parameters()]
    assert not any("peft" in name for name in vars(loaded.module))
    assert not loaded.module.training
    assert (loaded.adapter, loaded.head_name) == (str(folder), None)
    assert f"adapter {str(folder)!r}" in repr(loaded)
    assert ds.Sampler(loaded, ds.T2T()).generate([[5, 6]], 12).stats[0].steps > 0


def test_a_trained_lm_head_comes_along(model: Path, lora: Callable[..., Wrapped]) -> None:
    folder, wrapped = lora(modules_to_save=["lm_head"])
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(k for k in tensors if "lm_head" in k)
    save_file({**tensors, name: tensors[name] * 2}, path)
    assert torch.allclose(logits(ds.load(model, folder).module), logits(wrapped) * 2, atol=1e-4)


def test_the_sum_is_rounded_once(model: Path, lora: Callable[..., Wrapped]) -> None:
    """Asked for bfloat16: the float32 sum, cast; what is no parameter keeps its precision."""
    folder, _ = lora()
    exact, low = ds.load(model, folder), ds.load(model, folder, dtype="bfloat16")
    assert low.dtype == torch.bfloat16
    for one, two in zip(exact.module.parameters(), low.module.parameters(), strict=True):
        assert torch.equal(one.bfloat16(), two)
    assert {b.dtype for b in low.module.buffers()} == {
        b.dtype for b in ds.load(model, dtype="bfloat16").module.buffers()
    }


def test_a_large_model_is_merged_as_it_is_asked_for(
    model: Path, lora: Callable[..., Wrapped], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "_SMALL", 10)
    folder, wrapped = lora()
    low = ds.load(model, folder, dtype="bfloat16")
    assert low.dtype == torch.bfloat16
    assert (logits(low.module) - logits(wrapped)).abs().mean() < 0.1 * logits(wrapped).abs().mean()


def test_short_names_lie_beside_the_weights(model: Path, lora: Callable[..., Wrapped]) -> None:
    _, wrapped = lora(model / "adapters" / "mine")
    save_head(make(), model / "heads" / "yours")
    loaded = ds.load(str(model), adapter="mine", head="yours")
    assert torch.allclose(logits(loaded.module), logits(wrapped), atol=1e-5)
    assert (loaded.adapter, loaded.head_name) == ("mine", "yours")
    assert "adapter 'mine', head 'yours'" in repr(loaded)
    fails("did you mean 'mine'", "org/adapter", name=str(model), adapter="mime")
    fails("did you mean 'yours'", "org/head", name=str(model), head="your")


def test_an_adapter_that_does_not_fit(model: Path, lora: Callable[..., Wrapped]) -> None:
    folder, _ = lora()
    path, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    tensors, options = load_file(path), json.loads(config.read_text())
    name = sorted(tensors)[0]
    save_file({k: v for k, v in tensors.items() if k != name}, path)
    fails("does not fit", "trained on this model", name=model, adapter=folder)
    save_file({**tensors, name.replace("layers.0", "layers.7"): tensors[name].clone()}, path)
    fails("does not fit", "layers.7", name=model, adapter=folder)
    save_file({**tensors, name: tensors[name][:, :-1].contiguous()}, path)
    fails("does not fit", "size mismatch", name=model, adapter=folder)
    save_file({**tensors, name: tensors[name] * float("nan")}, path)
    fails("does not fit", name=model, adapter=folder)
    path.write_bytes(path.read_bytes()[:-30])
    fails("does not fit", name=model, adapter=folder)
    save_file(tensors, path)
    config.write_text(json.dumps({**options, "target_modules": ["query_key_value"]}))
    fails("does not fit", "query_key_value", name=model, adapter=folder)
    config.write_text(json.dumps({**options, "peft_type": "NOSUCH"}))
    fails("adapter_config.json", name=model, adapter=folder)
    config.write_text("{")
    fails("adapter_config.json", name=model, adapter=folder)
    config.write_text(json.dumps({"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4}))
    fails("no weights to merge", "LoRA", name=model, adapter=folder)


def test_an_adapter_folder_lacks_a_file(model: Path, lora: Callable[..., Wrapped], tmp_path: Path) -> None:
    folder, _ = lora()
    weights = folder / "adapter_model.safetensors"
    torch.save(load_file(weights), folder / "adapter_model.bin")
    weights.unlink()
    fails("adapter_model.safetensors", "PEFT", name=model, adapter=folder)
    fails("adapter_config.json", "PEFT", name=model, adapter=model)


@pytest.mark.parametrize("kind", ["adapter", "head"])
def test_unknown_parts(model: Path, kind: str) -> None:
    for name in ("./nowhere", "/no/where", "~/none"):
        fails(f"there is no folder {name!r}: check the path", "hub id", name=model, **{kind: name})
    for name in ("scope", ""):
        fails(f"unknown {kind} {name!r}", f"ships no {kind}s", "folder", "hub id", name=model, **{kind: name})


@pytest.mark.parametrize("kind", ["adapter", "head"])
def test_an_unreachable_hub_id(model: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(name: str, **options: Any) -> str:
        assert all(p.endswith((".json", ".safetensors")) for p in options["allow_patterns"])
        raise OSError(f"no network for {name}\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    fails(f"cannot fetch {kind} 'org/thing'", "no network", "hub id", name=model, **{kind: "org/thing"})


def test_a_hub_id_is_a_folder_once_fetched(
    model: Path, lora: Callable[..., Wrapped], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    folder, wrapped = lora()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **options: str(folder))
    loaded = ds.load(model, "org/thing")
    assert loaded.adapter == "org/thing"
    assert torch.allclose(logits(loaded.module), logits(wrapped), atol=1e-5)


def test_without_peft(model: Path, lora: Callable[..., Wrapped], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = lora()
    monkeypatch.setitem(sys.modules, "peft", None)
    fails("pip install peft", name=model, adapter=folder)


# ---- heads


def test_a_head_is_attached(model: Path, tmp_path: Path) -> None:
    save_head(make(), tmp_path / "head", dtype=torch.float32)
    loaded = ds.load(model, head=tmp_path / "head")
    assert torch.equal(run_head(loaded.head, *inputs()), run_head(make(), *inputs()))  # type: ignore[arg-type]
    by_hand = random_model().with_head(make(), "mine")
    assert "head 'mine'" in repr(by_hand)
    assert "'CorrectionHead'" in repr(by_hand.with_head(make()))
    assert (by_hand.with_head(None).head, by_hand.with_head(None).head_name) == (None, None)
    outputs = [ds.Sampler(m, ds.DSC()).generate([[5, 6], [7] * 9], 20) for m in (loaded, by_hand)]
    assert outputs[0].tokens == outputs[1].tokens
    assert outputs[0].stats == outputs[1].stats
    assert sum(s.remasks for s in outputs[0].stats) > 0
    low = ds.load(model, head=tmp_path / "head", dtype="bfloat16")
    assert next(low.head.parameters()).dtype == torch.bfloat16  # type: ignore[union-attr]
    assert ds.Sampler(low, ds.DSC()).generate([[5, 6]], 12).stats[0].steps > 0


def test_a_head_of_another_model(model: Path, tmp_path: Path) -> None:
    save_head(make(hidden_size=48), tmp_path / "wide")
    fails("width 48", "model has 32", "trained on this model", name=model, head=tmp_path / "wide")
    for layer in (3, -4):
        save_head(make(layer=layer), tmp_path / "deep")
        fails(f"layer {layer}", "has 3", name=model, head=tmp_path / "deep")
    for layer in (2, -3, 0):
        save_head(make(layer=layer), tmp_path / "deep")
        assert ds.load(model, head=tmp_path / "deep").head.layer == layer  # type: ignore[union-attr]


def test_a_head_folder_lacks_a_file(model: Path, tmp_path: Path) -> None:
    save_head(make(), tmp_path / "head")
    (tmp_path / "head" / "model.safetensors").unlink()
    fails("model.safetensors", "save_head", name=model, head=tmp_path / "head")
    fails("no correction head", "save_head", name=model, head=model)


def test_dsc_without_a_head_names_the_option() -> None:
    with pytest.raises(ValueError, match="--head NAME"):
        ds.Sampler(random_model(), ds.DSC())


# ---- what is embedded


def test_positions_of_the_arguments() -> None:
    import inspect

    parameters = inspect.signature(ds.load).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert names == ["name", "adapter", "head", "device", "dtype", "trust_remote_code", "family", "mask_id", "eos_ids"]


def test_a_model_may_ship_nothing_or_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedded.shipped(tmp_path, "adapter") == {}
    for kind, name, record in (
        ("adapters", "b", {"summary": "what it does"}),
        ("adapters", "a", {"loss": 1}),
        ("heads", "h", "no object"),
        ("heads", "i", None),
    ):
        folder = tmp_path / kind / name
        folder.mkdir(parents=True)
        (folder / ("adapter_config.json" if kind == "adapters" else "config.json")).write_text("{}")
        if record is not None:
            (folder / "training.json").write_text(json.dumps(record))
    (tmp_path / "adapters" / "__pycache__").mkdir()
    (tmp_path / "config.json").write_text((embedded.folder_of("nano") / "config.json").read_text())
    monkeypatch.setitem(embedded.EMBEDDED, "more", (str(tmp_path), "a model"))
    row = {row["name"]: row for row in embedded.list_models()}["more"]
    assert row["adapters"] == [{"name": "a", "summary": "a"}, {"name": "b", "summary": "what it does"}]
    assert row["heads"] == [{"name": "h", "summary": "h"}, {"name": "i", "summary": "i"}]


def test_listing_imports_no_torch() -> None:
    code = "import sys; from dlmsample.cli.listing import tables; print(len(tables.models()), 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["1", "False"]
