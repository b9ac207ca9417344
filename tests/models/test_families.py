"""Families: published checkpoints in stock bodies give the published logits, cached, ragged, saved and loaded back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import dlmsample as ds
from dlmsample.models.attention import masks
from dlmsample.models.attention.base import Layout, RowPosition
from dlmsample.models.attention.choice import cache_kind, open_reader
from dlmsample.models.denoiser import Facts
from dlmsample.models.families import FAMILIES, family, open_config
from dlmsample.models.families.registry import recognises
from tests.models import checkpoints as tiny

IDS: dict[str, dict[str, Any]] = {"llada": {}, "dream": {}, "llada2": {"mask_id": 254}}
BODIES = {"llada": "LlamaForCausalLM", "dream": "Qwen2ForCausalLM", "llada2": "Glm4MoeForCausalLM"}


def fails(*words: str, **arguments: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        ds.load(**arguments)
    message = str(caught.value)
    assert "\n" not in message.strip()
    for word in words:
        assert word in message


def edit(folder: Path, **changes: Any) -> Path:
    """Change fields of config.json; None removes one."""
    path = folder / "config.json"
    raw = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in raw.items() if v is not None}))
    return folder


# ---- the published numbers


@pytest.mark.parametrize(
    ("name", "key"),
    [("llada", "logits"), ("dream", "logits"), ("llada2", "logits_block8"), ("llada2", "logits_block32")],
)
def test_the_published_logits(name: str, key: str) -> None:
    folder = tiny.OFFICIAL / name
    expected = load_file(folder / "expected.safetensors")
    model, ids = ds.load(folder, **IDS[name]), expected["input_ids"]
    assert type(model.module).__name__ == BODIES[name]
    positions, valid = torch.arange(ids.shape[1]).expand_as(ids), torch.ones_like(ids, dtype=torch.bool)
    mask = masks.bidirectional(valid)
    if width := key.removeprefix("logits").removeprefix("_block"):
        mask = masks.block_causal(positions // int(width), valid)
    with torch.no_grad():
        found = model.module(input_ids=ids, position_ids=positions, attention_mask=mask).logits
    assert (found - expected[key]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("llada", Facts(250, (249,), 32, "bidirectional", "prompt")),
        ("dream", Facts(250, (), 32, "bidirectional", "prompt", logit_shift=True)),
        ("llada2", Facts(254, (255,), 32, "block_causal", "absolute")),
    ],
)
def test_facts(name: str, facts: Facts) -> None:
    assert ds.load(tiny.OFFICIAL / name, **IDS[name]).facts == facts


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_saved_back_it_is_a_stock_checkpoint(name: str, tmp_path: Path) -> None:
    model = tiny.opened(name, tmp_path / "published")
    model.module.save_pretrained(tmp_path / "stock")
    raw = json.loads((tmp_path / "stock" / "config.json").read_text())
    assert raw["model_type"] == model.module.config.model_type
    assert raw["dlmsample"]["mask_id"] == model.mask_id
    again = ds.load(tmp_path / "stock")
    assert open_config(tmp_path / "stock").family.name == "stock"
    assert again.facts == model.facts
    before, after = model.module.state_dict(), again.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_shards_and_a_device_map(name: str, tmp_path: Path) -> None:
    """Tensors that are split or stacked may lie in different files."""
    folder = tiny.save(name, tmp_path / "one")
    whole = ds.load(folder, **IDS.get(name, {}))
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    index = {}
    for part in range(3):
        file = f"model-0000{part + 1}-of-00003.safetensors"
        save_file({n: tensors[n] for n in names[part::3]}, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(names[part::3], file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    split = ds.load(folder, device_map={"": "cpu"}, **IDS.get(name, {}))
    assert all(map(torch.equal, whole.module.state_dict().values(), split.module.state_dict().values()))
    (folder / "model-00002-of-00003.safetensors").unlink()
    fails("incomplete", "1 of 3", "model-00002-of-00003", name=folder, **IDS.get(name, {}))


# ---- the active block


@pytest.mark.parametrize("name", [*tiny.FAMILIES, *tiny.MASKED])
def test_the_active_block_equals_the_whole_sequence(name: str, tmp_path: Path) -> None:
    """Ragged rows, cached where there is a cache; each against its own unpadded forward."""
    model, width = tiny.opened(name, tmp_path / "c", sharp=1.0), 6
    causal, prompt_block = model.attention == "block_causal", model.block_alignment == "prompt"
    lengths = torch.tensor([17, 9, 6, 0])
    first = lengths if prompt_block else lengths // width * width
    total = lengths + 15
    canvas = torch.randint(3, 30, (4, int(total.max()) + width), generator=torch.Generator().manual_seed(1))
    canvas[:, -12:] = model.mask_id
    layout = Layout(first, total, width, prompt_block)
    with torch.no_grad():
        kinds = [cache_kind(model, on) for on in (True, False)]
        readers = [open_reader(model, *canvas.shape, cache=kind, score=False) for kind in kinds]
        for reader in readers:
            reader.admit(torch.arange(4), canvas, layout, int(first.max()))
        assert readers[0].cached == causal
        starts = first.clone()
        for moves in ((1, 1, 1, 1), (1, 0, 1, 1), (0, 1, 0, 0)):
            for reader in readers:
                places = [
                    RowPosition(at, 0, length) for at, length in zip(starts.tolist(), total.tolist(), strict=True)
                ]
                found = reader.read(canvas, layout, starts, places).logits
                for row in range(4):
                    end = int(total[row])
                    blocks = (torch.arange(end) - int(first[row])).div(width, rounding_mode="floor")
                    if prompt_block:
                        blocks = blocks.clamp(min=-1)
                    mask = (blocks[:, None] >= blocks[None])[None, None] if causal else None
                    want = tiny.logits(model, canvas[row, :end], mask)[int(starts[row]) : int(starts[row]) + width]
                    assert (found[row, : len(want)] - want).abs().max() < 1e-5, (row, reader)
            starts = starts + width * torch.tensor(moves)


# ---- what is recognised, and what is refused


def test_families_are_told_by_their_config() -> None:
    published = {
        "llada": {"architectures": ["LLaDAModelLM"], "model_type": "llada"},
        "llada2": {"architectures": ["LLaDA2MoeModelLM"], "model_type": "llada2_moe"},
        "dream": {"model_type": "Dream"},
        "sdar": {"architectures": ["SDARForCausalLM"]},
        "llada_moe": {"architectures": ["LLaDAMoEModelLM"], "model_type": "llada"},
    }
    for name, raw in published.items():
        assert [known for known in FAMILIES if recognises(family(known), raw)] == [name]
    assert family("sdar").block_length == 4


def test_the_published_ids(tmp_path: Path) -> None:
    """Vocabularies as published: ids that no file of the folder names."""
    folder = tiny.save("llada", tmp_path / "a")
    said = {"vocab_size": 126464, "embedding_size": 126464, "mask_token_id": 126336, "eos_token_id": 126081}
    assert open_config(edit(folder, **said)).facts.eos_ids == (126081, 126348)
    folder = tiny.save("llada2", tmp_path / "b")
    opened = open_config(edit(folder, vocab_size=157184, pad_token_id=126081, eos_token_id=156892))
    assert (opened.facts.mask_id, opened.facts.eos_ids, opened.facts.block_length) == (156895, (156892,), 32)


def test_sections_and_arguments_override(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "a")
    edit(folder, dlmsample={"block_length": 16, "eos_ids": [7]})
    model = ds.load(folder, mask_id=5)
    assert (model.mask_id, model.eos_ids, model.block_length, model.attention) == (5, (7,), 16, "bidirectional")


def test_sdar_reads_its_block_length(tmp_path: Path) -> None:
    folder = tiny.save("sdar", tmp_path / "a")
    assert ds.load(folder).block_length == 8
    assert ds.load(edit(folder, block_size=None)).block_length == 4


def test_a_family_by_name(tmp_path: Path) -> None:
    folder = edit(tiny.save("dream", tmp_path / "a"), architectures=["Elsewhere"], model_type="mine")
    fails("does not say how it decodes", "mask_id", "logit_shift", "dream", "--family", name=folder)
    assert ds.load(folder, family="dream").facts.logit_shift
    fails("unknown family", "did you mean 'dream'", name=folder, family="draem")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("llada", {"alibi": True}, ("alibi", "LlamaForCausalLM")),
        ("llada", {"block_type": "sequential"}, ("block_type", "llama")),
        ("llada", {"d_model": None}, ("lacks d_model",)),
        ("llada2", {"norm_head": True}, ("norm_head", "Glm4Moe")),
        ("dream", {"use_sliding_window": True}, ("use_sliding_window",)),
        ("dream", {"mask_token_id": None}, ("no mask token", "mask_id=")),
        ("dream", {"mask_token_id": 256}, ("id 256 is outside the vocabulary", "0..255")),
        ("dream", {"vocab_size": 200, "pad_token_id": None}, ("id 250 is outside the vocabulary", "0..199")),
        ("dream", {"num_attention_heads": 3}, ("weights",)),
        ("llada", {"n_layers": 4}, ("incomplete", "layers.3")),
        ("llada", {"n_layers": 2}, ("do not fit", "layers.2")),
    ],
)
def test_what_a_body_does_not_do_is_refused(name: str, change: dict[str, Any], words: Any, tmp_path: Path) -> None:
    fails(*words, name=edit(tiny.save(name, tmp_path / "a"), **change), **IDS[name])


def test_no_mask_token() -> None:
    fails("no mask token", "config.json", "tokenizer", "mask_id=", name=tiny.OFFICIAL / "llada2")


def test_tied_weights(tmp_path: Path) -> None:
    """``weight_tying`` decides, whatever ``tie_word_embeddings`` says."""
    folder = edit(tiny.save("llada", tmp_path / "a"), weight_tying=True, tie_word_embeddings=False)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.transformer.ff_out.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    module = ds.load(folder).module
    assert module.lm_head.weight is module.model.embed_tokens.weight


# ---- where it comes from


def test_a_pickle_only_when_asked(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "a")
    want = ds.load(folder).module.state_dict()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    fails("pickle", "allow_pickle", name=folder)
    found = ds.load(folder, allow_pickle=True).module.state_dict()
    assert all(map(torch.equal, want.values(), found.values()))


def test_no_hub_id() -> None:
    fails("no hub id", name="org/model/more")


def test_placement_mistakes() -> None:
    folder = tiny.OFFICIAL / "llada"
    fails("exclude each other", name=folder, device="cpu", device_map="auto")
    fails("unknown quantization", "4bit", name=folder, quantization="2bit")
    fails("bitsandbytes", name=folder, quantization="4bit")
