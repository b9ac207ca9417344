"""The grid file: what expands, what is refused and where, and what a cell's hash depends on."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from dlmsample.ablate.spec import identity
from dlmsample.ablate.spec.cells import ResolvedGrid, choices, idle_seeds, resolve
from dlmsample.ablate.spec.grid import Grid, GridError, parse, read, validate
from dlmsample.policies.zoo import frequencies
from dlmsample.support.yamlfile import Marks, load
from tests.ablate import toys

EXAMPLES = Path(__file__).parents[3] / "examples"
HEAD = "name: g\ntasks: [{name: wordproblems, limit: 2}]\ncheckpoints: [{model: nano}]\n"


def planned(data: dict[str, Any], device: str | None = None) -> ResolvedGrid:
    return resolve(validate(data, Marks()), device=device)


def keys(data: dict[str, Any], device: str | None = None) -> list[str]:
    return [cell.key for cell in planned(data, device).cells]


def test_the_sweep_has_109_cells() -> None:
    grid, marks = read(EXAMPLES / "t2m_sweep.yaml")
    layout = resolve(grid, marks)
    assert len(layout.cells) == 109
    assert len({(c.policy, tuple(c.options.items())) for c in layout.cells}) == 109
    assert len({c.policy for c in layout.cells}) == 109
    assert sum(c.policy_name == "t2t" for c in layout.cells) == 1


def test_the_demo_grid_is_sound() -> None:
    assert [c.policy for c in resolve(*read(EXAMPLES / "demo_grid.yaml")).cells] == [
        "unmask(tokens_per_step=1)",
        "unmask(tokens_per_step=4)",
        "t2t",
        "t2m(threshold=0.1)",
        "t2m(threshold=0.3)",
        "d3im(steps=24, block_length=all)",
        "d3im(steps=48, block_length=all)",
    ]


def test_lists_expand_and_entries_carry_settings() -> None:
    text = HEAD + (
        "policies:\n- {policy: t2m, threshold: [0.1, 0.3], block_length: [32, all], temperature: 0.5}\n"
        "- {policy: unmask, max_new_tokens: 24}\nseeds: [0, 7]\nblock_length: 16\n"
    )
    found = resolve(parse(text)).cells
    assert len(found) == 10
    first = found[0]
    assert first.policy == "t2m(threshold=0.1, block_length=32, temperature=0.5)"
    assert (first.settings.block_length, first.settings.temperature, first.settings.max_new_tokens) == (32, 0.5, 160)
    assert (found[1].seed, found[2].settings.block_length) == (7, "all")
    assert (found[-1].settings.block_length, found[-1].settings.max_new_tokens) == (16, 24)


def test_equal_cells_are_one() -> None:
    text = HEAD + "policies: [{policy: t2m}, {policy: t2m, detector: low_prob}, {policy: t2m, max_remasks: [1, 2]}]"
    assert [c.policy for c in resolve(parse(text)).cells] == ["t2m", "t2m(max_remasks=2)"]


def test_policies_may_name_their_checkpoints_and_tasks(tiny_folder: Path) -> None:
    data = toys.grid(tiny_folder)
    data["checkpoints"].append({"model": "nano"})
    data["policies"] = [{"policy": "unmask"}, {"policy": "t2t", "checkpoints": ["tiny"], "tasks": ["wordproblems"]}]
    data["tasks"].append({"name": "wordproblems", "limit": 1})
    found = [(c.task.label, c.checkpoint.label, c.policy) for c in planned(data).cells]
    assert len(found) == 5
    assert [f for f in found if f[2] == "t2t"] == [("wordproblems", "tiny", "t2t")]


MISTAKES = {
    "key": ("polices: []", 4, "did you mean 'policies'"),
    "task key": ("tasks: [{name: wordproblems, limt: 3}]", 2, "did you mean 'limit'"),
    "checkpoint key": ("checkpoints:\n- model: nano\n  adaptor: x", 5, "did you mean 'adapter'"),
    "policy option": ("policies:\n- policy: t2m\n  treshold: 0.1", 6, "did you mean 'threshold'"),
    "policy setting": ("policies: [{policy: t2t, blok_length: 8}]", 4, "did you mean 'block_length'"),
    "policy": ("policies:\n- policy: t2mm", 5, "did you mean 't2m'"),
    "policy value": (
        "policies:\n- policy: t2m\n  threshold:\n  - 0.1\n  - 1.5",
        6,
        "t2m: threshold must be <= 1 (got 1.5)",
    ),
    "file": ("policies:\n- policy: mine.yaml", 5, "unknown policy 'mine.yaml': files are read by"),
    "auto": ("policies:\n- policy: auto", 5, "name a policy here"),
    "task": ("tasks:\n- name: wordproblem", 3, "did you mean 'wordproblems'"),
    "task option": ("tasks:\n- name: wordproblems\n  options: {max_stps: 3}", 3, "did you mean 'max_steps'"),
    "split": ("tasks: [{name: wordproblems, split: tset}]", 2, "unknown split 'tset'"),
    "model": ("checkpoints:\n- model: nan", 4, "did you mean 'nano'"),
    "adapter": ("checkpoints:\n- {model: nano, adapter: nosuch}", 4, "adapter"),
    "dtype": ("checkpoints:\n- {model: nano, dtype: auto}", 4, "another machine"),
    "no head": ("policies: [{policy: unmask},\n  {policy: dsc}]", 5, "correction head"),
    "label": ("policies: [{policy: unmask, checkpoints: [nanno]}]", 4, "did you mean 'nano'"),
    "twice": ("seeds: [1]\nseeds: [2]", 6, "'seeds' is given twice"),
    "same checkpoint": ("checkpoints: [{model: nano}, {model: nano}]", None, "another name"),
    "seed": ("seeds: [0, true]", 5, "seeds[1]"),
    "large seed": ("seeds:\n- 99999999999999999999", 6, "seeds[0]"),
    "infinite": ("temperature: .inf", 5, "temperature must be a finite number (got inf)"),
    "infinite option": ("policies:\n- policy: t2m\n  threshold: .inf", 6, "threshold must be a finite number"),
    "bool": ("top_p: true", 5, "top_p must be a number"),
    "bool option": ("policies:\n- policy: t2m\n  threshold: true", 6, "threshold must not be True"),
    "piece": ("policies:\n- policy: chain\n  fill:\n    rule: qouta", 7, "chain: fill: unknown fill rule 'qouta'"),
    "option of a piece": (
        "policies:\n- policy: chain\n  fill:\n    rule: quota\n    tokens_per_step: 0",
        8,
        "chain: fill: tokens_per_step of quota must be >= 1 (got 0)",
    ),
    "unknown option of a piece": (
        "policies:\n- policy: chain\n  fill:\n    rule: quota\n    tokens: 2",
        8,
        "chain: fill: unknown option of fill rule quota 'tokens'",
    ),
    "option of a piece in a piece": (
        "policies:\n- policy: chain\n  fill: quota\n  edit:\n    rule: remask\n    detector:\n"
        "      rule: low_prob\n      threshold: 3",
        11,
        "chain: edit: detector of remask: threshold of low_prob must be <= 1 (got 3)",
    ),
    "no value": ("policies:\n- policy: t2m\n  threshold: []", 6, "threshold is an empty list"),
    "no label": ("policies:\n- policy: t2m\n  tasks: []", 6, "tasks is an empty list"),
    "tokens": ("max_new_tokens: 0", 5, "max_new_tokens"),
    "block": ("block_length: every", 5, '"all"'),
    "permission": (
        "tasks:\n- name: mbpp\n  options: {allow_code_execution: true}",
        4,
        "--allow-code-execution on the command line",
    ),
    "no YAML": ("x: [", 5, "not YAML"),
    "no mapping": (None, 1, "keys and values"),
}


def test_all_mistakes_are_told_at_once() -> None:
    wrong = (
        "name: g\ntasks:\n- name: wordproblem\n- {name: wordproblems, split: tset}\ncheckpoints:\n- model: nanoo\n"
        "policies:\n- {policy: t2m, treshold: 0.1, max_remasks: [1, -1, -1], tasks: [x]}\n- policy: t2mm\n- policy: dsc"
    )
    with pytest.raises(GridError) as caught:
        resolve(*_read(wrong))
    said = [(int(line.split(":")[1]), line.split(": ", 1)[1][:20]) for line in str(caught.value).split("; also ")]
    assert said == [
        (3, "unknown task 'wordpr"),
        (4, "unknown split 'tset'"),
        (6, "unknown model 'nanoo"),
        (8, "unknown task label '"),
        (8, "unknown option of po"),
        (8, "t2m: max_remasks mus"),
        (9, "unknown policy 't2mm"),
        (10, "dsc reads a correcti"),
    ]
    with pytest.raises(GridError) as caught:
        parse("name: g\ntask: []\nseeds: [x]\ntemperature: -1\n")
    assert [line.split(": ")[0] for line in str(caught.value).split("; also ")] == [
        *("grid:2", "grid:3", "grid:4"),
        *("grid:1", "grid:1"),
    ]


def _read(text: str) -> Any:
    data, marks = load(text, "g.yaml")
    return validate(data, marks), marks


def test_seeds_that_decide_nothing_are_told() -> None:
    head = "{name: g, tasks: [{name: sudoku}], checkpoints: [{model: nano}], seeds: [0, 1, 2], policies: ["

    def said(policies: str, more: str = "") -> str | None:
        grid = parse(f"{head}{policies}]{more}}}")
        return idle_seeds(grid, choices(grid, Marks()))

    assert "every policy" in (said("{policy: t2m}, {policy: unmask, steps: [8, 16]}") or "")
    assert "2 of 3 policies" in (said("{policy: t2m, temperature: [0, 1]}, {policy: t2t}") or "")
    assert said("{policy: t2m}", ", temperature: 1") is None
    assert said("{policy: unmask, score: random}, {policy: remdm}, {policy: tolerator}") is None
    assert said("{policy: chain, fill: quota, edit: {rule: remask, detector: random}}") is None


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_line(case: str, tmp_path: Path) -> None:
    text, line, said = MISTAKES[case]
    base = {
        "name": "name: g",
        "tasks": "tasks: [{name: wordproblems, limit: 2}]",
        "checkpoints": "checkpoints: [{model: nano}]",
        "policies": "policies: [{policy: unmask}]",
    }
    extra = []
    if text is not None:
        key = text.split(":")[0]
        if key in base:
            base[key] = text
        else:
            extra = [text]
            if key == "polices":
                del base["policies"]
    path = tmp_path / "g.yaml"
    path.write_text("\n".join([*base.values(), *extra]) if text is not None else "- 1\n")
    with pytest.raises(GridError, match=r"^[^\n]+$") as caught:
        resolve(*read(path))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("1E-4", 1e-4), ("1.5e3", 1500.0), ("+2e1", 20.0), (".5e1", 5.0), ("2", 2.0)]
)
def test_a_number_is_a_number_wherever_it_stands(text: str, value: float) -> None:
    """YAML 1.1 takes 1e-4 for a text; recipes, options and settings all read it as the number it is."""
    grid = parse(f"{HEAD}temperature: {text}\npolicies: [{{policy: t2m, temperature: {text}}}]")
    assert (grid.temperature, resolve(grid).cells[0].settings.temperature) == (value, value)
    assert parse(f"{HEAD}policies: [{{policy: '{text}'}}]").policies[0].policy == text


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="No such file"):
        read(tmp_path / "nowhere.yaml")


def test_what_matters_changes_the_key(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = keys(toys.grid(tiny_folder))
    assert len(set(base)) == 3
    changes: list[dict[str, Any]] = [
        {"seeds": [1]},
        {"max_new_tokens": 17},
        {"block_length": 4},
        {"top_p": 0.5},
        {"top_k": 4},
        {"tasks": [{"name": "wordproblems", "limit": 6}]},
        {"tasks": [{"name": "wordproblems", "limit": 6, "split": "valid", "options": {"max_steps": 5}}]},
        {"policies": [{"policy": "t2m", "temperature": 0.8}, {"policy": "t2t"}]},
        {"checkpoints": [{"model": str(tiny_folder), "dtype": "float64"}]},
        {"checkpoints": [{"model": "nano"}]},
    ]
    for change in changes:
        assert not set(keys(toys.grid(tiny_folder, **change))) & set(base), change
    assert not set(keys(toys.grid(tiny_folder), device="cuda")) & set(base)
    monkeypatch.setattr(identity, "SEMANTICS", -1)
    assert not set(keys(toys.grid(tiny_folder))) & set(base)
    monkeypatch.undo()
    monkeypatch.setattr(identity, "SCHEMA", -1)
    assert not set(keys(toys.grid(tiny_folder))) & set(base)


def test_what_does_not_matter_does_not(tiny_folder: Path, tmp_path: Path) -> None:
    base = keys(toys.grid(tiny_folder))
    moved = tmp_path / "elsewhere"
    shutil.copytree(tiny_folder, moved)
    (moved / "README.md").write_text("a card")
    options = {"max_steps": 5, "min_steps": 5, "seed": 0}
    for change in (
        {"name": "other"},
        {"batch_size": 5},
        {"baseline": "t2m"},
        {"tasks": [{"name": "wordproblems", "limit": 9, "split": "test", "options": options}]},
        {"checkpoints": [{"model": str(moved), "dtype": "float32", "device": "cpu"}]},
    ):
        assert keys(toys.grid(tiny_folder, **change)) == base, change
    assert keys(toys.grid(tiny_folder), device="cpu") == base


def test_a_changed_weight_or_tokenizer_changes_the_key(tiny_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    base = keys(toys.grid(copy))
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        before = (copy / name).read_bytes()
        (copy / name).write_bytes(before[:-2] + b" " + before[-2:])
        assert not set(keys(toys.grid(copy))) & set(base), name
        (copy / name).write_bytes(before)
    assert keys(toys.grid(copy)) == base


@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_a_policy_reads_counts_by_what_is_in_it(named: bool, tiny_folder: Path, tmp_path: Path) -> None:
    """Wherever it lies, and also where it is an option of a piece."""

    def of(path: Path, *texts: list[int]) -> list[str]:
        frequencies.write(path, texts)
        entry: dict[str, Any] = {"policy": "pc_sampler", "frequencies": str(path)}
        if not named:
            entry = {"policy": "chain", "fill": {"rule": "calibrated", "frequencies": str(path)}}
        return keys(toys.grid(tiny_folder, policies=[entry]))

    base = of(tmp_path / "a.json", [5, 6, 6])
    assert of(tmp_path / "b.json", [5, 6, 6]) == base
    assert not set(of(tmp_path / "a.json", [5, 5, 6])) & set(base)


def test_examples_have_an_identity() -> None:
    task = dlmsample.tasks.load("wordproblems", limit=2)
    one, other = (identity.of_example(e) for e in task)
    assert one != other
    assert identity.of_example(dataclasses.replace(task[0], answer="0")) != one
    assert isinstance(parse(HEAD + "policies: [{policy: unmask}]"), Grid)


def test_options_of_the_command_line_reach_the_tasks_that_know_them() -> None:
    text = (
        HEAD.replace("limit: 2}]", "limit: 2}, {name: mbpp, options: {timeout: 3.0}}]") + "policies: [{policy: unmask}]"
    )
    grid = parse(text).with_options({"data_dir": "/data", "allow_code_execution": True})
    assert grid.tasks[0].options == {}
    assert grid.tasks[1].options == {"data_dir": "/data", "allow_code_execution": True, "timeout": 3.0}
    assert grid.tasks[1].label == "mbpp(timeout=3.0)"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("examples/tales.yaml", "a recipe for training, no grid: dlmsample train --recipe"),
        ("dlmsample/recipes/nano_scope.yaml", "a recipe for training, no grid"),
        ("examples/papers_on_nano_claims.yaml", "a list of papers' claims, no grid: dlmsample report"),
    ],
)
def test_a_file_of_another_kind_is_told_as_such(file: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read(Path(__file__).parents[3] / file)
    assert len(str(caught.value).splitlines()) == 1
