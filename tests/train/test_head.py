"""Heads: they train alone on a frozen backbone, or together with it; the result is calibrated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import dlmsample as ds
from dlmsample.cli.settings import choose_policy
from dlmsample.heads import load_head
from dlmsample.models.attention.masks import bidirectional, block_causal
from dlmsample.objectives.base import Outputs
from dlmsample.tasks import Example, Score, Task
from dlmsample.train import checkpoint
from dlmsample.train.calibrate import calibrate, measure, operating, operating_point, scores
from dlmsample.train.config import TrainConfig, TrainError, load
from dlmsample.train.data.batches import BatchSteps, make_source
from dlmsample.train.data.layout import lay_out
from dlmsample.train.export import export
from dlmsample.train.model import build_model
from dlmsample.train.trainer import Trainer
from tests.train import standin
from tests.train.standin import recipe

HEAD = ["head={width: 16, heads: 2, mlp: 32, calibration_rows: 16, operating: {problems: 0}}", "objective.name=fca"]
BOTH = frozenset({"logits", "error"})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("base")
    path = recipe(folder)
    assert Trainer(load(str(path), ["steps=2"]), folder / "base").run()
    return path, [f"model={{init: {folder / 'base' / 'final'}}}", *HEAD]


@pytest.fixture(scope="module")
def trained(base: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    out = tmp_path_factory.mktemp("head")
    trainer = Trainer(load(str(base[0]), base[1]), out)
    assert trainer.run()
    return trainer, out


def moved(trainer: Trainer) -> set[str]:
    """The names of the parameters that a run moves; ``head.`` begins a head's."""
    before = {name: p.clone() for name, p in trainer.inner.named_parameters()}
    assert trainer.run()
    return {name for name, p in trainer.inner.named_parameters() if not torch.equal(p, before[name])}


def test_the_head_alone_trains(base: tuple[Path, list[str]], tmp_path: Path) -> None:
    trainer = Trainer(load(str(base[0]), [*base[1], "steps=3"]), tmp_path)
    trainer.model.train()
    assert not trainer.inner.module.training
    assert trainer.inner.head.training
    assert moved(trainer) == {f"head.{name}" for name, _ in trainer.inner.head.named_parameters()}
    assert all(p.grad is None for p in trainer.inner.module.parameters())
    assert checkpoint.read(tmp_path / "checkpoint-3").model.keys() == set(trainer.named)


@pytest.mark.parametrize("lora", [False, True])
def test_joint_training_moves_both_and_saves_both(base: tuple[Path, list[str]], tmp_path: Path, lora: bool) -> None:
    changes = [*base[1], "objective.options={gamma: 0.5}", "steps=3", *(["lora={rank: 2, alpha: 4}"] if lora else [])]
    trainer = Trainer(load(str(base[0]), changes), tmp_path)
    names = moved(trainer)
    assert any(name.startswith("head.") for name in names)
    backbone = {name for name in names if not name.startswith("head.")}
    assert backbone
    assert all(("lora_" in name) == lora for name in backbone)
    assert load_head(tmp_path / "final" / "head").config == trainer.inner.head.config
    assert (tmp_path / "final" / ("adapter_model.safetensors" if lora else "model.safetensors")).is_file()
    assert choose_policy("auto", "nano", None, str(tmp_path / "final" / "head"), {}).policy.name == "dsc"
    assert not (tmp_path / "final" / "decoding_config.json").exists(), "without the head it decodes by another policy"


@torch.no_grad()
@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_the_head_sees_what_it_sees_in_decoding(base: tuple[Path, list[str]], attention: str) -> None:
    """Of each block (or canvas) alone: the same hidden states, positions and neighbours."""
    config = load(str(base[0]), base[1])
    geometry = config.geometry.model_copy(update={"attention": attention})
    config = config.model_copy(update={"model": config.model.model_copy(update={"geometry": geometry})})
    model = build_model(config).eval()
    rows = BatchSteps(config, 0)[0][0]
    batch = lay_out(config, rows)
    window = torch.randint(3, 200, batch.clean.shape, generator=torch.Generator().manual_seed(0))
    out = model(batch, window, BOTH)
    assert isinstance(out, Outputs)
    assert torch.equal(out.error, model(batch, window, frozenset({"error"})))  # type: ignore[arg-type]
    assert torch.equal(out.logits, model(batch, window))  # type: ignore[arg-type]
    for r in range(len(rows.keys)):
        prompt, width, block = int(rows.prompt[r]), int(rows.window[r]), int(rows.block[r])
        causal = attention == "block_causal"
        for start in range(0, width, block) if causal else (0,):
            end = min(start + block, width) if causal else width
            ids = torch.from_numpy(rows.tokens[r, : prompt + end]).long()
            ids[prompt + start :] = window[r, start:end]
            at = torch.arange(prompt + end)[None]
            every = torch.ones_like(at, dtype=torch.bool)
            index = torch.where(at < prompt, 0, (at - prompt) // block + 1)
            mask = block_causal(index, every) if causal else bidirectional(every)
            hidden = model.module(
                input_ids=ids[None], position_ids=at, attention_mask=mask, output_hidden_states=True
            ).hidden_states[-2]
            seen = slice(prompt + start, None) if causal else slice(None)
            error = model.head(hidden[:, seen], at[:, seen], every[:, seen])[0]
            torch.testing.assert_close(out.error[r, start:end], error[-(end - start) :], atol=1e-5, rtol=1e-5)


def test_the_result_loads_and_decodes(trained: tuple[Trainer, Path]) -> None:
    trainer, out = trained
    final = out / "final"
    assert {f.name for f in final.iterdir()} == {
        "config.json",
        "decoding_config.json",
        "model.safetensors",
        "training.json",
        "README.md",
    }
    assert {t.dtype for t in load_file(final / "model.safetensors").values()} == {torch.float16}
    record = json.loads((final / "training.json").read_text())
    found = record["validation"]
    assert found["offset"] == load_head(final).config.offset == trainer.inner.head.config.offset
    assert {"auc", "positive_rate", "precision", "recall"} <= found.keys()
    assert found["positions"] > 50
    model = ds.load(trainer.config.model.init or "", head=str(final))
    answer = ds.Sampler(model, ds.DSC()).generate([[5, 6, 7]], max_new_tokens=16)
    assert answer.stats[0].steps > 0


def test_the_offset_makes_one_half_the_operating_point(trained: tuple[Trainer, Path]) -> None:
    trainer = trained[0]
    arguments = (trainer.config, trainer.inner.eval(), trainer.objective, trainer.ids, trainer.pad, torch.device("cpu"))
    logits, wrong = measure(*arguments)
    again = measure(*arguments)
    assert torch.equal(logits, again[0])
    assert torch.equal(wrong, again[1])
    best = calibrate(trainer.config, trainer.inner, logits, wrong)["validation"]["f1"]
    for shift in (-1.0, -0.3, 0.3, 1.0):
        flagged = logits + shift > 0
        hits = float((flagged & wrong).sum())
        assert 2 * hits / max(1.0, float(flagged.sum() + wrong.sum())) <= (best or 0) + 1e-6


@pytest.mark.parametrize(("size", "rows"), [(3, 3), (1000, 16)])
def test_a_calibration_counts_to_the_rows_that_there_are(
    size: int, rows: int, trained: tuple[Trainer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, seen = trained[0], list[int]()

    class Counted(scores.Progress):
        def __init__(self, total: int, *about: Any) -> None:
            super().__init__(total, *about)
            seen.append(total)

        def tick(self, finished: int) -> None:
            seen.append(finished)

    def short(config: TrainConfig, split: str) -> Any:
        source = make_source(config, split)
        monkeypatch.setattr(type(source), "size", size)
        return source

    monkeypatch.setattr(scores, "Progress", Counted)
    monkeypatch.setattr(scores, "make_source", short)
    measure(trainer.config, trainer.inner.eval(), trainer.objective, trainer.ids, trainer.pad, torch.device("cpu"))
    assert seen[0] == rows
    assert sum(seen[1:]) >= rows


def test_resume_and_export_are_exact(
    trained: tuple[Trainer, Path], base: tuple[Path, list[str]], tmp_path: Path
) -> None:
    config = load(str(base[0]), base[1])
    assert not Trainer(config, tmp_path / "two").run(stop_at=5)
    assert Trainer(config, tmp_path / "two").run()
    one, two = (checkpoint.read(out / "checkpoint-12") for out in (trained[1], tmp_path / "two"))
    for a, b in zip(one[:2], two[:2], strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    export(trained[1] / "checkpoint-12", tmp_path / "out")
    texts = [(f / "config.json").read_text() for f in (tmp_path / "out", tmp_path / "two" / "final")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["objective.name=fca"], "trains a head: give 'head'"),
        (["head={width: 16, heads: 2, mlp: 32, operating: {problems: 0}}"], "trains no head: leave 'head' out"),
        ([*HEAD, "lora={rank: 2, alpha: 2}"], "trains the head alone: leave 'lora' out"),
        ([*HEAD, "head.heads=3"], "head: "),
    ],
)
def test_mistakes(tmp_path: Path, changes: list[str], message: str) -> None:
    with pytest.raises(TrainError, match=message):
        build_model(load(str(recipe(tmp_path)), changes))


class Sums(Task):
    """Two of the stand-in's problems with a scorer."""

    name = "sums"

    def __len__(self) -> int:
        return 2

    def example(self, index: int) -> Example:
        return standin.problem("valid", index)

    def score(self, example: Example, text: str) -> Score:
        return Score(example.answer in text, None)


def test_the_operating_point_is_decoded(
    base: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threshold that decodes best becomes 0.5: the shifted head at 0.5 is the old one at that threshold."""
    monkeypatch.setattr(operating, "_task", lambda config: Sums("valid"))
    setting = "head.operating={problems: 2, tokens_per_step: [4, 8], extra_steps: 100, minutes: 60, batch_size: 2}"
    trainer = Trainer(load(str(base[0]), [*base[1], setting, "steps=1"]), tmp_path)
    assert trainer.run()
    record = json.loads((tmp_path / "final" / "training.json").read_text())
    found = record["operating_point"]
    assert found["chosen_by"] == "accuracy of decoding"
    assert {row["tokens_per_step"] for row in found["tried"]} == {4, 8}
    assert all(row["steps"] >= row["plain_steps"] > 0 for row in found["tried"])
    head = trainer.inner.head
    hidden, at = torch.randn(1, 8, head.config.hidden_size), torch.arange(8)[None]
    new = head(hidden, at, at >= 0).sigmoid()
    head.add_offset(-head.config.offset)
    old = head(hidden, at, at >= 0).sigmoid()
    assert torch.equal(new > 0.5, old > found["threshold_before"])
    assert "## Operating point" in (tmp_path / "final" / "README.md").read_text()


def test_no_threshold_is_begun_when_the_time_is_over(
    base: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating, "_task", lambda config: Sums("valid"))
    setting = "head.operating={problems: 1, tokens_per_step: [8], minutes: 1}"
    trainer = Trainer(load(str(base[0]), [*base[1], setting, "steps=1"]), tmp_path)
    logits, wrong = torch.arange(40.0), torch.arange(40) % 4 == 0
    ticks = iter([0.0, 30.0, 61.0])
    tried = operating_point(trainer.config, trainer.inner.eval(), logits, wrong, lambda: next(ticks))
    assert len(tried) == 1
