"""Every mistake of a user: exit code 2, exactly one line that names the remedy, no standard output."""

from __future__ import annotations

from pathlib import Path

import pytest

import dlmsample
from tests.cli.conftest import Call, is_mistake

G = ("generate", "x")

#: words typed, what is on standard input, and what the line must hold
MISTAKES: dict[str, tuple[tuple[str, ...], bytes, str]] = {
    "command": (("genrate", "x"), b"", "did you mean 'generate'"),
    "option": ((*G, "--polcy", "t2m"), b"", "did you mean '--policy'"),
    "option before the command": (("--versio",), b"", "did you mean '--version'"),
    "no prompt": (("generate",), b"", "PROMPT"),
    "prompt without quotes": (("generate", "two", "words"), b"", "quote"),
    "prompt with a dash": (("generate", "-5 + 3"), b"", "goes after --"),
    "too many words for a list": (("models", "x", "y"), b"", "dlmsample models --help"),
    "no value": ((*G, "--top-k"), b"", "requires an argument"),
    "no number": ((*G, "--seed", "x"), b"", "'--seed'"),
    "seed of 65 bits": ((*G, "--seed", "9223372036854775808"), b"", "a seed has 64 bits"),
    "seed far below": ((*G, "--seed", "-99999999999999999999"), b"", "a seed has 64 bits"),
    "seed of a diagnosis": (("diagnose", "nano", "--seed", "18446744073709551616"), b"", "a seed has 64 bits"),
    "no new tokens": ((*G, "--max-new-tokens", "0"), b"", "'--max-new-tokens'"),
    "empty prompt": (("generate", ""), b"", "prompt is empty"),
    "blank prompt": (("generate", " \n\t "), b"", "prompt is empty"),
    "empty input": (("generate", "-"), b"", "prompt a line"),
    "blank input": (("generate", "-"), b"\n  \r\n\n", "prompt a line"),
    "input in latin-1": (("generate", "-"), b"good\ncaf\xe9\n", "line 2 of standard input is not UTF-8"),
    "two views": ((*G, "--json", "--show", "steps"), b"", "one of them"),
    "view": ((*G, "--show", "setps"), b"", "did you mean 'steps'"),
    "policy": ((*G, "--policy", "t2mm"), b"", "did you mean 't2m'"),
    "set without =": ((*G, "--set", "threshold"), b"", "option=value"),
    "set without value": ((*G, "--set", "threshold="), b"", "option=value"),
    "set a list": ((*G, "--set", "threshold=[1]"), b"", "scalar"),
    "set no YAML": ((*G, "--set", "threshold=[1"), b"", "quotes"),
    "policy twice": ((*G, "--policy", "t2m", "--policy", "unmask"), b"", "--policy is given 2 times"),
    "adapter twice": ((*G, "--adapter", "scope", "--adapter", "mdm"), b"", "give it once"),
    "set twice": ((*G, "--set", "threshold=1", "--set", "threshold=1"), b"", "twice"),
    "set unknown": ((*G, "--policy", "t2m", "--set", "treshold=1"), b"", "did you mean 'threshold'"),
    "set out of range": (
        (*G, "--policy", "t2m", "--set", "threshold=1.5"),
        b"",
        "t2m: threshold must be <= 1 (got 1.5)",
    ),
    "set infinite": ((*G, "--policy", "t2m", "--set", "threshold=.nan"), b"", "must be a finite number"),
    "set no steps": ((*G, "--policy", "d3im", "--set", "steps=0"), b"", "steps must be >= 1"),
    "set half a step": ((*G, "--policy", "d3im", "--set", "steps=1.5"), b"", "steps must be a whole number"),
    "set a word": ((*G, "--policy", "d3im", "--set", "eos=never"), b"", "must be one of 'confidence'"),
    "set two budgets": ((*G, "--set", "steps=3", "--set", "threshold=0.3"), b"", "unmask: give one of"),
    "two mistakes": ((*G, "--policy=d3im", "--set", "steps=0", "--set", "t2m=x"), b"", "; t2m must be true"),
    "growth": ((*G, "--grow", "dedal"), b"", "did you mean 'daedal'"),
    "options of no growth": ((*G, "--grow-set", "factor=4"), b"", "give --grow daedal, or leave it out"),
    "option of a growth": ((*G, "--grow", "daedal", "--grow-set", "facter=4"), b"", "did you mean 'factor'"),
    "option of a growth without =": ((*G, "--grow", "daedal", "--grow-set", "factor"), b"", "--grow-set takes"),
    "growth out of range": ((*G, "--grow", "daedal", "--grow-set", "factor=1"), b"", "daedal: factor must be >= 2"),
    "growth with steps": ((*G, "--grow", "daedal", "--show", "steps"), b"", "--grow does not go with --show"),
    "growth of blocks": ((*G, "--grow", "daedal"), b"", "is block-causal and sees no masks behind its block"),
    "head": ((*G, "--head", "nosuch"), b"", "unknown head"),
    "adapter": ((*G, "--adapter", "nosuch"), b"", "unknown adapter"),
    "adapter path": ((*G, "--adapter", "./nowhere"), b"", "there is no folder './nowhere': check the path"),
    "model": ((*G, "--model", "nan"), b"", "did you mean 'nano'"),
    "model path": ((*G, "--model", "./nowhere"), b"", "there is no folder './nowhere': check the path, or give nano"),
    "model file": ((*G, "--model", "./pyproject.toml"), b"", "is a file: give the folder"),
    "option of a policy": (
        (*G, "--policy", "t2m", "--fill-threshold", "0.2"),
        b"",
        "--fill-threshold is an option of a policy: --set fill_threshold=VALUE",
    ),
    "option of a policy where --set is the task's": (
        ("tune", "nano", "--out", "x", "--threshold", "0.2"),
        b"",
        "unknown option '--threshold'",
    ),
    "task of ours for lm-eval": (
        ("eval", "nano", "--tasks", "wordproblems"),
        b"",
        "tune or ablate --task wordproblems",
    ),
    "no head": ((*G, "--policy", "dsc"), b"", "load(name, head='fca') or model.with_head(head) (--head fca)"),
    "words after options": (("examples", "problems.txt"), b"", "it takes options alone; see dlmsample examples --help"),
    "no task": (("tasks", "gsm8"), b"", "did you mean 'gsm8k'"),
    "no task file": (("tasks", "nofile.jsonl"), b"", "there is no file 'nofile.jsonl': check the path"),
    "task file for a grid": (
        ("ablate", "examples/demo_grid.yaml", "--task", "nofile.jsonl", "--dry-run"),
        b"",
        "dlmsample: there is no file 'nofile.jsonl': check the path",
    ),
    "no example grid": (("ablate", "at/demo_grid.yaml", "--dry-run"), b"", "dlmsample examples --copy at"),
    "no example chat": (("generate", "--chat", "at/messages.json"), b"", "dlmsample examples --copy at"),
    "no example task": (("tasks", "at/questions.jsonl"), b"", "dlmsample examples --copy at"),
    "two models": (("models", "nano", "--explain", "nano"), b"", "give one of them"),
    "device": ((*G, "--device", "banana"), b"", "device 'banana'"),
    "dtype": ((*G, "--dtype", "floot32"), b"", "did you mean 'float32'"),
    "family": ((*G, "--family", "stok"), b"", "did you mean 'stock'"),
    "block length": ((*G, "--block-length", "1"), b"", '"all"'),
    "block length negative": ((*G, "--block-length", "-8"), b"", '"all"'),
    "block length word": ((*G, "--block-length", "whole"), b"", '"all"'),
    "long prompt": ((*G, "--max-new-tokens", "100000"), b"", "shorten the prompt or lower"),
    "temperature": ((*G, "--temperature", "-1"), b"", "0 or more"),
    "temperature nan": ((*G, "--temperature", "nan"), b"", "0 or more"),
    "top-p": ((*G, "--top-p", "0"), b"", "(0, 1]"),
    "top-k": ((*G, "--top-k", "0"), b"", "1 or more"),
    "batch size": ((*G, "--batch-size", "0"), b"", "1 or more"),
    "output folder": ((*G, "--output", "/nowhere/at/all"), b"", "create it"),
    "output is a folder": ((*G, "--output", "/"), b"", "name a file"),
    "output without a name": ((*G, "--output", ""), b"", "name a file"),
    "device map": ((*G, "--device-map", "atuo"), b"", "did you mean 'auto'"),
    "device auto": ((*G, "--device", "auto"), b"", "--device-map auto"),
    "revision": ((*G, "--revision", "v1"), b"", "for hub ids"),
    "quantization": ((*G, "--quantization", "5bit"), b"", "Known: 4bit, 8bit, fp8"),
    "output in /proc": ((*G, "--output", "/proc/x"), b"", "cannot write '/proc/x'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_with_the_remedy(case: str, call: Call) -> None:
    args, stdin, remedy = MISTAKES[case]
    is_mistake(call(*args, stdin=stdin), remedy)


@pytest.mark.parametrize(("file", "remedy"), [("", "config.json"), ("config.json", "model.safetensors")])
def test_folder_that_is_no_checkpoint(file: str, remedy: str, call: Call, tmp_path: Path) -> None:
    if file:
        (tmp_path / file).write_text("{}")
    is_mistake(call("generate", "x", "--model", str(tmp_path)), remedy)


def test_control_characters_in_a_mistake_are_escaped(call: Call) -> None:
    err = call("generate", "x", "--policy", "a\x1b[2J\nb").err
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_unwritable_output_is_found_first(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dlmsample, "load", lambda *a, **k: pytest.fail("loaded"))
    assert call("generate", "x", "--output", str(tmp_path / "no" / "file")).code == 2
    assert list(tmp_path.iterdir()) == []
