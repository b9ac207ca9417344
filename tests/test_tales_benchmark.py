"""benchmarks/tales: requests, what is kept of a teacher's texts, rows, and a sample that is cut short and goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tales import rows, text
from benchmarks.tales.requests import request
from dlmsample.train.config import load

ROOT = Path(__file__).parents[1]
GOOD = (
    "A small dog ran to the river. It saw a red boat and a tired man. The man gave it some bread. Then they sat down "
    "and looked at the water. In the evening both of them went home, and the dog slept by the fire."
)


def test_requests_differ_and_come_again() -> None:
    asked = [request(number) for number in range(2000)]
    assert asked == [request(number) for number in range(2000)]
    assert len({*asked}) > 1950
    assert request(3, seed=1) != request(3)
    starts = {start: sum(one.startswith(start) for one in asked) for start in ("Write", "Tell", "Describe")}
    assert sum(starts.values()) == 2000
    assert 0.55 < starts["Write"] / 2000 < 0.65


@pytest.mark.parametrize(
    "bad",
    [
        "Too short.",
        GOOD[:-1],
        GOOD.replace("A small", "Here is a small"),
        GOOD.replace("bread", "\u4e2d"),
        "- " + GOOD,
        GOOD.replace("bread.", "bread. 1. Eat."),
        "The dog ran to the river. " * 12,
        GOOD * 6,
        GOOD[0].lower() + GOOD[1:],
    ],
)
def test_what_is_left_out(bad: str) -> None:
    assert text.clean(bad) is None


def test_what_is_kept_is_typed_plainly() -> None:
    assert text.clean(GOOD) == GOOD
    assert text.clean("\n" + GOOD.replace("red boat", "\u201cred\u201d\n boat")) == GOOD.replace(
        "red boat", '"red" boat'
    )


def test_rows_are_the_text_again() -> None:
    made = [rows.row(GOOD.replace("dog", f"dog {n}", 1)) for n in range(300)]
    whole = [row for row in made if "text" in row]
    assert 0.2 < len(whole) / len(made) < 0.4
    for n, row in enumerate(made):
        assert row.get("text") or row["prompt"] + row["answer"] == GOOD.replace("dog", f"dog {n}", 1)
        assert "prompt" not in row or row["prompt"].endswith(".")
    assert {row["prompt"].count(".") for row in made if "prompt" in row} == {1, 2, 3}


def written_parts(folder: Path) -> None:
    for part in range(2):
        lines = [json.dumps({"text": GOOD.replace("dog", f"dog{n}", 1)}) for n in range(150 * part, 150 * part + 200)]
        (folder / f"part-{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_parts_become_a_tokenizer_and_two_files(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    written_parts(tmp_path)
    rows.main([str(tmp_path), "--out", str(tmp_path / "data"), "--size", "300"])
    kept = {name: (tmp_path / "data" / f"{name}.jsonl").read_text().splitlines() for name in ("train", "held")}
    assert len(kept["train"]) + len(kept["held"]) == 350  # 50 stand in both parts
    assert not {*kept["train"]} & {*kept["held"]}
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "data" / "tokenizer")
    assert [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.mask_token_id] == [0, 1, 2]
    assert tokenizer.decode(tokenizer.encode(GOOD)) == GOOD
    assert 1 not in tokenizer.encode("<|eos|>")  # text makes no special ids


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A tiny random body whose texts end at once or never."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    written_parts(tmp_path)
    rows.learn(list(rows.texts(tmp_path)), 300, tmp_path / "teacher")
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "teacher")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path / "teacher")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    config.eos_token_id, config.pad_token_id, config.bos_token_id = list(range(1, 30)), 0, None
    LlamaForCausalLM(config).save_pretrained(tmp_path / "teacher")
    return tmp_path / "teacher"


def test_a_sample_goes_on_where_it_was_cut_off(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "clean", lambda said: said)
    common = ["sample", "--teacher", str(teacher), "--device", "cpu", "--batch-size", "8", "--new", "12", "--tokens"]

    def sampled(name: str, tokens: int) -> str:
        text.main([*common, str(tokens), "--out", str(tmp_path / name)])
        return (tmp_path / name / "part-0.jsonl").read_text(encoding="utf-8")

    whole = sampled("whole", 40)
    first = sampled("cut", 1)
    assert whole.startswith(first)
    assert first != whole
    with (tmp_path / "cut" / "part-0.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "half a li')
    assert sampled("cut", 40) == whole
    assert sampled("cut", 40) == whole  # enough is there


def test_the_recipe_loads() -> None:
    config = load(str(ROOT / "examples" / "tales.yaml"))
    shape = config.model.shape
    assert shape is not None
    h, m, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    assert layers * (4 * h * h + 3 * h * m) + 2 * h * shape["vocab_size"] < 20e6  # 40 MB in half precision
