"""A run's folder: one run at a time, nothing of others is deleted, damage is named with what to do."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dlmsample.train import checkpoint
from dlmsample.train.config import TrainError, load
from dlmsample.train.report import trim
from dlmsample.train.trainer import Trainer
from tests.train.standin import recipe


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and the folder of its run, stopped at step 4: checkpoints 2 and 4."""
    folder = tmp_path_factory.mktemp("run")
    path = recipe(folder)
    assert not Trainer(load(str(path)), folder / "out").run(stop_at=4)
    return path, folder / "out"


@pytest.fixture
def copied(stopped: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    shutil.copytree(stopped[1], tmp_path / "out")
    return stopped[0], tmp_path / "out"


@pytest.mark.parametrize(
    "name",
    ["checkpoint-500/model.safetensors", "final/model.safetensors", "final.writing/x", "metrics.jsonl", "notes.txt"],
)
def test_what_no_run_wrote_is_refused(stopped: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    """The names are those that other trainers use too."""
    file = tmp_path / "out" / name
    file.parent.mkdir(parents=True)
    file.write_text("precious\n")
    with pytest.raises(TrainError, match="was not written by a run of this package: move it away, or name another"):
        Trainer(load(str(stopped[0])), tmp_path / "out")
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [file]
    assert file.read_text() == "precious\n"


def test_what_lies_beside_is_left_alone(copied: tuple[Path, Path]) -> None:
    (copied[1] / "notes.txt").write_text("mine")
    (copied[1] / "checkpoint-best").mkdir()
    with (copied[1] / "metrics.jsonl").open("a") as file:
        file.write('{"step": 900, "eval": 1}\nno JSON\n{"step": 5, "loss": 1.0}\n{"step": 6, "lo')
    assert Trainer(load(str(copied[0])), copied[1]).run()
    assert (copied[1] / "notes.txt").read_text() == "mine"
    assert (copied[1] / "checkpoint-best").is_dir()
    lines = (copied[1] / "metrics.jsonl").read_text().split("\n")
    assert lines[2:4] == ['{"step": 900, "eval": 1}', "no JSON"]
    assert [json.loads(line)["step"] for line in lines[4:-1]] == [6, 8, 10, 12]


def test_a_foreign_checkpoint_beside_own_ones_is_refused_before_anything_is_deleted(copied: tuple[Path, Path]) -> None:
    (copied[1] / "checkpoint-500").mkdir()
    (copied[1] / "checkpoint-500" / "trainer_state.json").write_text("{}")
    (copied[1] / "checkpoint-4" / checkpoint.MARKER).unlink()
    before = sorted(copied[1].rglob("*"))
    with pytest.raises(TrainError, match="checkpoint-500 was not written by a run"):
        Trainer(load(str(copied[0])), copied[1])
    assert sorted(copied[1].rglob("*")) == before


def test_checkpoints_of_earlier_versions_are_gone_on_from(copied: tuple[Path, Path]) -> None:
    for folder in checkpoint.complete(copied[1]):
        (folder / "DLMSAMPLE").unlink()
    assert Trainer(load(str(copied[0])), copied[1]).step == 4


def test_two_runs_in_one_folder_are_refused(copied: tuple[Path, Path]) -> None:
    """The second one says who has it; a process that is gone holds nothing."""
    code = "import sys; from pathlib import Path; from dlmsample.train.folder import RunFolder; "
    code += "folder = RunFolder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(copied[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TrainError, match=f"is in use by process {other.pid} on .*: wait for it, stop it, or name"):
            Trainer(load(str(copied[0])), copied[1])
        other.kill()
    trainer = Trainer(load(str(copied[0])), copied[1])
    with pytest.raises(TrainError, match="is in use by process"):
        Trainer(load(str(copied[0])), copied[1])
    assert not trainer.run(stop_at=5)
    assert Trainer(load(str(copied[0])), copied[1]).step == 5


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_checkpoint_is_named_with_the_one_before(copied: tuple[Path, Path], name: str, damage: str) -> None:
    path, out = copied
    file = out / "checkpoint-4" / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    with pytest.raises(TrainError) as caught:
        Trainer(load(str(path)), out)
    said = str(caught.value)
    assert said.startswith(f"cannot read {name} in {out / 'checkpoint-4'}: ")
    assert said.endswith("; remove that folder to go on from checkpoint-2")
    assert "\n" not in said
    shutil.rmtree(out / "checkpoint-4")
    assert Trainer(load(str(path)), out).step == 2


def test_the_only_checkpoint_damaged_means_to_start_anew(copied: tuple[Path, Path]) -> None:
    shutil.rmtree(copied[1] / "checkpoint-2")
    (copied[1] / "checkpoint-4" / "state.json").write_text("{}")
    with pytest.raises(TrainError, match="remove that folder to start anew: there is no checkpoint before it"):
        Trainer(load(str(copied[0])), copied[1])


@pytest.mark.parametrize("kind", ["weights", "log"])
def test_a_full_disk_says_what_is_safe(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, no half-written checkpoint, and the same command ends where an undisturbed run does."""
    config = load(str(recipe(tmp_path / "r")), ["steps=4", "checkpoint_every=2", "log_every=1"])
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert Trainer(config, whole).run()
    assert not Trainer(config, out).run(stop_at=2)
    with monkeypatch.context() as full:
        if kind == "weights":
            said = "Error while serializing: I/O error: No space left on device (os error 28)"
            full.setattr(checkpoint, "save_file", _raising(SafetensorError(said)))
        else:
            error = OSError(errno.ENOSPC, "No space left on device")
            full.setattr("dlmsample.train.report.RunLog.log", _raising(error))
        with pytest.raises(TrainError) as caught:
            Trainer(config, out).run()
    assert str(caught.value) == (
        f"cannot write into {out}: No space left on device; checkpoint-2 is safe and the same command goes on from it: "
        "free the disk"
    )
    assert [folder.name for folder in sorted(out.glob("checkpoint-*"))] == ["checkpoint-2"]
    assert Trainer(config, out).run()
    a, b = (load_file(folder / "final" / "model.safetensors") for folder in (whole, out))
    assert all(torch.equal(a[key], b[key]) for key in a)


def _raising(error: Exception) -> Callable[..., None]:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    return fail


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    """U+2028, U+0085 and others end lines for str.splitlines, and stand in texts."""
    path = tmp_path / "samples.jsonl"
    texts = ["a\u2028b", "c\u0085d", "e\x0cf", "g"]
    lines = [json.dumps({"step": step, "text": text}, ensure_ascii=False) for step, text in enumerate(texts, 1)]
    path.write_bytes(("\n".join(lines) + "\n").encode())
    trim(path, 3)
    kept = path.read_bytes().decode().split("\n")
    assert [json.loads(line)["text"] for line in kept if line] == texts[:3]


def test_a_data_file_and_a_recipe_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    plain = load(str(path))
    path.write_bytes("\ufeff".encode() + path.read_bytes())
    assert load(str(path)) == plain


@pytest.mark.parametrize("objective", ["mdm", "scope", "{name: fca, options: {gamma: 1}}"])
def test_metrics_do_not_depend_on_how_a_batch_is_cut(tmp_path: Path, objective: str) -> None:
    """Rows of different lengths: micro-batches have paddings of their own."""
    changes = ["steps=1", "batch_size=16", "checkpoint_every=1", "log_every=1", "windows.long_window_max=120"]
    head = (
        ["head={width: 16, heads: 2, mlp: 32, calibration_rows: 8, operating: {problems: 0}}"]
        if "fca" in objective
        else []
    )
    rule = f"objective={objective}" if "fca" in objective else f"objective.name={objective}"
    found = []
    for count in (1, 2, 4, 8):
        config = load(str(recipe(tmp_path)), [*changes, *head, rule, f"micro_batches={count}"])
        Trainer(config, tmp_path / str(count)).run()
        values = json.loads((tmp_path / str(count) / "metrics.jsonl").read_text())
        found.append(
            {key: value for key, value in values.items() if key not in ("seconds", "tokens_per_s", "peak_gib")}
        )
    assert len(found[0]) > 5
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5, abs=1e-7)


def test_a_recipe_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    path.write_text(path.read_text() + "lr: 1.0\n")
    with pytest.raises(TrainError, match=r"recipe.yaml:\d+: .*lr"):
        load(str(path))


def test_a_finished_run_is_exactly_what_it_was(copied: tuple[Path, Path], tmp_path: Path) -> None:
    """Taking the folder again replaces the result and nothing else."""
    assert Trainer(load(str(copied[0])), copied[1]).run()
    first = load_file(copied[1] / "final" / "model.safetensors")
    assert Trainer(load(str(copied[0])), copied[1]).run()
    again = load_file(copied[1] / "final" / "model.safetensors")
    assert all((first[name] == again[name]).all() for name in first)
