"""``dlmsample models --explain``, and the tokenizers that published folders come with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dlmsample as ds
from dlmsample.cli.main import run
from tests.models import checkpoints as tiny


def test_before_any_weights_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with the shape of LLaDA2-mini and nothing but its config."""
    folder = tiny.save("llada2", tmp_path / "c")
    (folder / "model.safetensors").unlink()
    path = folder / "config.json"
    shape = {
        "num_hidden_layers": 20,
        "hidden_size": 2048,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 512,
        "intermediate_size": 5120,
        "vocab_size": 157184,
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), **shape}))
    assert run(["models", "--explain", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["family"] == "llada2"
    assert said["body"] == "Glm4MoeForCausalLM"
    assert 16e9 < said["parameters"] < 16.5e9
    assert (said["mask_id"], said["block_length"], said["block_alignment"]) == (156895, 32, "absolute")
    assert (said["cache"], said["chat_template"], said["logit_shift"]) == ("exact block cache", False, False)


@pytest.mark.parametrize("name", [*tiny.FAMILIES, "roberta"])
def test_it_says_what_loading_does(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny.save(name, tmp_path / "c")
    path = folder / "config.json"
    path.write_text(json.dumps({"mask_token_id": 30, **json.loads(path.read_text())}))
    assert run(["models", "--explain", str(folder), "--json"]) == 0
    said, model = json.loads(capsys.readouterr().out), ds.load(folder)
    assert said["body"] == type(model.module).__name__
    assert said["parameters"] == sum(p.numel() for p in model.module.parameters())
    for fact in ("mask_id", "context", "attention", "block_length", "block_alignment"):
        assert said[fact] == getattr(model, fact)
    assert said["mask_form"] == ("padding [row, key]" if name == "roberta" else "boolean [row, 1, query, key]")
    assert run(["models", "--explain", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert any(line.split()[:2] == ["logit", "shift"] for line in out.splitlines())


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny.save("llada2", tmp_path / "c")
    for arguments, word in (
        ([str(folder)], "no mask token"),
        (["nanoo"], "did you mean 'nano'"),
        ([str(tmp_path)], "config.json"),
        ([str(folder), "--family", "lada2"], "did you mean 'llada2'"),
    ):
        assert run(["models", "--explain", *arguments]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert word in err


def test_a_tokenizer_of_its_own_class_is_read_as_the_stock_one(tmp_path: Path) -> None:
    """Dream's class is a copy of Qwen2's that comes as code; its files are enough."""
    from tokenizers import pre_tokenizers

    folder = tiny.save("dream", tmp_path / "c")
    letters = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet())[:240])}
    (folder / "vocab.json").write_text(json.dumps(letters))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {240: "<|endoftext|>", 241: "<|im_end|>", 250: "<|mask|>"}
    config = {
        "tokenizer_class": "DreamTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "added_tokens_decoder": {
            str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "special": True}
            for i, t in special.items()
        },
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "mask_token": "<|mask|>",
        "chat_template": "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    model = ds.load(folder)
    assert (model.mask_id, model.eos_ids) == (250, (240, 241))
    assert model.decode(model.encode("Hi you")) == "<user>Hi you"
    assert model.decode(model.encode("Hi you", chat=False)) == "Hi you"
