"""``dlmsample train``: the plan, the run, where it stops, and every mistake in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dlmsample.models.embedded import folder_of
from dlmsample.train.__main__ import main
from dlmsample.train.config import compose
from tests.cli.conftest import Call, is_mistake
from tests.train.standin import recipe

ROOT = Path(__file__).parents[2]
SHORT = ("--set", "steps=3", "--set", "checkpoint_every=1", "--set", "log_every=1")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recipe of a few thousand parameters."""
    return str(recipe(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """Twelve questions and answers."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{i} + {i}?", "answer": f"{2 * i}"}) + "\n" for i in range(12)))
    return str(path)


def tensors(out: Path) -> dict[str, torch.Tensor]:
    return load_file(next((out / "final").glob("*.safetensors")))


def same(one: Path, other: Path) -> bool:
    a, b = tensors(one), tensors(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("source", ["file", "task", "text"])
def test_a_run_ends_in_final_and_resumes_exactly(source: str, call: Call, tiny: str, rows: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one document\n\nand another one\n" * 9)
    options = {
        "file": ("--data", rows, "--set", "lora={rank: 2, alpha: 4}"),
        "task": ("--data", "tests.train.standin:problem"),
        "text": ("--data", str(tmp_path / "text.txt"), "--set", "data.pack=true", "--set", "data.max_length=40"),
    }[source]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = ("train", "--recipe", tiny, *options, *SHORT)
    result = call(*command, "--out", str(whole))
    assert (result.code, result.out) == (0, "")
    assert f"step 3/3, finished: {whole / 'final'}" in result.err
    assert ("data: kept all " in result.err) == (source != "task")
    assert ("data: packed into " in result.err) == (source == "text")
    stopped = call(*command, "--out", str(parts), "--stop-at", "1")
    assert (stopped.code, stopped.out) == (0, "")
    assert "step 1/3, stopped; the same command goes on" in stopped.err
    assert not (parts / "final").exists()
    assert call(*command, "--out", str(parts)).code == 0
    assert same(whole, parts)
    record = json.loads((whole / "final" / "training.json").read_text())
    assert record["config"]["steps"] == 3
    assert bool(record["data"]) == (source != "task")


def test_changed_data_is_not_resumed(call: Call, tiny: str, rows: str, tmp_path: Path) -> None:
    command = ("train", "--recipe", tiny, "--data", rows, *SHORT, "--out", str(tmp_path / "out"))
    assert call(*command, "--stop-at", "1").code == 0
    Path(rows).write_text(Path(rows).read_text().replace("22", "23"))
    code, out, err = call(*command)
    assert (code, out) == (2, "")
    assert "the data of the run in" in err
    assert "has changed" in err


def test_without_a_recipe_an_adapter_or_a_head_is_trained_on_nano(rows: str) -> None:
    config = compose(objective="scope", data=rows)
    assert (config.model.init, config.task) == ("nano", None)
    assert config.lora is not None
    assert config.head is None
    head = compose(objective="fca", data=rows, settings=["head.width=64"])
    assert head.lora is None
    assert head.head is not None
    assert (head.head.width, head.head.heads, head.head.mlp) == (64, 4, 1024)
    assert head.data is not None
    assert head.data.held_out > 0
    assert compose(objective="mdm", data="wordproblems").task is not None


def test_options_replace_what_the_recipe_says(rows: str) -> None:
    recipe = compose("nano_scope")
    assert compose("nano_scope", objective="scope", model="nano", data="wordproblems") == recipe
    assert recipe.lora is not None
    fca = compose("nano_scope", objective="fca", settings=["sample=null"])
    assert fca.lora is None
    assert fca.head is not None
    assert fca.objective.options == {}
    files = compose("nano_scope", data=rows, settings=["lr=0.5", "data.held_out=0.5"])
    assert files.task is None
    assert files.data is not None
    assert (files.data.path, files.data.held_out, files.lr) == (rows, 0.5, 0.5)


PARTS = ("objective", "model", "trains", "data", "steps", "tokens", "optimiser", "precision", "memory", "outputs")


def test_the_plan_for_people(call: Call, tiny: str, rows: str, tmp_path: Path) -> None:
    filters = ("--set", "data.min_tokens=15", "--set", "lora={rank: 2, alpha: 4}")
    code, out, err = call(
        "train", "--recipe", tiny, "--data", rows, "--dry-run", "--out", str(tmp_path / "o"), *filters
    )
    assert (code, err) == (0, "")
    assert tuple(line.split()[0] for line in out.splitlines()) == PARTS
    assert "kept 7 of 12 rows: 5 shorter than 15 tokens; 7 rows to train on" in out
    assert "of them in answer windows (step 0)" in out
    assert "lora " in out
    assert str(tmp_path / "o" / "final") in out
    assert not (tmp_path / "o").exists()


def test_the_plan_as_json_is_exact(call: Call, tiny: str, rows: str) -> None:
    command = ("train", "--recipe", tiny, "--data", rows, "--dry-run", "--json", "--set", "steps=6")
    code, out, err = call(*command)
    assert (code, err, out.count("\n")) == (0, "", 1)
    plan = json.loads(out)
    from dlmsample.train.config import load
    from dlmsample.train.model import build_module

    total = sum(p.numel() for p in build_module(load(tiny)).parameters())
    assert plan["trains"] == {"trainable": total, "total": total, "parts": {"backbone": total}}
    assert (plan["data"]["rows"], plan["data"]["tokens_dropped"], plan["epochs"]) == (12, 0, 4.0)
    assert plan["data"]["tokens_kept"] == sum(len(f"Q: {i} + {i}?\nA:{2 * i}") + 1 for i in range(12))
    assert plan["batch"]["rows_per_micro_batch"] == 4
    memory = plan["memory"]
    parts = ("weights", "gradients", "optimiser", "activations", "logits")
    assert memory["total"] == pytest.approx(sum(memory[p] for p in parts), abs=0.02)
    task = json.loads(call("train", "--recipe", tiny, "--dry-run", "--json").out)
    assert task["data"]["task"] == "tests.train.standin:problem"
    assert task["epochs"] is None


LLADA: dict[str, Any] = {
    "model": {
        "type": "llama",
        "init": "example-org/not-on-this-machine",
        "dtype": "bfloat16",
        "shape": {
            "vocab_size": 126464,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "intermediate_size": 12288,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": False,
            "pad_token_id": 126081,
        },
        "geometry": {"mask_id": 126336, "eos_ids": [126081], "block_length": 32, "attention": "bidirectional"},
    },
    "objective": {"name": "mdm"},
    "lora": {"rank": 64, "alpha": 64, "targets": ["q_proj", "k_proj", "v_proj"]},
    "steps": 500,
    "batch_size": 4,
    "lr": 1e-4,
    "precision": "bf16",
}


def test_a_large_model_is_counted_without_its_weights(
    call: Call, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paper's 50.3 M: 64 * (4096 + 4096) * 3 * 32 (arXiv:2606.01026)."""
    path = tmp_path / "large.yaml"
    path.write_text(yaml.safe_dump({**LLADA, "data": {"hub": "org/set"}}))
    text = call("train", "--recipe", str(path), "--dry-run").out
    assert "50,331,648 of 8,065,912,832 parameters" in text
    assert "org/set, split train: read when the training starts" in text
    assert "upper bound" in text
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    code, out, _ = call("train", "--recipe", str(path), "--data", rows, "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["data"]["said"][0].startswith("not read: cannot get the tokenizer of example-org")
    assert plan["memory"]["weights"] == pytest.approx((8_015_581_184 * 2 + 50_331_648 * 4) / 4 / 2**30, abs=1e-3)


def test_list(call: Call) -> None:
    code, out, err = call("train", "--list", "--json")
    recipes = {row["name"]: row["summary"] for row in json.loads(out)}
    assert (code, err) == (0, "")
    assert "nano" in recipes
    assert all(recipes.values())
    assert "nano" in call("train", "--list").out


def test_help_is_light_and_has_examples() -> None:
    heavy = ("torch", "transformers", "tokenizers", "peft", "numpy", "yaml")
    code = "import sys; from dlmsample.cli.main import run; run(['train', '--help']); "
    code += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.endswith("[]\n")
    assert "dlmsample train --recipe nano_scope --out runs/scope" in done.stdout


def test_mistakes_in_the_data_are_told_line_by_line(call: Call, tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\nno\n{"prompt": "\x1b[2J"}\n' + "3\n" * 20)
    for last in (("--out", str(tmp_path / "out")), ("--dry-run",)):
        code, out, err = call("train", "--recipe", tiny, "--data", str(path), *last)
        told = err.splitlines()
        assert (code, out, len(told)) == (2, "", 11)
        assert told[0].startswith(f"{path}:2: not JSON")
        assert told[-1] == "dlmsample: 22 mistakes in the data (10 shown): nothing was trained"
        assert "\x1b" not in err
    assert not list((tmp_path / "out").iterdir())


#: words after ``train`` ("@" stands for the tiny recipe), and what the line must hold
MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": ((), "--recipe NAME"),
    "no data": (("--objective", "mdm"), "give --data"),
    "no folder": (("--recipe", "@"), "give --out DIR"),
    "recipe": (("--recipe", "nanoo", "--dry-run"), "did you mean 'nano'?"),
    "objective": (("--recipe", "@", "--objective", "mdn", "--dry-run"), "did you mean 'mdm'"),
    "task": (("--recipe", "@", "--data", "wordproblem", "--dry-run"), "did you mean 'wordproblems'"),
    "file": (("--recipe", "@", "--data", "none.jsonl", "--dry-run"), "no file or folder none.jsonl"),
    "hub": (("--recipe", "@", "--data", "org/set", "--dry-run"), "data.hub=org/name"),
    "format": (("--recipe", "@", "--data", "/dev/null", "--dry-run"), "data.format=jsonl"),
    "setting": (("--recipe", "@", "--set", "lrr=1", "--dry-run"), "did you mean 'lr'"),
    "setting without =": (("--recipe", "@", "--set", "lr", "--dry-run"), "key=value"),
    "setting no YAML": (("--recipe", "@", "--set", "lr=[1", "--dry-run"), "quotes"),
    "data option": (
        ("--recipe", "@", "--set", "data.pakc=1", "--dry-run"),
        "option of data 'pakc'; did you mean 'pack'",
    ),
    "task and data": (("--recipe", "@", "--set", "data={path: x.txt}", "--dry-run"), "give either 'task'"),
    "json": (("--recipe", "@", "--json"), "--json is for --dry-run"),
    "minutes": (("--recipe", "@", "--max-minutes", "0"), "more than 0"),
    "stop": (("--recipe", "@", "--stop-at", "0"), "'--stop-at'"),
    "option": (("--recipee", "@"), "did you mean '--recipe'"),
    "folder": (("--recipe", "@", "--out", "/dev/null/x"), "name another folder"),
    "head": (("--objective", "fca", "--model", "org/none", "--data", "wordproblems", "--dry-run"), "set head.width"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_with_the_remedy(case: str, call: Call, tiny: str) -> None:
    words, remedy = MISTAKES[case]
    is_mistake(call("train", *(tiny if word == "@" else word for word in words)), remedy)


def test_only_the_first_process_tells_a_mistake(call: Call, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert call("train", "--recipe", tiny, "--data", "/dev/null", "--set", "data.format=text", "--dry-run") == (
        2,
        "",
        "",
    )


def test_the_module_takes_the_same_options(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert main(["--recipe", tiny, *SHORT, "--out", str(one)]) == 0
    assert main([tiny, "steps=3", "checkpoint_every=1", "--out", str(other), "log_every=1"]) == 0
    assert same(one, other)
    assert main(["export", str(one / "checkpoint-2"), str(tmp_path / "two")]) == 0
    assert json.loads((tmp_path / "two" / "training.json").read_text())["step"] == 2
    capsys.readouterr()
    assert main(["export", str(one)]) == 2
    assert capsys.readouterr().err == (
        "dlmsample: export takes CHECKPOINT and OUT: python -m dlmsample.train export CHECKPOINT OUT\n"
    )


def test_interrupt_says_where_the_run_goes_on(tiny: str, rows: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dlmsample", "train", "--recipe", tiny, "--data", rows, "--out", str(out)]
    command += ["--set", "steps=100000", "--set", "checkpoint_every=5", "--set", "log_every=1"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None and not (out / "checkpoint-10").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    last = err.decode().splitlines()[-1]
    assert last.startswith("dlmsample: interrupted; the same command goes on from checkpoint-")
    assert b"Traceback" not in err


def test_a_block_causal_model_with_shifted_logits_is_refused_before_anything_starts(call: Call, tmp_path: Path) -> None:
    folder, out = tmp_path / "shifted", tmp_path / "out"
    nano = folder_of("nano")
    shutil.copytree(nano, folder, ignore=shutil.ignore_patterns("adapters", "heads", "*.py", "__pycache__"))
    config = json.loads((folder / "config.json").read_text())
    config["dlmsample"]["logit_shift"] = True
    (folder / "config.json").write_text(json.dumps(config))
    for more in (["--dry-run"], []):
        words = [
            "train",
            "--objective",
            "mdm",
            "--model",
            str(folder),
            "--data",
            "wordproblems",
            "--out",
            str(out),
            *more,
        ]
        is_mistake(call(*words), str(folder), "logit_shift", "cannot be trained")
        assert not out.exists()
