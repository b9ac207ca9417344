"""The loop learns, survives kill -9 with bitwise equal weights, and tells a mistake in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dlmsample.train import checkpoint
from dlmsample.train.__main__ import main
from dlmsample.train.config import TrainError, load
from dlmsample.train.model import build_model, build_module
from dlmsample.train.optimizer import build_optimizer, named_trainable
from dlmsample.train.report import MetricSums
from dlmsample.train.trainer import Trainer
from tests.train.standin import recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and the folder of its finished run."""
    folder = tmp_path_factory.mktemp("run")
    path = recipe(folder)
    assert main([str(path), "--out", str(folder / "out")]) == 0
    return path, folder / "out"


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "final" / "model.safetensors")


def assert_same_end(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    for name in ("model.safetensors", "optimizer.safetensors"):
        a, b = (load_file(out / "checkpoint-12" / name) for out in (one, other))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_the_loss_falls(tmp_path: Path) -> None:
    trainer = Trainer(load(str(recipe(tmp_path)), ["steps=60", "log_every=20", "lr=1e-2"]), tmp_path / "out")
    assert trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    kept = [line["loss"] for line in lines if line["step"] % 20 == 0]
    assert kept[-1] < 0.5 * lines[0]["loss"]
    assert {"step", "loss", "lr", "grad_norm", "tokens_per_s", "ce/masked"} <= lines[0].keys()


def test_the_result_is_a_stock_checkpoint(undisturbed: tuple[Path, Path]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    final = undisturbed[1] / "final"
    config = json.loads((final / "config.json").read_text())
    assert config["dlmsample"] == {
        "mask_id": 2,
        "eos_ids": [1],
        "block_length": 8,
        "min_block_length": 4,
        "attention": "block_causal",
        "block_alignment": "prompt",
        "logit_shift": False,
    }
    assert {tensor.dtype for tensor in weights(undisturbed[1]).values()} == {torch.float16}
    assert AutoModelForCausalLM.from_pretrained(final).config.is_causal is False
    assert AutoTokenizer.from_pretrained(final).mask_token_id == 2
    record = json.loads((final / "training.json").read_text())
    assert record["step"] == record["steps"] == 12
    assert record["config"]["lr"] == 0.005
    assert len(checkpoint.complete(undisturbed[1])) == 2


@pytest.mark.parametrize("after", [3, 6])
def test_kill_and_resume_end_bitwise_equal(undisturbed: tuple[Path, Path], tmp_path: Path, after: int) -> None:
    """kill -9 once ``after`` metrics lines exist, then the same command again, to the end."""
    path, whole = undisturbed
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dlmsample.train", str(path), "--out", str(out)]
    command += ["log_every=1"]  # operational: changes no weight
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        metrics = out / "metrics.jsonl"
        if metrics.exists() and metrics.read_text().count("\n") >= after:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "final").exists()
    assert main([str(path), "--out", str(out), "log_every=1"]) == 0
    assert_same_end(whole, out)
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert steps[-1] == 12


def test_stop_and_go_on(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    path, whole = undisturbed
    out = tmp_path / "out"
    assert main([str(path), "--out", str(out), "--stop-at", "5"]) == 0
    assert [f.name for f in checkpoint.complete(out)] == ["checkpoint-4", "checkpoint-5"]
    assert main([str(path), "--out", str(out), "--max-minutes", "0.00001"]) == 0  # one more step
    assert checkpoint.complete(out)[-1].name == "checkpoint-6"
    assert main(["export", str(out / "checkpoint-6"), str(tmp_path / "six")]) == 0
    assert json.loads((tmp_path / "six" / "training.json").read_text())["step"] == 6
    assert main([str(path), "--out", str(out)]) == 0
    assert_same_end(whole, out)


def test_an_incomplete_checkpoint_is_ignored_and_removed(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    path, whole = undisturbed
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "final")
    (out / "checkpoint-12" / checkpoint.MARKER).unlink()
    (out / "checkpoint-12" / "model.safetensors").write_bytes(b"half")
    trainer = Trainer(load(str(path)), out)
    assert trainer.step == 10
    assert not (out / "checkpoint-12").exists()
    assert trainer.run()
    assert_same_end(whole, out)


def test_micro_batches_do_not_change_the_gradient(tmp_path: Path) -> None:
    norms = []
    for count in (1, 4):
        changes = [f"micro_batches={count}", "steps=1", "checkpoint_every=1", "log_every=1"]
        trainer = Trainer(load(str(recipe(tmp_path)), changes), tmp_path / str(count))
        trainer.run()
        norms.append(json.loads((tmp_path / str(count) / "metrics.jsonl").read_text())["grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_two_processes_equal_one(tmp_path: Path) -> None:
    path = recipe(tmp_path, steps=3, log_every=1)
    assert main([str(path), "--out", str(tmp_path / "one")]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "dlmsample.train", str(path), "--out", str(tmp_path / "two")]
    environment = {**_environment(), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
    a, b = (load_file(tmp_path / name / "checkpoint-3" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(a[key], b[key], atol=1e-5) for key in a)
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    losses = [[json.loads(line)["loss"] for line in of] for of in lines]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    first = [json.loads(of[0]) for of in lines]  # later ones follow from weights that were rounded otherwise
    speed = {"seconds", "tokens_per_s"}
    assert {k: v for k, v in first[0].items() if k not in speed} == pytest.approx(
        {k: v for k, v in first[1].items() if k not in speed}, rel=1e-5
    )


def test_bidirectional_training_and_going_on_from_its_result(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    first = [str(path), "--out", str(tmp_path / "one"), "model.geometry.attention=bidirectional", "steps=3"]
    assert main(first) == 0
    config = load(str(path), ["model={init: %s}" % (tmp_path / "one" / "final"), "steps=2"])
    assert config.geometry.attention == "bidirectional"
    start = build_module(config).state_dict()
    assert all(torch.equal(start[name].half(), t) for name, t in weights(tmp_path / "one").items())
    assert Trainer(config, tmp_path / "two").run()


def test_decay_spares_norms_and_embeddings(tmp_path: Path) -> None:
    config = load(str(recipe(tmp_path)), ["weight_decay=0.1"])
    model = build_model(config)
    optimizer = build_optimizer(config, model, torch.device("cpu"))
    spared = {id(p) for group in optimizer.param_groups if not group["weight_decay"] for p in group["params"]}
    names = {name for name, p in named_trainable(model).items() if id(p) in spared}
    assert "model.embed_tokens.weight" in names
    assert all("norm" in name or "embed" in name for name in names)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lrr=1", "unknown option 'lrr'; did you mean 'lr'?"),
        ("lr=-1", "lr must be > 0 (got -1)"),
        ("objective.name=mdn", "did you mean 'mdm'"),
        ("objective.options.epz=1", "epz"),
        ("task.name=nothing", "unknown task 'nothing'"),
        ("task.options.colour=1", "unknown option 'colour'"),
        ("batch_size=7", "no multiple"),
        ("lr", "not of the form key=value"),
        ("model.tokenizer=/nowhere", "no tokenizer.json"),
        ("model.shape.vocab_size=2", "outside the vocabulary"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    path = recipe(tmp_path)
    assert main([str(path), "--out", str(tmp_path / "out"), override]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dlmsample: ")
    assert message in error
    assert error.count("\n") == 1


def test_other_mistakes(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="did you mean 'nano'"):
        load("nanoo")
    with pytest.raises(TrainError, match="cannot read recipe"):
        load(str(tmp_path / "none.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(TrainError, match="expected keys and values"):
        load(str(tmp_path / "list.yaml"))
    with pytest.raises(TrainError, match="another lr: choose another --out"):
        Trainer(load(str(undisturbed[0]), ["lr=1"]), undisturbed[1])
    assert main(["export", str(tmp_path), str(tmp_path / "x")]) == 2
    (tmp_path / "file").touch()
    assert main([str(undisturbed[0]), "--out", str(tmp_path / "file")]) == 2


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}


def test_a_mean_over_a_set_counts_by_the_size_of_the_set() -> None:
    """Micro-batches without members of a set do not pull its mean towards 0."""
    sums, editable = MetricSums(), torch.ones(2, 5, dtype=torch.bool)
    for share, ce in ((0.0, 0.0), (0.3, 4.0), (0.1, 2.0), (0.0, 0.0)):
        values = {"loss": torch.tensor(1.0), "share/wrong": torch.tensor(share), "ce/wrong": torch.tensor(ce)}
        sums.add([(values, editable)], {})
    found = sums.take(lambda values: values)
    assert found == pytest.approx({"loss": 1.0, "share/wrong": 0.1, "ce/wrong": 3.5})
    sums.add([({"share/wrong": torch.tensor(0.0), "ce/wrong": torch.tensor(0.0)}, editable)], {})
    assert sums.take(lambda values: values) == {"share/wrong": 0.0, "ce/wrong": 0.0}


def test_metrics_do_not_depend_on_how_a_batch_is_padded() -> None:
    """Shares are of all positions with padding; what is told is of the editable ones."""
    found = []
    for width in (8, 32):
        sums, editable = MetricSums(), torch.zeros(2, width, dtype=torch.bool)
        editable[0, :6] = editable[1, :4] = True
        wrong = torch.zeros_like(editable)
        wrong[0, :3] = True
        shares = {"share/wrong": wrong.float().mean(), "share/visible": editable.float().mean()}
        sums.add([({**shares, "positive_rate": torch.tensor(0.3)}, editable)], {"grad_norm": torch.tensor(2.0)})
        found.append(sums.take(lambda values: values))
    assert found[0] == pytest.approx({"share/wrong": 0.3, "share/visible": 1.0, "positive_rate": 0.3, "grad_norm": 2.0})
    assert found[0] == pytest.approx(found[1])
