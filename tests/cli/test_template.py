"""``generate --template``, ``--chat`` and ``--stop``: what they write and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from tests.cli.conftest import Call, is_mistake

QUESTION = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
SUM = f"{QUESTION} 14 * 12 = 168. 168 + 25 = [MASK][MASK][MASK]. That is 193."


def test_a_template_is_the_library_s_fill(call: Call) -> None:
    words = "--json --policy d3im --set steps=4 --temperature 0.7 --seed 5 --block-length 8 --batch-size 1"
    templates = ("--template", SUM, "--template", "<|mask|> + 1", "--template", SUM)
    code, out, err = call("generate", *templates, *words.split())
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    given = [SUM, "<|mask|> + 1", SUM]
    expected = dlmsample.Sampler(dlmsample.load("nano"), dlmsample.D3IM(steps=4), 8, 0.7).fill(given, seed=5)
    assert all(list(row) == ["index", "prompt", "text", "tokens", "stats"] for row in rows)
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["prompt"] for row in rows] == given
    assert [row["text"] for row in rows] == expected.texts
    assert [row["tokens"] for row in rows] == expected.tokens
    assert [row["stats"] for row in rows] == [stats.asdict() for stats in expected.stats]
    assert rows[1]["stats"]["tokens"] == 1


def test_templates_from_standard_input(call: Call) -> None:
    stdin = f"{SUM}\n\n3 + [MASK] = 7\n".encode()
    code, out, err = call("generate", "--template", "-", "--policy", "unmask", stdin=stdin)
    assert (code, err) == (0, "")
    filled = dlmsample.Sampler(dlmsample.load("nano"), dlmsample.Unmask()).fill([SUM, "3 + [MASK] = 7"]).texts
    first, second = out.split("\n\n")
    assert first.startswith(f"[1] {SUM}\n{filled[0]}\nsteps 3, ")
    assert second.startswith(f"[2] 3 + [MASK] = 7\n{filled[1]}\nsteps 1, ")


def test_steps_show_the_text_around_the_masks(call: Call) -> None:
    code, out, _ = call("generate", "--template", "14 * 12 = [MASK] or so", "--show", "steps")
    assert code == 0
    shown = [line for line in out.splitlines() if "[+" in line and "legend" not in line]
    assert len(shown) == 1
    before, after = shown[0].split("[+")
    assert before == "14 * 12 = "
    assert after.partition("]")[2] == " or so"


def test_steps_of_the_random_model(call: Call, tiny: Any) -> None:
    code, out, _ = call("generate", "--template", "ab[MASK]c[MASK][MASK]", "--show", "steps")
    assert code == 0
    assert out.count("step ") == 3


def test_stop(call: Call) -> None:
    words = ("--json", "--max-new-tokens", "64")
    whole = json.loads(call("generate", QUESTION, *words).out)
    cut = json.loads(call("generate", QUESTION, *words, "--stop", "%%", "--stop", "\n").out)
    assert "\n" in whole["text"]
    assert cut["text"] == whole["text"].split("\n")[0]
    assert cut["stats"]["finish_reason"] == "stop"
    assert cut["stats"]["tokens"] == len(cut["tokens"]) < len(whole["tokens"])


TURNS: list[dict[str, str]] = [
    {"role": "user", "content": "Tom has 3 pens and buys 4. How many?"},
    {"role": "assistant", "content": "3 + 4 = 7\n#### 7"},
    {"role": "user", "content": QUESTION},
]


@pytest.mark.parametrize("form", ["list", "object", "lines", "stdin"])
def test_chats(form: str, call: Call, tmp_path: Path) -> None:
    """A list of messages, an object that has one, or one of these a line."""
    one = json.dumps(TURNS, indent=1)
    text = {
        "object": json.dumps({"messages": TURNS}),
        "lines": f"{json.dumps(TURNS)}\n\n{json.dumps({'messages': TURNS[:1]})}\n",
    }.get(form, one)
    (tmp_path / "chat.json").write_text(text)
    file = "-" if form == "stdin" else str(tmp_path / "chat.json")
    code, out, err = call("generate", "--chat", file, "--json", "--max-new-tokens", "24", stdin=text.encode())
    assert (code, err) == (0, "")
    chats = [TURNS, TURNS[:1]] if form == "lines" else [TURNS]
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["prompt"] for row in rows] == chats
    nano = dlmsample.load("nano")
    expected = dlmsample.Sampler(nano, dlmsample.Unmask()).generate(chats, 24)
    assert [row["tokens"] for row in rows] == expected.tokens
    assert nano.decode(nano.encode(TURNS)).startswith(
        "Q: Tom has 3 pens and buys 4. How many?\nA: 3 + 4 = 7\n#### 7\nQ:"
    )


def test_several_chats_are_headed_by_their_last_message(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(f"{json.dumps(TURNS)}\n{json.dumps(TURNS[:1])}\n")
    out = call("generate", "--chat", str(file), "--max-new-tokens", "8").out
    assert out.startswith(f"[1] {QUESTION}\n")
    assert "\n[2] Tom has 3 pens and buys 4. How many?\n" in out


def test_a_chat_without_a_template(call: Call, tiny: Any) -> None:
    said = call("generate", "--chat", "-", stdin=json.dumps(TURNS).encode())
    is_mistake(said, "tiny has no chat template: give the prompt as plain text")


T = ("generate", "--template", "a [MASK]")
C = ("generate", "--chat", "-")
MISTAKES: dict[str, tuple[tuple[str, ...], bytes, str]] = {
    "nothing": (("generate",), b"", "give a PROMPT, --template TEXT or --chat FILE"),
    "two sources": ((*T, "x"), b"", "PROMPT and --template exclude each other"),
    "chat and prompt": ((*C, "x"), b"", "PROMPT and --chat exclude each other"),
    "length": ((*T, "--max-new-tokens", "3"), b"", "--max-new-tokens does not go with --template"),
    "stop": ((*T, "--stop", "x"), b"", "--stop does not go with --template"),
    "blank": (("generate", "--template", " "), b"", "template is empty"),
    "no line": (("generate", "--template", "-"), b"\n", "write a template a line"),
    "long": (("generate", "--template", "[MASK] " * 3000), b"", "exceeds the context of nano (2048): shorten it"),
    "empty stop": (("generate", "x", "--stop", ""), b"", "stop string is empty"),
    "raw": ((*T, "--raw"), b"", "--raw does not go with --template"),
    "no mask": (("generate", "--template", "a b"), b"", 'the template "a b" holds no [MASK]'),
    "a line without a mask": (("generate", "--template", "-"), b"[MASK]\nno\n", 'the template "no" holds no [MASK]'),
    "a long one without": (("generate", "--template", "ab" * 500), b"", "a…ab"),
    "a role": (C, b'[{"role": "usr", "content": "x"}]', "a message has the role 'usr', not system, user, assistant or"),
    "raw chat": ((*C, "--raw"), b"[]", "leave one of them out"),
    "no file": (
        ("generate", "--chat", "/nowhere/at.json"),
        b"",
        "cannot read '/nowhere/at.json' (--chat): No such file",
    ),
    "a folder": (("generate", "--chat", "/"), b"", "give a JSON file"),
    "no JSON": (C, b"hello", "standard input (--chat) is no conversation: no JSON"),
    "cut off": (C, b'[{"role": "user",\n', "no JSON"),
    "no list": (C, b"5", "no list of messages"),
    "no messages": (C, b"[]", "no list of messages"),
    "no input": (C, b"", "no JSON"),
    "no content": (C, b'[{"role": "user"}]', "lacks its role or its content"),
    "a bad line": (C, b'[{"role": "user", "content": "x"}]\n[5]', "line 2 of standard input"),
    "not UTF-8": (C, b"\xff", "give a JSON file"),
    "a picture": (
        C,
        b'[{"role": "user", "content": [{"type": "image", "url": "a.png"}]}]',
        "a part of type 'image', and only parts of type 'text' are read",
    ),
    "text and chat": ((*C, "--text"), b"[]", "--text takes a PROMPT or --template"),
    "text and raw": (("generate", "x", "--text", "--raw"), b"", "--raw and --text exclude each other"),
    "nothing to continue": (("generate", "x", "--continue"), b"", "--continue goes on with the last message of --chat"),
    "the user's turn": ((*C, "--continue"), b'[{"role": "user", "content": "x"}]', "one of the assistant's"),
    "an argument and raw": (("generate", "x", "--raw", "--template-arg", "a=1"), b"", "--template-arg is for a chat"),
    "no argument": (("generate", "x", "--template-arg", "tools"), b"", "--template-arg takes KEY=VALUE"),
    "an argument twice": (
        ("generate", "x", "--template-arg", "a=1", "--template-arg", "a=2"),
        b"",
        "--template-arg a is given twice",
    ),
    "no value": (("generate", "x", "--template-arg", "a=[1"), b"", "no JSON and no YAML"),
    "an unknown argument": (
        ("generate", "x", "--template-arg", "enable_thinkin=false"),
        b"",
        "unknown argument of the chat template of nano 'enable_thinkin'",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_with_the_remedy(case: str, call: Call) -> None:
    args, stdin, remedy = MISTAKES[case]
    said = call(*args, stdin=stdin)
    is_mistake(said, remedy)
    assert len(said.err) < 300


def test_text_that_was_templated_already(call: Call) -> None:
    """Exactly as it is: the same as what the template would have made of it."""
    templated = f"Q: {QUESTION}\nA:"
    plain = call("generate", QUESTION, "--json", "--max-new-tokens", "24")
    exact = call("generate", templated, "--text", "--json", "--max-new-tokens", "24")
    assert json.loads(exact.out)["tokens"] == json.loads(plain.out)["tokens"]
    filled = call("generate", "--template", f"{templated} 14 * 12 = [MASK][MASK][MASK]", "--text", "--json")
    assert json.loads(filled.out)["text"] == f"{templated} 14 * 12 = 168"


def test_a_turn_goes_on(call: Call) -> None:
    begun = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "14 * 12"}]
    options = ("--json", "--max-new-tokens", "16")
    said = call("generate", "--chat", "-", "--continue", *options, stdin=json.dumps(begun).encode())
    same = call("generate", f"Q: {QUESTION}\nA: 14 * 12", "--text", *options)
    found = json.loads(said.out)
    assert found["tokens"] == json.loads(same.out)["tokens"]
    text = dlmsample.load("nano").decode(found["tokens"])
    assert found["text"] == text, "the space that it begins with belongs to it"
    assert text.startswith(" ")


def test_content_in_parts(call: Call) -> None:
    parts = [
        {"role": "user", "content": [{"type": "text", "text": QUESTION[:9]}, {"type": "text", "text": QUESTION[9:]}]}
    ]
    options = ("--max-new-tokens", "16")
    whole = call("generate", QUESTION, *options).out
    assert call("generate", "--chat", "-", *options, stdin=json.dumps(parts).encode()).out == whole


def test_signs_that_the_tokenizer_does_not_know(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come back in the text, and a note says that the model did not read them."""
    from transformers import BertTokenizer

    from dlmsample.cli import screen
    from tests.models import checkpoints

    notes: list[str] = []
    monkeypatch.setattr(screen, "note", notes.append)
    folder = checkpoints.save("bert", tmp_path / "bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog"]
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    said = call("generate", "--model", str(folder), "--template", "Zebra [MASK]", "--template", "The [MASK]", "--json")
    assert json.loads(said.out.splitlines()[0])["text"].startswith("Zebra ")
    assert ["Zebra" in note for note in notes if "unknown to the tokenizer" in note] == [True]
