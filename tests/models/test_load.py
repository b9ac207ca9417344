"""``load``: the embedded model's facts, folders with and without a tokenizer, and what each mistake says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.models.attention import masks
from tests.toys import EOS, MASK, VOCAB, random_model

SECTION: dict[str, Any] = {
    "mask_id": MASK,
    "eos_ids": [EOS],
    "block_length": 8,
    "attention": "block_causal",
    "block_alignment": "prompt",
}
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a random model as a checkpoint folder; ``section=None`` leaves the declaration out."""

    def write(section: dict[str, Any] | None = SECTION, **config: Any) -> Path:
        folder = tmp_path / "checkpoint"
        random_model().module.save_pretrained(folder)
        path = folder / "config.json"
        content = {**json.loads(path.read_text()), **config}
        if section is not None:
            content["dlmsample"] = section
        path.write_text(json.dumps(content))
        return folder

    return write


def fails(*words: str, **arguments: Any) -> None:
    """Loading raises a ValueError of one line that holds every word."""
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        ds.load(**arguments)
    message = str(caught.value)
    assert "\n" not in message.strip()
    for word in words:
        assert word in message


# ---- nano


def test_facts_of_nano(nano: ds.Denoiser) -> None:
    assert nano.name == "nano"
    assert (nano.attention, nano.block_alignment) == ("block_causal", "prompt")
    assert (nano.block_length, nano.facts.min_block_length) == (32, 8)
    assert nano.context >= 1024
    assert (nano.device.type, nano.dtype) == ("cpu", torch.float32)
    assert sum(p.numel() for p in nano.module.parameters()) <= 8_000_000
    assert not nano.module.training
    assert nano.head is None
    assert nano.tokenizer is not None
    assert nano.tokenizer.mask_token_id == nano.mask_id
    assert nano.tokenizer.eos_token_id in nano.eos_ids
    assert len(nano.tokenizer) <= nano.vocab_size


def test_nano_is_small_enough_to_ship() -> None:
    """The model itself; its adapters and heads are a few MB more (tests/test_wheel.py)."""
    folder = Path(str(files("dlmsample").joinpath("models/nano")))
    assert sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) < 20_000_000


def test_a_boolean_mask_makes_nano_block_causal(nano: ds.Denoiser) -> None:
    """The module takes the mask as it is: later blocks leave no trace, the own block and earlier ones do."""
    ids = torch.randint(3, 900, (1, 96), generator=torch.Generator().manual_seed(0))
    positions = torch.arange(96)[None]
    mask = masks.block_causal(positions // 32, torch.ones(1, 96, dtype=torch.bool))

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return nano.module(input_ids=tokens, position_ids=positions, attention_mask=mask).logits

    before, changed = logits(ids), ids.clone()
    changed[0, 70] = ids[0, 70] % 800 + 50
    after = logits(changed)
    assert before.shape == (1, 96, nano.vocab_size)
    assert torch.equal(before[:, :64], after[:, :64])
    assert not torch.equal(before[:, 64:70], after[:, 64:70]), "inside a block attention is bidirectional"

    changed = ids.clone()
    changed[0, 3] = ids[0, 3] % 800 + 50
    assert not torch.equal(before[:, 64:], logits(changed)[:, 64:])


@pytest.mark.parametrize("dtype", ["bfloat16", "torch.bfloat16", torch.bfloat16])
def test_dtype_by_name_or_object(dtype: Any) -> None:
    assert ds.load("nano", dtype=dtype).dtype == torch.bfloat16


@pytest.mark.parametrize("has", [False, True])
def test_the_dtype_that_suits_the_cpu(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlmsample.models.loading.multiplies_bfloat16", lambda: has)
    assert ds.load("nano", dtype="auto").dtype == (torch.bfloat16 if has else torch.float32)
    assert ds.load("nano").dtype == torch.float32


def test_a_module_cast_in_place_generates() -> None:
    model = ds.load("nano")
    before = ds.Sampler(model, ds.Unmask(tokens_per_step=4)).generate(["Ann has 3 pens."], max_new_tokens=32)
    model.module.double()
    assert model.dtype == torch.float64
    after = ds.Sampler(model, ds.Unmask(tokens_per_step=4)).generate(["Ann has 3 pens."], max_new_tokens=32)
    assert after.tokens == before.tokens
    model.module.bfloat16()
    assert ds.Sampler(model, ds.T2T()).generate(["Ann has 3 pens."], max_new_tokens=32).stats[0].steps >= 1


def test_two_loads_share_nothing() -> None:
    one, two = ds.load("nano"), ds.load("nano")
    one.module.half()
    assert two.dtype == torch.float32


# ---- folders


def test_a_folder_without_a_tokenizer(save: Save) -> None:
    model, same = ds.load(str(save())), random_model()
    assert model.tokenizer is None
    assert model.facts == same.facts
    assert (model.vocab_size, model.context) == (VOCAB, 512)
    outputs = [
        ds.Sampler(m, ds.T2T(), temperature=1.0).generate([[5, 6, 7], []], max_new_tokens=12) for m in (model, same)
    ]
    assert outputs[0].tokens == outputs[1].tokens
    assert outputs[0].stats == outputs[1].stats
    with pytest.raises(ValueError, match="tokenizer"):
        _ = outputs[0].texts
    for prompt in ("a text", [{"role": "user", "content": "a message"}]):
        with pytest.raises(ValueError, match="tokenizer"):
            ds.Sampler(model, ds.T2T()).generate([prompt], max_new_tokens=4)
    with pytest.raises(ValueError, match="tokenizer"):
        model.decode([5])


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("alignment", ["absolute", "prompt"])
def test_a_folder_declares_its_facts(save: Save, attention: str, alignment: str) -> None:
    declared = {
        **SECTION,
        "attention": attention,
        "block_alignment": alignment,
        "min_block_length": 4,
        "eos_ids": [1, 9],
    }
    model = ds.load(str(save(declared)))
    assert (model.attention, model.block_alignment) == (attention, alignment)
    assert (model.facts.min_block_length, model.eos_ids) == (4, (1, 9))


def test_overrides(save: Save) -> None:
    folder = str(save())
    model = ds.load(folder, mask_id=5, eos_ids=[7, 8])
    assert (model.mask_id, model.eos_ids) == (5, (7, 8))
    endless = ds.load(folder, eos_ids=[])
    assert endless.eos_ids == ()
    out = ds.Sampler(endless, ds.Unmask()).generate([[4], [5]], max_new_tokens=20)
    assert [len(t) for t in out.tokens] == [20, 20]
    assert {s.finish_reason for s in out.stats} == {"length"}
    assert ds.load(folder).mask_id == MASK


def test_a_folder_may_be_a_path(save: Save) -> None:
    folder = save()
    assert ds.load(folder).facts == ds.load(str(folder)).facts  # type: ignore[arg-type]


# ---- mistakes


@pytest.mark.parametrize("name", ["nanoo", "nan", "nano2"])
def test_unknown_name(name: str) -> None:
    fails("did you mean 'nano'", name, name=name)


@pytest.mark.parametrize("name", ["something", "/no/such/folder", "./here", "~/there"])
def test_unknown_name_far_from_any(name: str) -> None:
    fails("nano", "folder", "hub id", name=name)


def test_folder_without_config(tmp_path: Path) -> None:
    fails("config.json", str(tmp_path), name=str(tmp_path))


def test_folder_without_weights(save: Save) -> None:
    folder = save()
    (folder / "model.safetensors").unlink()
    fails("model.safetensors", "no weights", name=str(folder))


def test_a_pickle_is_refused(save: Save) -> None:
    folder = save()
    (folder / "model.safetensors").unlink()
    torch.save(random_model().module.state_dict(), folder / "pytorch_model.bin")
    fails("safetensors", name=str(folder))


def test_a_pickle_beside_a_safetensors_of_another_name_is_refused(save: Save) -> None:
    """The check for weights finds a safetensors file; the pickle must not be what is read then."""
    folder = save()
    (folder / "model.safetensors").rename(folder / "adapter.safetensors")
    torch.save(random_model().module.state_dict(), folder / "pytorch_model.bin")
    fails("model.safetensors", name=str(folder))


def test_damaged_weights(save: Save) -> None:
    folder = save()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    fails("model.safetensors", "weights", name=str(folder))


def test_weights_of_another_shape(save: Save) -> None:
    fails("model.safetensors", "weights", name=str(save(vocab_size=VOCAB + 6)))


def test_config_that_is_no_json(save: Save) -> None:
    folder = save()
    (folder / "config.json").write_text("{")
    fails("configuration", "JSON", name=str(folder))


def test_unknown_architecture(save: Save) -> None:
    fails("configuration", "nosuch", name=str(save(model_type="nosuch")))


def test_config_without_the_section(save: Save) -> None:
    fails("'dlmsample' section", "mask_id", "eos_ids", "block_length", name=str(save(None)))


@pytest.mark.parametrize("missing", ["mask_id", "eos_ids", "block_length"])
def test_incomplete_section(save: Save, missing: str) -> None:
    fails("section", missing, name=str(save({k: v for k, v in SECTION.items() if k != missing})))


def test_section_with_a_typo(save: Save) -> None:
    fails("section", "block_lenght", name=str(save({**SECTION, "block_lenght": 8})))


@pytest.mark.parametrize("mask_id", [VOCAB, -1, 10**6])
def test_mask_id_outside_the_vocabulary(save: Save, mask_id: int) -> None:
    folder = str(save())
    fails("outside the vocabulary", str(mask_id), f"0..{VOCAB - 1}", name=folder, mask_id=mask_id)
    fails("outside the vocabulary", str(mask_id), name=folder, eos_ids=[EOS, mask_id])
    fails("outside the vocabulary", str(mask_id), name=str(save({**SECTION, "mask_id": mask_id})))


@pytest.mark.parametrize("dtype", ["float23", "int32", "", "nn"])
def test_unknown_dtype(dtype: str) -> None:
    fails("dtype", "float32", "bfloat16", name="nano", dtype=dtype)


@pytest.mark.parametrize("device", ["banana", "cuda:99"])
def test_unknown_device(device: str) -> None:
    fails("device", device, name="nano", device=device)


def test_unknown_family() -> None:
    fails("family", "stock", name="nano", family="nosuch")
