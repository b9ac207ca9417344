"""benchmarks/tales: requests, what is kept of a teacher's texts, rows, and a sample that is cut short and goes on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.tales import desk, kept, rows, text, words
from benchmarks.tales.requests import KINDS, Request, request
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
    share = Counter(one.kind for one in asked)
    assert share.keys() == KINDS.keys()
    assert 0.45 < share["story"] / 2000 < 0.55
    assert max(Counter(one.start for one in asked).values()) < 20
    for one in asked:
        assert "{" not in one.ask + one.start
        assert one.start.lstrip('"')[0].isupper()
        assert kept.judge(f"{one.start} word. {GOOD}").text or one.start.count(".") > 1, one  # no beginning is a fault


def test_every_name_in_the_lists_is_filled_in() -> None:
    for lists in (words.ASKS, words.STARTS):
        assert lists.keys() == KINDS.keys()


@pytest.mark.parametrize(
    "bad",
    [
        "Too short.",
        " ".join(GOOD.split()[:19]),
        GOOD.replace("A small", "Here is a small"),
        GOOD.replace("bread", "\u4e2d"),
        "- " + GOOD,
        "1. " + GOOD,
        "The dog ran to the river. " * 12,
        "You see "
        + ", ".join(f"the big {n} and the big {n}" for n in ("dog", "cat", "sun", "cow", "hen", "sky"))
        + ".",
        GOOD[0].lower() + GOOD[1:],
    ],
)
def test_what_is_left_out(bad: str) -> None:
    assert kept.judge(bad).text is None


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("Then the", "not ended"),
        ('"Come in', "not ended"),
        ('"Come in. It is', "not ended"),
        ("Mr. Hill went", "not ended"),
        ("The end is \u4e2d.", "characters"),
        ("Then: 1. Eat.", "list"),
        ("This story is about a dog.", "about"),
        ("It reminds us that dogs are good.", "moral"),
        ("The vibrant tapestry of life shimmered.", "flowery"),
        (f"They saw {'a cat and ' * 12}a bird.", "flowery"),
        ("The dog slept by the fire. Nobody came.", "nothing new"),
        ("", "whole"),
        ('"Come in. Sit down," said the man.', "whole"),
    ],
)
def test_a_text_is_cut_before_what_is_no_plain_text(more: str, why: str) -> None:
    found = kept.judge(f"{GOOD} {more}")
    assert found == ((f"{GOOD} {more}".strip() if why == "whole" else GOOD), why)


def test_an_answer_that_did_not_end_is_not_whole() -> None:
    assert kept.judge(GOOD, ended=False) == (GOOD, "not ended")


def test_what_is_kept_is_typed_plainly() -> None:
    assert kept.judge("\n" + GOOD.replace("red boat", "\u201cred\u201d\n boat")).text == GOOD.replace(
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


def sampled(teacher: Path, out: Path, tokens: int, *more: str) -> str:
    common = ["--device", "cpu", "--batch-size", "8", "--new", "12", "--workers", "0", "--tokens", str(tokens)]
    text.main(["sample", "--teacher", str(teacher), "--out", str(out), *common, *more])
    return (out / "part-0.jsonl").read_text(encoding="utf-8")


@pytest.fixture
def all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "judge", lambda said, ended: kept.Verdict(said, "whole" if ended else "not ended"))


@pytest.mark.usefixtures("all_kept")
def test_a_sample_goes_on_where_it_was_cut_off(teacher: Path, tmp_path: Path) -> None:
    whole = sampled(teacher, tmp_path / "whole", 150)
    first = sampled(teacher, tmp_path / "cut", 1)
    assert whole.startswith(first)
    assert first != whole
    with (tmp_path / "cut" / "part-0.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "half a li')
    assert sampled(teacher, tmp_path / "cut", 150) == whole
    assert sampled(teacher, tmp_path / "cut", 150) == whole  # enough is there
    state = json.loads((tmp_path / "cut" / "part-0.state.json").read_text())
    assert (
        state["kept"] == len(whole.splitlines()) == sum(n for why, n in state["why"].items() if why.startswith("kept"))
    )
    assert state["asked"] == 8 * state["batches"] == sum(state["why"].values())
    assert state["tokens"] <= state["sampled"] <= state["room"]


@pytest.mark.usefixtures("all_kept")
def test_both_caches_write_the_same(teacher: Path, tmp_path: Path) -> None:
    assert sampled(teacher, tmp_path / "a", 1) == sampled(teacher, tmp_path / "b", 1, "--cache", "static")


def test_work_beside_the_teacher_changes_nothing(teacher: Path, tmp_path: Path) -> None:
    runs = [sampled(teacher, tmp_path / name, 1, "--workers", name, "--batches", "2") for name in ("0", "1")]
    assert runs[0] == runs[1]
    states = [json.loads((tmp_path / name / "part-0.state.json").read_text()) for name in ("0", "1")]
    assert states[0] == states[1]
    assert states[0]["batches"] == 2


def test_no_group_of_tokens_a_second_time() -> None:
    torch.manual_seed(0)
    never, prompt = text.once(3), 3
    ids = torch.randint(0, 3, (4, prompt))
    for _ in range(40):
        scores = never(ids, torch.randn(4, 9))
        ids = torch.cat((ids, scores.argmax(1, keepdim=True)), 1)
    for row in ids[:, prompt:].tolist():
        groups = list(zip(row, row[1:], row[2:], row[3:], strict=False))
        assert len(groups) == len({*groups})


def test_answers_follow_their_beginnings(teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = {0: Request("story", "Ask.", "The dog"), 1: Request("story", "Ask.", '"Wait!" said Tom.')}
    monkeypatch.setattr(desk, "request", lambda number, seed: asks[number])
    tokenizer = desk.sit(teacher)
    ids, mask = desk.asked(teacher, 0, 2, 0)
    assert ids.shape[1] % desk.MULTIPLE == 0
    told = [tokenizer.decode(row[seen.astype(bool)]) for row, seen in zip(ids, mask, strict=True)]
    assert told == ["Ask.The dog", 'Ask."Wait!" said Tom.']
    said = "It ran to the river and saw a red boat with a tired man, who gave it some bread and a warm blanket."
    answers = [tokenizer.encode(" and I. " + said), tokenizer.encode(said)]
    width = max(map(len, answers)) + 1
    found = desk.judged(teacher, 0, 0, np.array([row + [1] * (width - len(row)) for row in answers]), frozenset({1}))
    assert [one.text for one in found] == ["The dog and I. " + said, '"Wait!" said Tom. ' + said]
    assert [one.sampled for one in found] == [one.tokens for one in found] == [*map(len, answers)]


def written_gguf(path: Path) -> torch.Tensor:
    """A Llama of one layer with random weights in a file like the teacher's, and its embeddings."""
    from gguf import GGUFWriter
    from tokenizers.pre_tokenizers import ByteLevel

    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    tokens = ["<unk>", "<|im_start|>", "<|im_end|>", *sorted(ByteLevel.alphabet()), "ab"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    draw = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), 16), "output_norm": (16,)}
    layer = {"attn_norm": (16,), "attn_q": (16, 16), "attn_k": (8, 16), "attn_v": (8, 16), "attn_output": (16, 16)}
    layer |= {"ffn_norm": (16,), "ffn_gate": (32, 16), "ffn_up": (32, 16), "ffn_down": (16, 32)}
    values = {
        f"{name}.weight": draw.standard_normal(shape).astype(np.float32)
        for name, shape in (shapes | {f"blk.0.{name}": shape for name, shape in layer.items()}).items()
    }
    for name, value in values.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return torch.from_numpy(values["token_embd.weight"])


def test_a_gguf_file_becomes_weights(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the teacher's file needs the package gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (tmp_path / "gguf").mkdir()
    embedded = written_gguf(tmp_path / "gguf" / "tiny.gguf")
    text.weights(tmp_path / "gguf" / "tiny.gguf", tmp_path / "plain")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert model.dtype == torch.bfloat16
    assert torch.equal(model.get_input_embeddings().weight, embedded.bfloat16())
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "plain")
    assert tokenizer.decode(tokenizer.encode("ab cd")).endswith("ab cd")
    assert tokenizer.eos_token_id == 2


def test_the_recipe_loads() -> None:
    config = load(str(ROOT / "examples" / "tales.yaml"))
    shape = config.model.shape
    assert shape is not None
    h, m, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    assert layers * (4 * h * h + 3 * h * m) + 2 * h * shape["vocab_size"] < 20e6  # 40 MB in half precision
