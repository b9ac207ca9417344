"""Files that people write, damaged in seeded ways: each is read, or one line says what is wrong with it.

A longer run: ``--full``.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.ablate.spec.cells import choices
from dlmsample.ablate.spec.grid import read as read_grid
from dlmsample.cli import main
from dlmsample.cli.prompts import read_chats
from dlmsample.decoding import saved
from dlmsample.models import recommended
from dlmsample.policies.zoo.frequencies import surprisal
from dlmsample.train.config import load as read_recipe
from dlmsample.train.config.recipes import recipe_text

GRID = """name: g
tasks: [{name: wordproblems, limit: 2, split: test}]
checkpoints: [{model: nano}, {model: nano, adapter: scope}]
policies:
- {policy: t2m, threshold: [0.1, 0.3], detector: low_prob}
- {policy: d3im, steps: 24, block_length: all}
- {policy: chain, fill: {rule: threshold, threshold: 0.5}, edit: {rule: remask, detector: {rule: low_prob}}}
seeds: [0, 1]
temperature: 0.5
"""
POLICY = json.dumps({"policy": "t2m", "threshold": 0.5, "max_remasks": 2, "detector": "low_prob"})
DECODING = json.dumps({"policy": "d3im", "steps": 48, "block_length": "all", "temperature": 0.5, "top_k": None})
ROWS = '{"prompt": "3 + 4?", "answer": "7"}\n{"prompt": "q", "answer": ["a", "b"], "topic": 5}\n'
COUNTS = '{"num_token": 10, "p_baseline_dict": {"5": 4, "6": 6}}'
CHAT = '{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "user", "content": "a"}]}'


def grid(path: Path) -> Any:
    data, marks = read_grid(path)
    return list(choices(data, marks))


def decoding(path: Path) -> Any:
    entry = saved.read(recommended.parse(path, path.read_bytes()), str(path))
    return entry.make(str(path))


KINDS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "grid": ("g.yaml", GRID, grid),
    "recipe": ("r.yaml", recipe_text("nano_scope"), lambda path: read_recipe(str(path))),
    "policy": ("p.yaml", POLICY, lambda path: ds.policy(path)),
    "decoding": ("decoding_config.json", DECODING, decoding),
    "task": ("t.jsonl", ROWS, lambda path: list(ds.tasks.load(str(path)))),
    "table": ("t.csv", 'prompt,answer\nq,1\n"a\nb",2\n', lambda path: list(ds.tasks.load(str(path)))),
    "chat": ("c.json", CHAT, lambda path: read_chats(str(path))),
    "counts": ("f.json", COUNTS, surprisal),
}  # fmt: skip
VALUES = [
    *("null", "true", "-1", "0", "1e999", "1e-4", ".inf", "''", "[]", "{}", "[[]]", "9" * 400, "2020-13-45", "*a"),
    *("&a [*a]", "{a: 1, a: 2}", "x: y: z", "9223372036854775808", "'é\u2028'", "!!python/object:os.system {}", "1_0"),
    *('"\\ud800"', '"x"', "[1, [2]]", "~/nope", "/dev/null", "\ufeff", '{"a": 1, "a": 2}'),
]
SIGNS = [*"\x00\u2028\u0085\ufeff\t{[]}'\":#%\\\x1b\u202e-\r|,", "\n"]


def damaged(text: str, draw: random.Random) -> bytes:
    """A document with one to three mistakes in it."""
    for _ in range(draw.randrange(1, 4)):
        at, lines = draw.randrange(len(text) + 1), text.split("\n")
        kind = draw.randrange(8)
        if kind == 0:
            text = text[:at] + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + draw.choice(SIGNS) + text[at:]
        elif kind == 2:
            text = "\n".join([*lines, draw.choice(lines)])
        elif kind == 3:
            text = draw.choice([text[:at], "", "5", "[]", "null", "[" * 3000, "- " * 500, "\ufeff" + text])
        elif kind == 4:
            text = text.replace("\n", draw.choice(["\r\n", "\r", "\u2028"]))
        elif found := [*re.finditer(r"(?<=[:,\[] )[^,\]}\n]+|\d+(\.\d+)?" if kind < 7 else r"\w+(?=\"?:)", text)]:
            spot = draw.choice(found)
            put = draw.choice(VALUES if kind < 7 else ["nmae", "1", "null", spot[0] + "x"])
            text = text[: spot.start()] + put + text[spot.end() :]
    data = text.encode("utf-8", "surrogatepass")
    at = draw.randrange(len(data) + 1)
    return data[:at] + b"\xff" + data[at:] if draw.random() < 0.05 else data


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_told_in_one_line(kind: str, tmp_path: Path, full: bool) -> None:
    name, text, read = KINDS[kind]
    path, draw = tmp_path / name, random.Random(kind)
    path.write_text(text, encoding="utf-8")
    read(path)
    refused = 0
    for _ in range(2000 if full else 40 if kind in ("grid", "recipe") else 120):
        data = damaged(text, draw)
        path.write_bytes(data)
        if said := mistake(read, path):
            refused += 1
            assert "\n" not in said, data
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\ufeff]", said), data
    assert refused > 10


def mistake(read: Callable[[Path], Any], path: Path) -> str:
    """What is wrong with a file; nothing where it is read. Any other error than a ValueError is a failure."""
    try:
        read(path)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "words", ["generate x --model", "generate x --adapter", "report", "models", "train --dry-run --recipe"]
)
def test_a_name_too_long_for_a_file_is_told_in_one_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*words.split(), "9" * 3000]) == 2
    said = capsys.readouterr().err.strip()
    assert "no file has so long a name: 999" in said
    assert len(said) < 200
    assert "\n" not in said


def test_a_recipe_that_extends_a_name_too_long_for_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"extends: {'9' * 3000}\n")
    assert "extends: " in mistake(lambda found: read_recipe(str(found)), path)
