"""The ablations of training: recipes that differ in the objective alone, and their comparison with what is shipped."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import trained
from dlmsample.train.config import load, recipe_data

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "benchmarks" / "ablations").glob("*.yaml"))
SEEDS = sorted((ROOT / "benchmarks" / "seeds").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_ablation_differs_from_its_recipe_in_the_objective_alone(path: Path) -> None:
    base = re.search(r"^extends: (\w+)$", path.read_text(encoding="utf-8"), re.M)
    assert base is not None
    ours, shipped = load(str(path)).identity(), load(base[1]).identity()
    assert ours.pop("objective") != shipped.pop("objective")
    assert ours == shipped


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_a_seed_differs_from_its_member_in_the_seed_alone(path: Path) -> None:
    member, seed = path.stem.split("_seed")
    ours, shipped = load(str(path)).identity(), load(f"nano_{member}").identity()
    assert ours.pop("seed") == int(seed) != shipped.pop("seed")
    assert ours == shipped


def test_recipes_of_heads_and_joint_training_are_fcas() -> None:
    assert recipe_data("nano_prism")["objective"] == {"name": "fca", "options": {"artefacts": "prism"}}
    assert load("nano_remedi").identity() == load("nano_uniform").identity()
    joint, adapter = load("nano_joint"), load("nano_mdm")
    assert (joint.head, joint.lora) == (load("nano_fca").head, adapter.lora)


def test_every_ablation_is_measured_under_its_own_sampler() -> None:
    found = {variant.name: variant for variant in trained.variants()}
    assert found.keys() == {path.stem for path in FILES + SEEDS} | {
        "nano_prism",
        "nano_uniform",
        "nano_joint",
        "nano_proseco",
        "nano_copying",
        "nano_masks",
    }
    for path in FILES + SEEDS:
        if path.stem.startswith("mdm"):  # a control of SCOPE
            continue
        sample = load(str(path)).sample
        assert sample is not None
        assert found[path.stem].policies[0].startswith(sample.policy)


def test_comparisons_are_with_the_member_under_the_same_policy() -> None:
    right = np.random.default_rng(0).random((2, 200)) < [[0.5], [0.9]]

    def cell(label: str, policy: str, answers: Any) -> dict[str, Any]:
        packed = np.packbits(answers).tobytes().hex()
        return {"checkpoint": label, "policy": policy, "nfe": 9.0, "correct": packed}

    one, two = trained.WHOLE[:2]
    cells = [cell("scope_t0", one, right[1]), cell("scope", one, right[0]), cell("scope_t0", two, right[1])]
    (found,) = trained.comparisons(cells, 200)
    assert (found["variant"], found["member"], found["policy"]) == ("scope_t0", "scope", one)
    assert found["low"] > 0
    assert found["points"] == pytest.approx(100 * (right[1].mean() - right[0].mean()), abs=0.06)


def test_parts_are_put_together_and_a_new_measurement_replaces_an_old_one(tmp_path: Path) -> None:
    facts = {"split": "test", "problems": 8, "device": "one", "torch": "2"}

    def part(name: str, labels: str, **other: Any) -> Path:
        cells = [
            {"checkpoint": c, "policy": trained.WHOLE[0], "nfe": 1.0, "correct": f"{n:02x}"}
            for n, c in enumerate(labels)
        ]
        (tmp_path / name).write_text(json.dumps({**facts, **other, "cells": cells}), encoding="utf-8")
        return tmp_path / name

    files = [part("one", "ab"), part("two", "bc"), part("other", "d", torch="3"), tmp_path / "none"]
    found = trained.earlier(files, facts, {"c"})
    assert [(cell["checkpoint"], cell["correct"]) for cell in found] == [("a", "00"), ("b", "00")]


@pytest.mark.parametrize(("member", "taken"), [("0f", True), ("0e", False), (None, False)])
def test_another_device_counts_where_the_shipped_members_answer_alike(
    member: str | None, taken: bool, tmp_path: Path
) -> None:
    facts = {"split": "test", "problems": 8, "device": "one", "torch": "2"}
    policy = trained.WHOLE[0]

    def cell(label: str, correct: str) -> dict[str, Any]:
        return {"checkpoint": label, "policy": policy, "nfe": 1.0, "correct": correct}

    for name, device, cells in (
        ("here", "one", [cell("scope", "0f")]),
        ("there", "two", [cell("scope_t0", "33"), *([cell("scope", member)] if member else [])]),
    ):
        record = {**facts, "device": device, "cells": cells}
        (tmp_path / name).write_text(json.dumps(record), encoding="utf-8")
    found = trained.earlier([tmp_path / "here", tmp_path / "there"], facts, set())
    assert found[0] == cell("scope", "0f")
    assert found[1:] == ([{"device": "two", **cell("scope_t0", "33")}] if taken else [])


def test_files_are_merged_without_measuring(tmp_path: Path) -> None:
    record = json.loads((ROOT / "benchmarks" / "results" / "ablations.json").read_text(encoding="utf-8"))
    halves = [tmp_path / "one.json", tmp_path / "two.json"]
    for start, path in enumerate(halves):
        path.write_text(json.dumps({**record, "cells": record["cells"][start::2], "comparisons": []}), encoding="utf-8")
    trained.main(["--merge", "--json", str(tmp_path / "all.json"), "--also", str(halves[0]), "--also", str(halves[1])])
    merged = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert merged["torch"] == record["torch"]
    assert merged["comparisons"] == record["comparisons"]
    assert sorted(map(str, merged["cells"])) == sorted(map(str, record["cells"]))


def test_the_page_is_what_was_measured() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_ablations.py"))
    records = [json.loads(make[name].read_text(encoding="utf-8")) for name in ("FIGURES", "EARLIER")]
    assert make["PAGE"].read_text(encoding="utf-8") == make["page"](*records), "python docs/make_ablations.py"


def test_seeds_stand_beside_the_shipped_one() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_ablations.py"))
    policy = trained.DSC[0]
    cells = [
        {"checkpoint": name, "policy": policy, "accuracy": share}
        for name, share in (("base+fca", 0.5), ("fca_seed1", 0.25), ("fca_seed2", 0.125))
    ]
    said = [*make["_seeds"]({"cells": cells})]
    assert said[-1] == f"| `fca` | `{policy}` | 50.0 % | 25.0 % | 12.5 % |"
    assert len([line for line in said if "fca" in line]) == 1
