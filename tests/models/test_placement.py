"""Where weights go: spread over devices by a map, left on disk, quantised; renaming while loading goes with all of it.

The tests with bitsandbytes run where it is installed (it is no dependency): ``pip install bitsandbytes``.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.models.adapters import AtDevice
from tests.heads.test_correction import make
from tests.models import checkpoints as tiny
from tests.models.test_load import fails

IDS: dict[str, dict[str, Any]] = {"llada2": {"mask_id": 254}, "dream": {"eos_ids": [249]}}
PROMPTS = [[5, 6, 7, 8, 9], [5], [7] * 17]
quantised = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="no bitsandbytes: pip install bitsandbytes")


def decoded(model: ds.Denoiser, prompts: Any = PROMPTS, cache: bool = True) -> list[list[int]]:
    return ds.Sampler(model, ds.T2M(), cache=cache).generate(prompts, max_new_tokens=14).tokens


def parts(model: ds.Denoiser, **places: str) -> dict[str, str]:
    """A map of every part of a decoder: on the CPU but for those named."""
    layers = [f"model.layers.{i}" for i in range(len(model.module.model.layers))]
    names = ["model.embed_tokens", "model.rotary_emb", *layers, "model.norm", "lm_head"]
    return {name: places.get(name.replace("model.", "").replace(".", "_"), "cpu") for name in names}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_map_over_devices_changes_no_token(family: str, tmp_path: Path) -> None:
    """Ragged rows, cached and uncached, every part in a place of its own."""
    folder = tiny.save(family, tmp_path / "c")
    whole = ds.load(folder, **IDS.get(family, {}))
    want = decoded(whole)
    for places, cache in ((parts(whole), True), (parts(whole), False), ("auto", True)):
        spread = ds.load(folder, device_map=places, **IDS.get(family, {}))
        assert (spread.device.type, spread.dtype) == ("cpu", torch.float32)
        assert decoded(spread, cache=cache) == want


@pytest.mark.parametrize(
    ("family", "on_disk"),
    [(f, part) for f in ("llada", "sdar") for part in ("layers_1", "everything")]
    + [("dream", "embed_tokens"), ("dream", "lm_head")],
)
def test_parts_on_disk(family: str, on_disk: str, tmp_path: Path) -> None:
    folder = tiny.save(family, tmp_path / "c")
    whole = ds.load(folder, **IDS.get(family, {}))
    places = {"": "disk"} if on_disk == "everything" else parts(whole, **{on_disk: "disk"})
    spread = ds.load(folder, device_map=places, **IDS.get(family, {}))
    assert any(p.device.type == "meta" for p in spread.module.parameters())
    assert spread.device.type == "cpu"
    want = decoded(whole)
    assert all(decoded(spread, cache=cache) == want for cache in {True, whole.attention != "block_causal"})


def test_disk_needs_weights_that_are_not_rewritten(tmp_path: Path) -> None:
    """LLaDA2's are split and stacked while they load; on disk there are only the published ones."""
    folder = tiny.save("llada2", tmp_path / "c")
    places = {"": "disk"}
    fails("on disk", "llada2", "cpu or a GPU", name=folder, device_map=places, **IDS["llada2"])


def test_mistakes_of_a_map() -> None:
    folder = tiny.OFFICIAL / "llada"
    fails("unknown device_map 'autoo'", "did you mean 'auto'", name=folder, device_map="autoo")
    fails("device 'cuda:99'", name=folder, device_map={"": "cuda:99"})
    fails("device 99", name=folder, device_map={"": 99})
    fails("device_map", "a dict", name=folder, device_map=["cpu"])
    fails("device_map='auto'", "--device-map auto", name=folder, device="auto")
    assert ds.load(folder, device_map="cpu").device.type == "cpu"


def test_an_adapter_is_not_merged_into_what_is_on_disk(tmp_path: Path) -> None:
    places = {"model": "disk", "lm_head": "cpu"}
    fails("adapter", "disk", "leave", name="nano", adapter="scope", device_map=places)


def test_a_head_stands_where_the_model_is() -> None:
    """With a map, hidden states may come from any device: what goes in is moved, what comes out moved back."""
    plain = ds.load("nano", head="fca")
    spread = ds.load("nano", head="fca", device_map="auto")
    assert isinstance(spread.head, AtDevice)
    policy = ds.DSC(tokens_per_step=4)
    outs = [ds.Sampler(model, policy).generate(["Ann had 3 pens."], 24).tokens for model in (plain, spread)]
    assert outs[0] == outs[1]


def test_a_head_moves_what_it_is_given() -> None:
    inner = make().to("meta")
    head = AtDevice(inner, torch.device("meta"))
    hidden = torch.zeros(2, 3, inner.config.hidden_size)
    positions, valid = torch.arange(3).expand(2, -1), torch.ones(2, 3, dtype=torch.bool)
    seen: list[str] = []
    head = AtDevice(lambda *given: seen.extend(g.device.type for g in given) or hidden[..., 0], torch.device("meta"))
    assert head(hidden, positions, valid).device.type == "cpu"
    assert seen == ["meta"] * 3
    assert AtDevice(inner, torch.device("meta")).layer == inner.layer


# ---- quantised


def test_without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    folder = tiny.OFFICIAL / "llada"
    fails("needs the package bitsandbytes: pip install bitsandbytes", name=folder, quantization="8bit")
    fails("unknown quantization '9bit'", name=folder, quantization="9bit")
    fails("an adapter cannot be merged", name="nano", adapter="scope", quantization="4bit")


def test_experts_are_not_quantised(tmp_path: Path) -> None:
    """They are stacked in one tensor, which bitsandbytes leaves alone: nearly all of such a model."""
    folder = tiny.save("llada2", tmp_path / "c")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_experts": 64}))
    message = ("experts", "4bit", "device_map")
    fails(*message, name=folder, quantization="4bit", **IDS["llada2"])


@quantised
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_quantised_weights_decode(family: str, bits: str, tmp_path: Path) -> None:
    """Renamed, split and stacked while they are quantised; near the model in full, and cached as uncached."""
    folder = tiny.save(family, tmp_path / "c")
    full = ds.load(folder, dtype="float32", **IDS.get(family, {}))
    model = ds.load(folder, quantization=bits, dtype="float32", **IDS.get(family, {}))
    kinds = [type(part).__name__ for part in model.module.modules()]
    assert kinds.count("Linear8bitLt" if bits == "8bit" else "Linear4bit") >= 8
    ids = torch.randint(3, 200, (24,), generator=torch.Generator().manual_seed(0))
    near = torch.nn.functional.cosine_similarity
    one, two = tiny.logits(full, ids).flatten(), tiny.logits(model, ids).flatten()
    assert near(one, two.float(), 0) > (0.95 if bits == "8bit" else 0.6)  # random weights are the worst case
    assert decoded(model, PROMPTS[:1]) == decoded(model, PROMPTS[:1], cache=False)
    if bits == "4bit":  # 8bit rounds activations too: a row's float noise from its neighbours may be rounded up
        assert decoded(model) == [decoded(model, [prompt])[0] for prompt in PROMPTS]


@quantised
def test_8bit_computes_in_half_precision_unless_told(tmp_path: Path) -> None:
    """bitsandbytes casts to it in every layer, and says so in every layer, where the model is in another."""
    folder = tiny.save("llada", tmp_path / "c")
    assert ds.load(folder, quantization="8bit").dtype == torch.float16
    assert ds.load(folder, quantization="4bit").dtype == torch.float32
    model = ds.load(folder, quantization="8bit", device_map="auto")
    assert all(0 <= token < 256 for row in decoded(model) for token in row)


# ---- no noise


def test_loading_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar of transformers, whatever its settings, which stay as they were."""
    from transformers.utils import logging

    folder = tiny.save("llada2", tmp_path / "c")
    capfd.readouterr()
    monkeypatch.setattr(logging, "_tqdm_active", True)
    ds.load(folder, **IDS["llada2"])
    assert capfd.readouterr() == ("", "")
    assert logging.set_tqdm_hook(None) is None
    assert list(logging.tqdm([1, 2], desc="still shown")) == [1, 2]
    assert "still shown" in capfd.readouterr().err


def test_a_hook_of_the_caller_s_is_left_alone(tmp_path: Path) -> None:
    from transformers.utils import logging

    seen: list[str] = []

    def hook(factory: Any, args: Any, kwargs: Any) -> Any:
        seen.append(kwargs.get("desc"))
        return logging.EmptyTqdm(*args, **kwargs)

    logging.set_tqdm_hook(hook)
    try:
        ds.load(tiny.OFFICIAL / "llada")
        assert "Loading weights" in seen
    finally:
        assert logging.set_tqdm_hook(None) is hook
