"""A tiny random model in place of nano, and a way to call the command line in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

import dlmsample
from dlmsample.cli.main import run


class Result(NamedTuple):
    """What a call of the command line did."""

    code: int
    out: str
    err: str


Call = Callable[..., Result]


def is_mistake(result: Result, *remedies: str) -> None:
    """A user's mistake: exit code 2, nothing on standard output, one line that names the remedy."""
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("dlmsample: ")
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    for remedy in remedies:
        assert remedy in result.err


class Bytes:
    """Stands in for standard input."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """``call("generate", "x", stdin=b"...")`` -> exit code and both streams."""

    def invoke(*args: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", Bytes(stdin))
        code = run(args)
        return Result(code, *capsys.readouterr())

    return invoke


@pytest.fixture
def terminal_call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """The same on an 80-column terminal with colours (standard output only)."""

    def invoke(*args: str, stdin: bytes = b"", **environment: str) -> Result:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdin", Bytes(stdin))
        monkeypatch.setattr(sys, "stdout", screen)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "NO_COLOR": "", **environment}.items():
            monkeypatch.setenv(name, value)
        return Result(run(args), screen.getvalue(), "")

    return invoke


class HostileTokenizer:
    """Text <-> ids of a 40-word vocabulary; some words are what a terminal must not see."""

    chat_template = None
    mask_token = "<mask>"
    special = ("<pad>", "<eos>", "<mask>", "\x1b[2J", "\n", "[bold]", "é", "\x9b1m")
    words = (*special, *"abcdefghijklmnopqrstuvwxyz 012345")

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [self.words.index(c) if c in self.words else 39 for c in text]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return "".join(self.words[i] for i in ids if i > 2 or not skip_special_tokens)

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        return [self.words[i] for i in ids]


@pytest.fixture(scope="session")
def tiny_model() -> Any:
    """A random Qwen3 of 40 words."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from dlmsample.models.denoiser import Denoiser, Facts

    words = len(HostileTokenizer.words)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=words,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    )
    config.is_causal = False
    config._attn_implementation = "sdpa"
    facts = Facts(2, (), 8, "block_causal", "absolute", min_block_length=4)
    return Denoiser("tiny", Qwen3ForCausalLM(config).eval(), HostileTokenizer(), facts)


@pytest.fixture
def tiny(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``dlmsample.load`` gives the tiny model, whatever is asked for."""
    monkeypatch.setattr(dlmsample, "load", lambda name, **options: tiny_model)
    return tiny_model
