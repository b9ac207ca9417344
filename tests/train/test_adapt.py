"""Adapters: only they train, resuming is exact, and what is saved says what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import dlmsample as ds
from dlmsample.cli.settings import choose_policy
from dlmsample.train import checkpoint
from dlmsample.train.config import TrainError, load
from dlmsample.train.config.start import open_start
from dlmsample.train.export import export, recommendation
from dlmsample.train.lora import linear_names
from dlmsample.train.model import build_model, build_module, complete
from dlmsample.train.optimizer import named_trainable
from dlmsample.train.trainer import Trainer
from tests.train.standin import recipe

LORA = ["lora={rank: 4, alpha: 8}"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A recipe and the overrides that put adapters on a trained tiny model."""
    folder = tmp_path_factory.mktemp("base")
    path = recipe(folder)
    assert Trainer(load(str(path), ["steps=2"]), folder / "base").run()
    return path, [f"model={{init: {folder / 'base' / 'final'}}}", *LORA]


@pytest.fixture(scope="module")
def trained(base: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    out = tmp_path_factory.mktemp("lora")
    trainer = Trainer(load(str(base[0]), base[1]), out)
    assert trainer.run()
    return trainer, out


def test_only_adapters_train_and_only_they_are_stored(base: tuple[Path, list[str]], tmp_path: Path) -> None:
    trainer = Trainer(load(str(base[0]), [*base[1], "steps=3", "weight_decay=0.1"]), tmp_path)
    before = {name: p.clone() for name, p in trainer.inner.module.named_parameters()}
    assert trainer.run()
    moved = {name for name, p in trainer.inner.module.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(trainer.named)
    assert all(".lora_A." in name or ".lora_B." in name for name in moved)
    assert len(moved) == 2 * 2 * 7
    assert all(p.dtype == torch.float32 for p in trainer.named.values())
    saved = checkpoint.read(tmp_path / "checkpoint-3")
    assert saved.model.keys() == moved
    assert {key.rpartition("/")[0] for key in saved.optimizer} == moved


def test_the_saved_adapter_gives_the_logits_of_the_trained_module(
    base: tuple[Path, list[str]], trained: tuple[Trainer, Path]
) -> None:
    from peft import PeftModel

    trainer, out = trained
    config = trainer.config
    ids, at = torch.randint(3, 200, (2, 24)), torch.arange(24).expand(2, -1)
    mask = torch.ones(2, 1, 24, 24, dtype=torch.bool)
    with torch.no_grad():
        wanted = trainer.inner.eval().module(input_ids=ids, position_ids=at, attention_mask=mask).logits
        plain = build_module(config).eval()
        untrained = plain(input_ids=ids, position_ids=at, attention_mask=mask).logits
        merged = ds.load(config.model.init or "", adapter=str(out / "final")).module
        peft = PeftModel.from_pretrained(plain, str(out / "final")).eval()
        for module in (merged, peft):
            found = module(input_ids=ids, position_ids=at, attention_mask=mask).logits
            torch.testing.assert_close(found, wanted, atol=2e-3, rtol=1e-2)  # float16 on the disk
    assert (wanted - untrained).abs().max() > 0.05


def test_the_result_is_a_peft_folder_with_its_record(trained: tuple[Trainer, Path]) -> None:
    final = trained[1] / "final"
    assert {f.name for f in final.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "training.json",
        "README.md",
        "decoding_config.json",
    }
    assert {t.dtype for t in load_file(final / "adapter_model.safetensors").values()} == {torch.float16}
    config = json.loads((final / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == trained[0].config.model.init
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["target_modules"] == sorted(open_start(trained[0].config.model).lora_targets)
    record = json.loads((final / "training.json").read_text())
    assert record["summary"].startswith("LoRA r 4, objective mdm")
    assert record["trained_parameters"] == sum(p.numel() for p in trained[0].named.values())
    text = (final / "README.md").read_text()
    assert "library_name: peft" in text
    assert str(trained[1]) not in record["command"] + text


def test_resuming_is_exact_with_dropout_and_average(base: tuple[Path, list[str]], tmp_path: Path) -> None:
    changes = [*base[1], "lora.dropout=0.3", "ema=0.9", "steps=6"]
    assert Trainer(load(str(base[0]), changes), tmp_path / "one").run()
    assert not Trainer(load(str(base[0]), changes), tmp_path / "two").run(stop_at=3)
    torch.rand(7)  # whatever else the process drew
    assert Trainer(load(str(base[0]), changes), tmp_path / "two").run()
    one, two = (checkpoint.read(tmp_path / name / "checkpoint-6") for name in ("one", "two"))
    for a, b in zip(one[:3], two[:3], strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert one.average.keys() == one.model.keys()
    assert any(not torch.equal(one.average[key], one.model[key]) for key in one.model)
    files = [load_file(tmp_path / name / "final" / "adapter_model.safetensors") for name in ("one", "two")]
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])
    stored = files[0]["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"]
    assert torch.equal(stored, one.average["model.layers.0.self_attn.q_proj.lora_A.default.weight"].half())


def test_the_result_says_how_to_decode(trained: tuple[Trainer, Path], base: tuple[Path, list[str]]) -> None:
    """The policy of the run's samples, else the one that the objective is made for; ``--policy auto`` reads it."""
    chosen = choose_policy("auto", "nano", str(trained[1] / "final"), None, {})
    assert chosen.policy.name == trained[0].objective.made_for["policy"]
    sample = "sample={policy: t2m, options: {threshold: 0.2}, every: 2, block_length: 8}"
    config = load(str(base[0]), [*base[1], sample])
    assert recommendation(config) == {"policy": "t2m", "threshold": 0.2, "block_length": 8}


def test_a_checkpoint_exports_like_the_end(trained: tuple[Trainer, Path], tmp_path: Path) -> None:
    folder = export(trained[1] / "checkpoint-12", tmp_path / "out")
    a, b = (load_file(f / "adapter_model.safetensors") for f in (folder, trained[1] / "final"))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_the_start_depends_on_the_seed_alone(base: tuple[Path, list[str]]) -> None:
    def start(*changes: str) -> dict[str, torch.Tensor]:
        torch.rand(3)
        return {
            k: p.detach() for k, p in named_trainable(build_model(load(str(base[0]), [*base[1], *changes]))).items()
        }

    one, two, other = start(), start(), start("seed=1")
    assert all(torch.equal(one[key], two[key]) for key in one)
    name = "model.layers.1.mlp.up_proj.lora_A.default.weight"
    assert not torch.equal(one[name], other[name])
    assert all(not p.any() for key, p in one.items() if ".lora_B." in key)


def test_frozen_weights_may_be_bfloat16(base: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, changes = base
    config = load(str(path), [*changes, "steps=2", "gradient_checkpointing=true"])
    half = config.model_copy(update={"model": config.model.model_copy(update={"dtype": "bfloat16"})})
    trainer = Trainer(half, tmp_path)
    dtypes = {p.dtype for p in trainer.inner.module.parameters() if not p.requires_grad}
    assert dtypes == {torch.bfloat16}
    assert {p.dtype for p in trainer.named.values()} == {torch.float32}
    assert trainer.run()


def test_targets(base: tuple[Path, list[str]]) -> None:
    path, changes = base
    config = load(str(path), [*changes, "lora.targets=[q_proj, v_proj]"])
    names = named_trainable(build_model(config))
    assert {name.split(".")[4] for name in names} == {"q_proj", "v_proj"}
    with pytest.raises(TrainError, match="no linear layer 'query'; there are: down_proj, gate_proj"):
        build_model(load(str(path), [*changes, "lora.targets=[query]"]))
    module = build_module(config)
    opened = open_start(config.model)
    assert linear_names(module) == sorted(opened.lora_targets)
    opened.config.model_type = module.config.model_type = "other"
    with pytest.raises(TrainError, match="no default for other; name some of its layers: down_proj"):
        complete(load(str(path), changes), module, opened)
