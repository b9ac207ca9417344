"""Incomplete and contradictory downloads: one line that names the file or key, the reason and the way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

import dlmsample as ds
from dlmsample.models.families import open_config
from tests.models import checkpoints as tiny
from tests.models.test_families import edit, fails

NANO = Path(ds.__file__).parent / "models" / "nano"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
INDEX = "model.safetensors.index.json"


def copy(folder: Path) -> Path:
    """nano, weights and tokenizer, without its adapters and heads."""
    folder.mkdir()
    for path in NANO.iterdir():
        if path.is_file() and path.suffix != ".py":
            shutil.copy(path, folder)
    return folder


@pytest.fixture
def nano_folder(tmp_path: Path) -> Path:
    return copy(tmp_path / "nano")


# ---- tokenizers


def test_a_tokenizer_without_its_vocabulary(nano_folder: Path) -> None:
    (nano_folder / "tokenizer.json").unlink()
    fails("no vocabulary", "incomplete", "tokenizer.json", name=nano_folder)


@pytest.mark.parametrize("family", ["dream", "bert"])
def test_other_tokenizers_without_their_vocabulary(family: str, tmp_path: Path) -> None:
    """Of BERT it would know [UNK] alone, of Dream nothing at all."""
    kinds = {"dream": "Qwen2Tokenizer", "bert": "BertTokenizer"}
    folder = tiny.save(family, tmp_path / "a")
    special = {"unk_token": "[UNK]", "mask_token": "[MASK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    said = {"tokenizer_class": kinds[family], "pad_token": "<|endoftext|>", **(special if family == "bert" else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    fails("no vocabulary", "incomplete", name=folder, mask_id=5)


def test_vocab_and_merges_alone_are_a_tokenizer(tmp_path: Path) -> None:
    folder = tiny.save("dream", tmp_path / "a")
    letters = ["<|endoftext|>", *"abcdefgh", "Ġ", "ab"]
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    assert ds.load(folder).tokenizer is None
    (folder / "merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")
    model = ds.load(folder, mask_id=250)
    assert model.encode("abc", chat=False) == [letters.index("ab"), letters.index("c")]


@pytest.mark.parametrize("named", [None, "BertTokenizer", "ElectraTokenizer"])
def test_the_config_that_was_read_says_who_reads_the_tokenizer(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """config.json is not read once more: some versions of transformers refuse keys that are not passed on."""
    folder = tiny.save("bert", tmp_path / "a")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))
    edit(folder, tokenizer_class=named)
    expected = AutoTokenizer.from_pretrained(folder)

    def reads(*args: Any, **options: Any) -> Any:
        raise AssertionError("config.json is read again")

    for reader in (AutoConfig, PreTrainedConfig):
        monkeypatch.setattr(reader, "from_pretrained", reads)
    opened = open_config(folder, mask_id=4, eos_ids=[3])
    assert opened.tokenizer is not None
    assert type(opened.tokenizer) is type(expected)
    assert opened.tokenizer.encode("abc d") == expected.encode("abc d")
    assert getattr(opened.config, "tokenizer_class", None) is None


@pytest.mark.parametrize("file", ["tokenizer.json", "model.safetensors", "config.json"])
def test_a_pointer_in_place_of_a_file(file: str, nano_folder: Path) -> None:
    (nano_folder / file).write_text(POINTER)
    fails(file, "pointer of git-lfs", "git lfs pull", name=nano_folder)


def test_a_pointer_in_place_of_a_pickle(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "a")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_text(POINTER)
    fails("pytorch_model.bin", "pointer of git-lfs", name=folder, allow_pickle=True)


# ---- ids


def test_a_mask_id_that_is_a_letter(nano_folder: Path) -> None:
    raw = json.loads((nano_folder / "config.json").read_text())
    letter = ds.load("nano").encode("a", chat=False)[0]
    edit(nano_folder, dlmsample={**raw["dlmsample"], "mask_id": letter})
    fails(f"mask id {letter}", "'a'", "'<|mask|>' (2)", "mask_id=", name=nano_folder)
    assert ds.load(nano_folder, mask_id=letter).mask_id == letter  # whoever says so has looked


def test_a_mask_id_that_ends_an_answer(tmp_path: Path) -> None:
    folder = edit(tiny.save("dream", tmp_path / "a"), mask_token_id=249, eos_token_id=[248, 249])
    fails("id 249", "both the mask", "eos_ids=", name=folder)
    fails("id 7", "both the mask", name="nano", mask_id=7, eos_ids=[7])


# ---- weights


def shards(folder: Path) -> dict[str, Any]:
    """Cut the weights of a folder in two, with an index; the index."""
    tensors = load_file(folder / "model.safetensors")
    names, where = sorted(tensors), {}
    for part in (0, 1):
        file = f"model-0000{part + 1}-of-00002.safetensors"
        save_file({n: tensors[n] for n in names[part::2]}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names[part::2], file)
    return {"metadata": {}, "weight_map": where}


def test_a_stale_index_beside_whole_weights(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "a")
    want = ds.load(folder).module.state_dict()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"x": "model-00001-of-00002.safetensors"}}))
    found = ds.load(folder).module.state_dict()
    assert all(torch.equal(want[key], found[key]) for key in want)


def test_an_index_without_metadata(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "a")
    index = shards(folder)
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": index["weight_map"]}))
    fails(INDEX, '"metadata"', "add", name=folder)
    (folder / INDEX).write_text(json.dumps(index))
    ds.load(folder)
    (folder / INDEX).write_text(POINTER)
    fails(INDEX, "pointer of git-lfs", name=folder)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", torch.float8_e4m3fn, "int8", torch.int64, "float4_e2m1fn_x2"])
def test_dtypes_that_nothing_computes_in(dtype: Any) -> None:
    fails("unknown dtype", "bfloat16", name="nano", dtype=dtype)


# ---- chat templates


TEMPLATES = {
    "{{ 1 / 0 }}": ("ZeroDivisionError", "--raw"),
    "{{ messages[0]['content'] + 1 }}": ("TypeError", "--raw"),
    "nothing at all": ("leaves out", "chat=False"),
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_that_fail_or_say_nothing(template: str, nano_folder: Path) -> None:
    (nano_folder / "chat_template.jinja").write_text(template)
    model = ds.load(nano_folder)
    with pytest.raises(ValueError, match="chat template") as caught:
        model.encode("How many pens?")
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in TEMPLATES[template])
    assert model.encode("How many pens?", chat=False)


def test_a_template_may_change_what_is_said(nano_folder: Path) -> None:
    (nano_folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}")
    assert ds.load(nano_folder).render([{"role": "user", "content": " pens "}]).strip() == "PENS"
    (nano_folder / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    assert ds.load(nano_folder).encode("") is not None


# ---- any file, with anything in it


JUNK = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"7",
    "text": b'"x"',
    "half": b'{"a": ',
    "bytes": b"\xff\xfe\x00\x01",
    "object": b"{}",
    "nested": b'{"a":' * 3000,
    "page": b"<!DOCTYPE html><html>log in</html>",
    "pointer": POINTER.encode(),
}
FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
FILES += ["generation_config.json", "chat_template.jinja", "model.safetensors", INDEX, "vocab.json", "merges.txt"]


def said_of(folder: Path, **options: Any) -> str:
    """What loading and encoding say of a folder; nothing where they succeed."""
    try:
        ds.load(**{"name": folder, **options}).encode("pens")
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("file", FILES)
def test_whatever_a_file_holds_is_one_line(file: str, nano_folder: Path, full: bool) -> None:
    """Empty, cut, of another kind, a page that asks to log in: nothing but a ValueError comes out."""
    own = FILES.index(file)
    for number, (kind, junk) in enumerate(JUNK.items()):
        if full or kind == "nested" or (number + own) % 3 == 0:
            before = (nano_folder / file).read_bytes() if (nano_folder / file).exists() else None
            (nano_folder / file).write_bytes(junk)
            said = said_of(nano_folder)
            assert "\n" not in said
            assert said or file not in ("config.json", "tokenizer.json", "model.safetensors"), kind
            assert not said or str(nano_folder) in said or "chat template" in said, said
            (nano_folder / file).unlink() if before is None else (nano_folder / file).write_bytes(before)


@pytest.mark.parametrize(("kind", "part"), [("adapter", "scope"), ("head", "fca")])
def test_whatever_an_adapter_or_head_holds_is_one_line(kind: str, part: str, tmp_path: Path) -> None:
    source = NANO / f"{kind}s" / part
    prefix = "adapter_" if kind == "adapter" else ""
    for file in (f"{prefix}config.json", f"{prefix}model.safetensors"):
        for name in ("empty", "list", "nested", "page"):
            folder = tmp_path / f"{file} {name}"
            shutil.copytree(source, folder)
            (folder / file).write_bytes(JUNK[name])
            said = said_of(folder, name="nano", **{kind: str(folder)})
            assert str(folder) in said
            assert "\n" not in said
