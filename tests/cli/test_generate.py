"""``generate``: what it writes, where, and for whom."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from dlmsample.cli import main
from tests.cli.conftest import Bytes, Call, HostileTokenizer

NANO = Path(dlmsample.__file__).parent / "models" / "nano"
RANDOM = ("--temperature", "5", "--max-new-tokens", "100", "--set", "tokens_per_step=8")
SHORT = ("--max-new-tokens", "12")


def test_text_and_statistics(call: Call) -> None:
    code, out, err = call("generate", "Ann has 3 pens and buys 4. How many?", "--policy", "t2m", *SHORT)
    assert (code, err) == (0, "")
    last = out.splitlines()[-1]
    names = ("steps", "nfe", "tokens", "tokens/forward", "edits per 100", "forced", "finish")
    assert all(name in last for name in names)
    assert "\x1b" not in out


def test_json_is_the_library_s_answer(call: Call) -> None:
    words = "--json --policy t2t --set edit_threshold=null --temperature 0.7 --seed 5"
    blocks = "--block-length 8 --batch-size 1"
    stdin = "\ufeffDé 1\r\n\n  \nTwo\nTwo".encode()
    code, out, err = call("generate", "-", *words.split(), *blocks.split(), *SHORT, stdin=stdin)
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    prompts = ["Dé 1", "Two", "Two"]
    policy = dlmsample.T2T(edit_threshold=None)
    expected = dlmsample.Sampler(dlmsample.load("nano"), policy, 8, 0.7).generate(prompts, 12, seed=5)
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["prompt"] for row in rows] == prompts
    assert [row["text"] for row in rows] == [text.strip() for text in expected.texts]
    assert [row["tokens"] for row in rows] == expected.tokens
    assert [row["stats"] for row in rows] == [stats.asdict() for stats in expected.stats]
    assert all(set(row) == {"index", "prompt", "text", "tokens", "stats"} for row in rows)


def test_options_reach_the_library(call: Call, tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def load(name: str, **options: Any) -> Any:
        seen.update(name=name, **options)
        return tiny_model

    monkeypatch.setattr(dlmsample, "load", load)
    words = "--model some/where --adapter a --head h/i --device cpu --dtype float64 --trust-remote-code --family f"
    sampling = "--top-k 3 --top-p 0.9 --block-length all"
    assert call("generate", "x", *words.split(), *sampling.split(), *SHORT).code == 0
    assert seen.pop("name") == "some/where"
    expected = {"device": "cpu", "dtype": "float64", "trust_remote_code": True, "family": "f"}
    assert seen == {"adapter": "a", "head": "h/i", **expected}


def test_a_head_from_a_folder(call: Call, tmp_path: Path) -> None:
    """DSC reads it; statistics keep their names; without it DSC says how to give one."""
    from dlmsample.heads import CorrectionHead, HeadConfig, save_head

    head = CorrectionHead(HeadConfig(hidden_size=256, width=16, heads=2, mlp=16, offset=50.0))
    save_head(head, tmp_path)
    code, out, err = call("generate", "x", "--policy", "dsc", "--head", str(tmp_path), "--json", *SHORT)
    assert (code, err) == (0, "")
    stats = json.loads(out)["stats"]
    assert stats["remasks"] > 0
    plain = call("generate", "x", "--json", *SHORT).out
    assert list(stats) == list(json.loads(plain)["stats"])
    assert "--head" in call("generate", "x", "--policy", "dsc").err


def test_raw_leaves_the_chat_template_out(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlmsample.models.denoiser import Denoiser

    chats: list[bool | None] = []
    written = Denoiser.written

    def spy(self: Denoiser, prompt: Any, chat: bool | None = None, template_args: Any = None) -> Any:
        chats.append(chat)
        return written(self, prompt, chat, template_args)

    monkeypatch.setattr(Denoiser, "written", spy)
    call("generate", "x", *SHORT)
    call("generate", "x", "--raw", *SHORT)
    assert chats == [None, False]


def test_several_prompts_are_numbered(call: Call, tiny: Any) -> None:
    out = call("generate", "-", *SHORT, stdin=b"first\nsecond\n").out
    assert out.index("[1] first") < out.index("finish") < out.index("[2] second") < out.rindex("finish")


@pytest.mark.parametrize("show", [(), ("--show", "steps")])
def test_terminal_sees_no_foreign_control_characters(show: tuple[str, ...], terminal_call: Call, tiny: Any) -> None:
    """The random model says ESC[2J and C1 CSI among its words."""
    code, out, _ = terminal_call("generate", "-", *RANDOM, *show, stdin=b"[bold]a\nb\x1b[2Jc\n")
    assert code == 0
    assert "\x1b[2J" not in out
    assert "\x9b" not in out
    assert out.count("\\x1b[2J") > 1
    assert "[bold]" in out
    assert "\x1b[2m" in out  # our own dim line


@pytest.mark.parametrize("show", [(), ("--show", "steps")])
def test_terminal_sees_no_marks_that_reorder_or_hide(
    show: tuple[str, ...], terminal_call: Call, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = "\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\ufeff\x85"
    words = HostileTokenizer.words
    monkeypatch.setattr(tiny.tokenizer, "words", (*words[:3], *marks, *words[3 + len(marks) :]), raising=False)
    code, out, _ = terminal_call("generate", "-", *RANDOM, *show, stdin=f"a{marks}b\nc\n".encode())
    assert code == 0
    assert not set(marks) & set(out)
    assert "\\u202e" in out


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_but_marks(environment: dict[str, str], terminal_call: Call, tiny: Any) -> None:
    args = ("generate", "x", "--show", "steps", *SHORT)
    assert "\x1b[" in terminal_call(*args).out
    out = terminal_call(*args, **environment).out
    assert "\x1b" not in out
    assert "[+" in out


def test_a_locale_without_the_character(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", Bytes("é\nü\n".encode()))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main.run(["generate", "-", *SHORT, "--show", "steps"]) == 0
    assert b"[1] \\xe9" in raw.getvalue()


def test_a_pipe_gets_the_text_as_it_is(call: Call, tiny: Any) -> None:
    text = json.loads(call("generate", "x", *RANDOM, "--json").out)["text"]
    assert "\x1b" in text
    assert call("generate", "x", *RANDOM).out.startswith(text + "\n")


@pytest.mark.parametrize("mode", [(), ("--json",), ("--show", "steps")])
def test_output_file_holds_what_standard_output_would(
    mode: tuple[str, ...], call: Call, tiny: Any, tmp_path: Path
) -> None:
    target, link = tmp_path / "out.txt", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    args = ("generate", "x", *mode, *SHORT)
    printed = call(*args).out
    code, out, err = call(*args, "--output", str(link))
    assert (code, out, err) == (0, "", "")
    assert target.read_text() == printed
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "out.txt"]


def test_failure_leaves_the_old_output_file(
    call: Call, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left")

    target = tmp_path / "out.txt"
    target.write_text("old")
    monkeypatch.setattr(os, "replace", full)
    code, _, err = call("generate", "x", *SHORT, "--output", str(target))
    assert (code, err) == (2, f"dlmsample: cannot write {str(target)!r} (--output): No space left\n")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_output_to_a_device(call: Call, tiny: Any) -> None:
    assert call("generate", "x", *SHORT, "--output", os.devnull) == (0, "", "")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_interrupt_while_decoding(call: Call, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlmsample.Sampler, "_decode", lambda *a: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    monkeypatch.setattr(main.interrupt, "say", lambda: None)
    try:
        code, out, err = call("generate", "x", "--output", str(tmp_path / "out"))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out, err) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


def test_works_outside_the_main_thread(call: Call, tiny: Any) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main.run(["generate", "x", *SHORT])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_unexpected_error(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **options: Any) -> Any:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(dlmsample, "load", load)
    monkeypatch.delenv(main.DEBUG, raising=False)
    code, out, err = call("generate", "x")
    assert (code, out) == (1, "")
    assert err == "dlmsample: unexpected error RuntimeError: two lines; set DLMSAMPLE_DEBUG=1 to see where\n"
    monkeypatch.setenv(main.DEBUG, "1")
    assert "Traceback" in call("generate", "x").err


def test_a_cache_that_the_model_does_not_take(call: Call) -> None:
    code, out, err = call("generate", "a", "--cache", "dual", *SHORT)
    assert (code, out) == (2, "")
    assert "nano is block-causal and has an exact cache" in err
    code, out, err = call("generate", "a", "--cache", "duel", *SHORT)
    assert (code, out) == (2, "")
    assert "did you mean 'dual'" in err
    assert call("generate", "a", "--cache", "none", *SHORT).code == 0


def two_way(folder: Path) -> Path:
    """A bidirectional model."""
    shutil.copytree(NANO, folder, ignore=shutil.ignore_patterns("adapters", "heads"))
    config = json.loads((folder / "config.json").read_text())
    config["dlmsample"]["attention"] = "bidirectional"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_an_approximate_cache_on_a_model_that_needs_one(call: Call, tmp_path: Path) -> None:
    folder = two_way(tmp_path / "two_way")
    told = call(
        "generate", "a", "--model", str(folder), "--cache", "dual", "--refresh", "4", "--suffix", "0", "--json", *SHORT
    )
    assert (told.code, json.loads(told.out)["cache"]) == (0, "dual")
    told = call("generate", "a", "--model", str(folder), "--cache", "prefix", *SHORT)
    assert told.out.rstrip().endswith(", cache prefix")


def test_weights_in_eight_bits(call: Call) -> None:
    words = ("generate", "Ann had 3 pens and got 4. How many?", "--max-new-tokens", "32", "--set", "tokens_per_step=8")
    model = dlmsample.load("nano", quantization="fp8")
    want = dlmsample.Sampler(model, dlmsample.Unmask(tokens_per_step=8)).generate([words[1]], max_new_tokens=32)
    done = call(*words, "--quantization", "fp8", "--policy", "unmask", "--json")
    assert (done.code, json.loads(done.out)["tokens"]) == (0, want.tokens[0])
    assert "fp8 (e4m3" in " ".join(call("generate", "--help").out.split())


def test_an_answer_that_grows(call: Call, tmp_path: Path) -> None:
    folder = two_way(tmp_path / "two_way")
    given = ("generate", "a", "--model", str(folder), "--set", "threshold=0.9", "--json", "--max-new-tokens", "24")
    fixed, grown = (
        json.loads(call(*given, "--grow", "daedal", "--grow-set", f"initial_length={length}", *more).out)["stats"]
        for length, more in ((24, ()), (4, ("--grow-set", "eos_confidence=1")))
    )
    assert fixed == json.loads(call(*given).out)["stats"]
    assert grown["nfe"] == grown["steps"] + 3  # 4, 12, 20 and then 24, where nothing is left to ask
    said = call(*given, "--grow", "daedal", "--policy", "t2m").err
    assert "grow adds positions while a block is filled" in said
