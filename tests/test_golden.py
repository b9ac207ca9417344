"""Golden outputs: what every policy decodes and every task accepts, so that no commit changes it unnoticed.

The files in ``tests/golden`` hold the number of semantics that they were made under
(``dlmsample.ablate.spec.identity``).
Outputs that changed while the number did not are a failure: finished ablation runs would be continued with other rules.
Where the change is meant: raise the number, then write the files anew with
``pytest tests/test_golden.py --update-golden``. New cases, policies and tasks are added by the same command and need no
new number; outputs that changed under the same number are never overwritten. What nano decodes may change with nano's
weights, whose hash stands in the file: a cell of an ablation names its checkpoint by that hash, not by the number.

Most cases run on a scripted model, whose logits are multiples of 1/40 computed from integers, so that no other version
of torch flips a choice; a few run on nano in float32.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.ablate.spec.identity import SEMANTICS, digest, of_files
from dlmsample.models.embedded import folder_of
from dlmsample.tasks import Example, list_tasks, load
from dlmsample.tasks.math500 import final_expression
from dlmsample.tasks.programs import ProgramTask
from tests.conftest import ZOO
from tests.test_protocol import VARIANTS
from tests.toys import scripted_model

FOLDER = Path(__file__).parent / "golden"
Outputs = dict[str, list[str]]  #: case -> a line a row

PROMPTS = [[7, 9, 3], [5] * 11, [8]]
SETTINGS: dict[str, dict[str, Any]] = {
    "blocks": {},
    "one block": {"block_length": "all"},
    "temperature 0.8": {"temperature": 0.8},
    "one block, temperature 1.5, top-p 0.9, top-k 5": {
        **{"block_length": "all", "temperature": 1.5, "top_p": 0.9, "top_k": 5}
    },
}
QUESTIONS = [
    "Ann has 3 pens. She buys 4 more. How many pens does she have?",
    "Tom reads 5 pages a day. How many pages in 6 days?",
]
TEMPLATE = "Ann has 3 pens. She buys [MASK] more. Now she has [MASK] pens."


def scrambled(ids: Tensor, positions: Tensor) -> Tensor:
    """Logits between 0 and 25 that depend on the whole canvas: some choices are sure and some are not."""
    mix = ((ids * (positions + 3)).sum(-1, keepdim=True) + 7 * positions)[..., None] + 13 * torch.arange(16)
    return ((mix * 2654435761 % 1000) / 40.0).float()


def rows(out: Any) -> list[str]:
    """A line a row: its tokens, its counts and how it ended."""
    names = ("steps", "nfe", "prefill", "fills", "replaces", "remasks", "forced")
    return [
        f"{' '.join(map(str, tokens))} | {' '.join(f'{name} {int(getattr(stats, name))}' for name in names)} "
        f"{stats.finish_reason}"
        for tokens, stats in zip(out.tokens, out.stats, strict=True)
    ]


def decoded(name: str, on_nano: bool = True) -> Outputs:
    """What a policy decodes, on nano too or on the scripted model alone."""
    found: Outputs = {}
    for options in VARIANTS[name]:
        for setting, given in SETTINGS.items():
            sampler = ds.Sampler(scripted_model(scrambled), ds.policy(name, **options), **given)
            found[f"scripted, {options}, {setting}"] = rows(sampler.generate(PROMPTS, max_new_tokens=19, seed=3))
    if not on_nano:
        return found
    options = VARIANTS[name][0]
    nano = ds.load("nano")
    for setting, given in list(SETTINGS.items())[:3]:
        sampler = ds.Sampler(nano, ds.policy(name, **options), **given)
        found[f"nano, {options}, {setting}"] = rows(sampler.generate(QUESTIONS, max_new_tokens=32, seed=0))
    found[f"nano, {options}, fill"] = rows(ds.Sampler(nano, ds.policy(name, **options)).fill([TEMPLATE], seed=0))
    if name == "dsc":
        sampler = ds.Sampler(ds.load("nano", head="fca"), ds.DSC())
        found["nano/fca, {}, blocks"] = rows(sampler.generate(QUESTIONS, max_new_tokens=32, seed=0))
    return found


@cache
def weights_of_nano() -> str:
    """Of the base and of the head that the cases use."""
    folders = (folder_of("nano"), folder_of("nano") / "heads" / "fca")
    return digest([of_files(folder)["model.safetensors"] for folder in folders])[:16]


CHAINS = ["{reference}", "#### {answer}", "The answer is {answer}.", "{answer}", "#### {answer}1", "12 + 3 = 15"]
#: Task -> the file that holds an example in its published format, and what stands in it.
FILES: dict[str, tuple[str, str]] = {
    "cmath": ("cmath_dev.jsonl", '{"input": "几分之几？", "golden": "2/6", "grade": 1}\n'),
    "countdown": ("countdown_cd3_test.jsonl", '{"input": "30,100,93", "output": "23"}\n'),
    "gsm8k": ("test.jsonl", '{"question": "2 * 9?", "answer": "2 * 9 = <<2*9=18>>18\\n#### 18"}\n'),
    "humaneval": (
        "HumanEval.jsonl",
        json.dumps(
            {
                "task_id": "Mini/0",
                "prompt": 'import math\n\n\ndef twice(x):\n    """ Twice x. """\n',
                "entry_point": "twice",
                "canonical_solution": "    return 2 * x\n",
                "test": "\n\ndef check(candidate):\n    assert candidate(3) == 6\n",
            }
        ),
    ),
    "math500": (
        "test.jsonl",
        '{"problem": "Half?", "solution": "\\\\boxed{\\\\frac{1}{2}}", "answer": "\\\\frac{1}{2}", "level": 1}\n',
    ),
    "mbpp": (
        "mbpp.jsonl",
        '{"task_id": 11, "text": "Double.", "code": "def twice(x):\\n    return 2 * x", "test_setup_code": "", '
        '"test_list": ["assert twice(2) == 4"]}\n',
    ),
    "piqa": ("valid.jsonl", '{"goal": "Make a pillow.", "sol1": "Use a tin can.", "sol2": "Use a bag.", "label": 1}\n'),
    "sudoku": ("4x4_test_sudoku.csv", "Puzzle,Solution\n3102200002100320,3142243142131324\n"),
    "triviaqa": ("test.jsonl", '{"id": "t", "question": "Who?", "golden_answers": ["Mark Twain", "Twain, Mark"]}\n'),
}
TEXTS: dict[str, list[str]] = {
    "cmath": ["答案是$\\frac{2}{6}$", "答案是6分之2", "答：0.334，共1本", "答案是1/0。", "9页，8页"],
    "countdown": [
        "\\boxed{30 - (100 - 93)}",
        "<answer>30+93-100</answer>",
        "\\boxed{23}",
        "\\boxed{93 - 70}",
        "30 + 93",
    ],
    "gsm8k": [
        "\\boxed{18}",
        "#### 18",
        "it is $18.00.",
        "<answer>\n\\boxed{18}\n</answer>",
        "\\boxed{17} or 18",
        "180",
    ],
    "humaneval": [
        "```python\ndef twice(x):\n    return 2 * x\n```",
        "return x + x\n\nprint(twice(2))",
        "Sure:\n```\ny = 1\n```\n```\ndef twice(x):\n    return 6\n```",
        "I cannot.",
    ],
    "math500": ["\\boxed{0.5}", "<answer>\\frac{2}{4}</answer>", "it is $\\frac{1}{2}$.", "\\boxed{2}", "half"],
    "mbpp": [
        "[BEGIN]\ndef twice(x):\n    return 2 * x\n[DONE]",
        "```\ndef twice(x):\n    return x\n```",
        "No.\n[DONE] x",
    ],
    "piqa": ["B", "(A) Use it", "Answer: B. Use a bag.", "<answer>A</answer>", "not (A)", "use a bag", "C", "Neither"],
    "sudoku": ["3142243142131324", "<answer>\n3 1 4 2\n2 4 3 1\n4 2 1 3\n1 3 2 4\n</answer>", "4" * 16, "31422431"],
    "triviaqa": ["The answer is Mark Twain.", "A: mark  twain", "\\boxed{Twain, Mark}", "the author Mark Twain", "Sam"],
    "wordproblems": CHAINS,
    "wordproblems.free": CHAINS,
    "wordproblems.plain": CHAINS,
    "wordproblems.short": CHAINS,
}


def judged(name: str, folder: Path) -> Outputs:
    """What a task makes of texts: what it found in them, and its verdict (for programs: what would be run)."""
    if name in FILES:
        file, content = FILES[name]
        (folder / file).write_text(content, encoding="utf-8")
    task = load(name, limit=1, **({"data_dir": folder} if name in FILES else {}))
    example = task[0]
    return {f"{text!r}": [_verdict(task, example, text)] for text in (*TEXTS[name], "", "I do not know")}


def _verdict(task: Any, example: Example, text: str) -> str:
    text = text.replace("{reference}", example.reference).replace("{answer}", example.answer)
    if isinstance(task, ProgramTask):
        return repr(task.trial(example, text))
    if task.name == "math500" and importlib.util.find_spec("math_verify") is None:
        return f"{final_expression(text)!r} "
    score = task.score(example, text)
    return f"{score.extracted!r} {'right' if score.correct else 'wrong'}"


def complaint(held: dict[str, Any], found: Outputs, number: int) -> str | None:
    """What is wrong with the outputs of now; None: nothing.

    Args:
        held: a golden file: ``semantics`` and ``outputs``.
        found: the outputs of now.
        number: the number of semantics of now.
    """
    if held["semantics"] != number:
        return f"SEMANTICS is {number} and the golden file is of {held['semantics']}: run with --update-golden"
    for case, lines in held["outputs"].items():
        if found.get(case) != lines:
            return (
                f"case {case} gave {lines} and gives {found.get(case)}: if that is meant, raise SEMANTICS in "
                "dlmsample/ablate/spec/identity.py and run with --update-golden"
            )
    if new := found.keys() - held["outputs"].keys():
        return f"cases {sorted(new)} have no golden output: run with --update-golden"
    return None


def compare(path: Path, found: Outputs, update: bool, part: str = "", weights: str | None = None) -> None:
    """Compare outputs with a golden file, or write it: never over outputs that changed under the same number.

    Args:
        path: the golden file.
        found: the outputs of now.
        update: write it.
        part: compare only the cases whose names begin like this.
        weights: hash of what the cases that begin with "nano" were decoded by.
    """
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"semantics": SEMANTICS, "outputs": {}}
    if held.get("weights") != weights:
        assert update or part, "nano has other weights than those of the golden file: run with --update-golden"
        held["outputs"] = {case: lines for case, lines in held["outputs"].items() if not case.startswith("nano")}
    held["outputs"] = {case: lines for case, lines in held["outputs"].items() if case.startswith(part)}
    if update:
        if held["semantics"] == SEMANTICS:
            common = {case: lines for case, lines in found.items() if case in held["outputs"]}
            kept = {"semantics": SEMANTICS, "outputs": {case: held["outputs"][case] for case in common}}
            assert (said := complaint(kept, common, SEMANTICS)) is None, said
        written = {"semantics": SEMANTICS, "outputs": found} | ({} if weights is None else {"weights": weights})
        text = json.dumps(written, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    else:
        assert (said := complaint(held, found, SEMANTICS)) is None, said


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.mark.parametrize("name", ds.list_policies())
def test_policies_decode_as_before(name: str, update: bool, full: bool) -> None:
    on_nano = full or update or name not in ZOO
    part = "" if on_nano else "scripted"
    compare(FOLDER / f"policy_{name}.json", decoded(name, on_nano), update, part, weights_of_nano())


@pytest.mark.parametrize("name", list_tasks())
def test_tasks_judge_as_before(name: str, update: bool, tmp_path: Path) -> None:
    if name == "math500" and importlib.util.find_spec("math_verify") is None:
        pytest.skip("needs math-verify")
    compare(FOLDER / f"task_{name}.json", judged(name, tmp_path), update)


def test_a_change_needs_a_new_number_and_a_new_number_needs_new_files(tmp_path: Path) -> None:
    held = {"semantics": 4, "outputs": {"a": ["1"]}}
    assert complaint(held, {"a": ["1"]}, 4) is None
    assert "raise SEMANTICS" in (complaint(held, {"a": ["2"]}, 4) or "")
    assert "raise SEMANTICS" in (complaint(held, {}, 4) or "")
    assert "--update-golden" in (complaint(held, {"a": ["2"]}, 5) or "")
    assert "no golden output" in (complaint(held, {"a": ["1"], "b": ["1"]}, 4) or "")
    path = tmp_path / "g.json"
    compare(path, {"a": ["1"]}, update=True)
    compare(path, {"a": ["1"], "b": ["2"]}, update=True)
    with pytest.raises(AssertionError, match="raise SEMANTICS"):
        compare(path, {"a": ["changed"], "b": ["2"]}, update=True)
    compare(path, {"a": ["1"], "b": ["2"]}, update=False)


def test_nano_may_decode_otherwise_with_other_weights_and_nothing_else_may(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    compare(path, {"scripted": ["1"], "nano": ["1"]}, update=True, weights="old")
    compare(path, {"scripted": ["1"]}, update=False, part="scripted", weights="new")
    with pytest.raises(AssertionError, match="nano has other weights"):
        compare(path, {"scripted": ["1"], "nano": ["2"]}, update=False, weights="new")
    with pytest.raises(AssertionError, match="raise SEMANTICS"):
        compare(path, {"scripted": ["2"], "nano": ["2"]}, update=True, weights="new")
    with pytest.raises(AssertionError, match="raise SEMANTICS"):
        compare(path, {"scripted": ["1"], "nano": ["2"]}, update=True, weights="old")
    compare(path, {"scripted": ["1"], "nano": ["2"]}, update=True, weights="new")
    compare(path, {"scripted": ["1"], "nano": ["2"]}, update=False, weights="new")


def test_the_golden_cases_replace_remask_and_end() -> None:
    """Outputs in which nothing happens would guard nothing."""
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("policy_*.json"))
    lines = [line for line in text.splitlines() if "| steps" in line]
    for word in ("replaces 0", "remasks 0"):
        assert sum(word not in line for line in lines) > 20
    for word in ("eos", "length"):
        assert sum(line.rstrip('",').endswith(word) for line in lines) > 20
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 120_000
