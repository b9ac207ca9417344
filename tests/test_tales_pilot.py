"""benchmarks/tales/pilot.py and fluency.py: figures against plain loops, the whole on nano, and the script's stages."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

import dlmsample as ds
from benchmarks.tales import fluency, pilot, rows
from dlmsample.diagnose.examples import encode

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tales" / "run.sh"
TEXTS = ["Tom had 3 red pens and got 4 more.", "Ann sold 12 eggs. She had 5 left in a box.", "A cat slept."]
HELD = [
    {"prompt": "Tom had 3 pens.", "answer": " He got 4 more. So Tom has 7 pens."},
    {"text": "A whole text has no prompt."},
    {"prompt": "Ann had 12 boxes of pens.", "answer": " She sold 5 boxes. Then she had 7 boxes and a car."},
    {"prompt": "A.", "answer": " B."},
]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path / "teacher"
    rows.learn(TEXTS * 5, 300, folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, bos_token_id=1
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def held(tmp_path: Path) -> Path:
    path = tmp_path / "held.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in HELD), encoding="utf-8")
    return path


@pytest.mark.parametrize("size", [1, 2, 8])
def test_perplexity_is_that_of_one_text_after_the_other(teacher: Path, size: int) -> None:
    judge = fluency.Judge(teacher, "cpu", size)
    beginnings, texts = [row["prompt"] for row in HELD if "prompt" in row], TEXTS
    lost, count = 0.0, 0
    for one, two in zip(beginnings, texts, strict=True):
        first, ids = judge.tokenizer.encode(one), judge.tokenizer.encode(one) + judge.tokenizer.encode(two)
        with torch.no_grad():
            found = judge.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        for at in range(len(first), len(ids)):
            lost, count = lost - float(found[at - 1, ids[at]]), count + 1
    assert judge.perplexity(beginnings, texts) == pytest.approx(math.exp(lost / count), rel=1e-5)
    assert judge.perplexity(beginnings, ["", "", ""]) is None


def test_variety() -> None:
    found = fluency.variety(["a b c a b c a b c", "A b c d"])
    assert found == {"distinct_1": 4 / 13, "distinct_2": 4 / 11, "distinct_3": 4 / 9, "repeated_4": 3 / 7}
    assert fluency.variety([""]) == {"distinct_1": 0, "distinct_2": 0, "distinct_3": 0, "repeated_4": 0}


def test_whole_blocks_at_once_are_one_forward() -> None:
    model = ds.load("nano")
    golds = encode(model, list(ds.tasks.load("wordproblems", "valid", 3)))
    single = pilot.infill(model, golds, 0.5, 1)
    assert single["masked"]
    for size in (2, 3):
        whole = pilot.stepped(model, golds, 0.5, model.block_length, size)
        assert whole["accuracy"] == pytest.approx(single["accuracy"])
        assert pilot.infill(model, golds, 0.5, size) == single
    assert pilot.stepped(model, golds, 0.5, 1, 3)["accuracy"] >= single["accuracy"]


def test_a_pilot_of_nano(teacher: Path, held: Path, tmp_path: Path) -> None:
    path = tmp_path / "out" / "pilot.json"
    common = ["nano", "--held", str(held), "--teacher", str(teacher), "--device", "cpu", "--json", str(path)]
    pilot.main([*common, "--texts", "2", "--new", "16", "--batch-size", "2", "--policy", "unmask:tokens_per_step=8"])
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert record["rows"] == 3
    assert [one["mask_rate"] for one in record["infill"]] == [*pilot.RATES]
    assert [one["tokens_per_step"] for one in record["steps"]] == [*pilot.COMMITS]
    assert record["worth"].keys() == {"errs", "keeps", "pays"}
    assert record["stress"]["kept"]["total"] + record["stress"]["wrong"]["count"] == record["stress"]["wrong"]["total"]
    gold, decoded = record["texts"]
    assert gold["policy"] == "held-out text"
    assert decoded["nfe"] <= 4
    assert decoded["perplexity"] is None or decoded["perplexity"] > 1


def test_the_script_says_what_its_stages_are() -> None:
    said = SCRIPT.read_text(encoding="utf-8")
    stages = {*re.findall(r"run\.sh (\w+) +OUT", said)}
    assert stages == {"teacher", "sample", "texts", "rows", "train", "pilot", "dry"}
    assert stages <= {*re.findall(r"^(\w+)\(\) \{", said, re.MULTILINE)}
    if bash := shutil.which("bash"):
        subprocess.run([bash, "-n", str(SCRIPT)], check=True)
