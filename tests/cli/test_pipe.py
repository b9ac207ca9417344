"""Prompts from a pipe, and what ends a line in them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dlmsample.cli import prompts
from dlmsample.cli.main import run
from tests.cli.conftest import Call, is_mistake

SHORT = ("--max-new-tokens", "8")
ODD = "a\u2028b\u0085c\x0bd"  # str.splitlines cuts at each of these


class Keyboard:
    """Standard input that somebody may type into."""

    class buffer(io.BytesIO):
        def isatty(self) -> bool:
            return True


def test_a_prompt_by_pipe_needs_no_dash(call: Call, tiny: Any) -> None:
    piped = call("generate", *SHORT, "--json", stdin=b"first\n\nsecond\n")
    assert piped == call("generate", "-", *SHORT, "--json", stdin=b"first\n\nsecond\n")
    assert [json.loads(line)["prompt"] for line in piped.out.splitlines()] == ["first", "second"]


def test_standard_input_is_left_alone_where_there_is_a_source(call: Call, tiny: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(prompts, "_stdin", lambda: pytest.fail("read"))
    assert call("generate", "x", *SHORT).code == 0


@pytest.mark.parametrize("stdin", [b"", b" \n\r\n", b"\xef\xbb\xbf\n"])
def test_an_empty_pipe_is_a_mistake(stdin: bytes, call: Call) -> None:
    is_mistake(call("generate", stdin=stdin), "give a PROMPT", "standard input")


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    keyboard = Keyboard()
    keyboard.buffer = Keyboard.buffer()  # type: ignore[misc,assignment]
    monkeypatch.setattr(sys, "stdin", keyboard)
    assert run(["generate"]) == 2
    assert "give a PROMPT" in capsys.readouterr().err


def test_only_a_newline_ends_a_line(call: Call, tiny: Any, tmp_path: Path) -> None:
    told = call("generate", *SHORT, "--json", stdin=f"\ufeff{ODD}\r\nsecond\n".encode())
    assert [json.loads(line)["prompt"] for line in told.out.split("\n")[:-1]] == [ODD, "second"]

    chats = [[{"role": "user", "content": text}] for text in (ODD, "second")]
    lines = "".join(json.dumps(chat, ensure_ascii=False) + "\r\n" for chat in chats)
    file = tmp_path / "chats.jsonl"
    file.write_bytes(f"\ufeff{lines}".encode())
    assert prompts.read_chats(str(file)) == chats


def test_answers_as_json_are_stripped_as_the_plain_ones_are(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.loads(call("generate", "Tom has 12 pens.", "--json", *SHORT).out)["text"]
    assert text == text.strip()
    assert call("generate", "Tom has 12 pens.", *SHORT).out.split("\n")[0] == text
