"""``dlmsample chat``: through a pipe, and at a terminal with the canvas live."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

import dlmsample as ds
from dlmsample.cli.serving.session import COMMANDS, ChatSession
from tests.cli.conftest import Call, is_mistake

QUESTION = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"
SHORT = ("--max-new-tokens", "40", "--threads", "1")


def session(nano: ds.Denoiser, **more: object) -> ChatSession:
    return ChatSession(nano, ds.Unmask(tokens_per_step=4), {}, 40, 0, **more)  # type: ignore[arg-type]


def test_answers_are_those_of_the_sampler_and_see_what_was_said(nano: ds.Denoiser) -> None:
    chat = session(nano)
    sampler = ds.Sampler(nano, ds.Unmask(tokens_per_step=4))
    seen: list[ds.Event] = []
    first = chat.ask(QUESTION, seen.extend)
    out = sampler.generate([QUESTION], 40, record=True)
    assert (first.text, first.stats) == (out.texts[0], out.stats[0])
    assert out.trace is not None
    assert [(e.kind, e.step, e.position, e.new) for e in seen] == [
        (e.kind, e.step, e.position, e.new) for e in out.trace[0]
    ]
    second = chat.ask("And if Tom gave her 3?")
    said = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "And if Tom gave her 3?"},
    ]
    assert second.text == sampler.generate([said], 40).texts[0]
    assert chat.messages == [*said, {"role": "assistant", "content": second.text}]


def test_set_changes_one_option_of_a_piece(nano: ds.Denoiser) -> None:
    fill = ds.fill.Threshold(threshold=0.6)
    chat = ChatSession(nano, ds.chain(fill, ds.edit.Replace(threshold=0.5)), {}, 40, 0)
    chat.command("/set edit.threshold=0.9")
    assert chat.policy == ds.chain(fill, ds.edit.Replace(threshold=0.9))


def test_auto_in_a_chat_brings_the_options_that_go_with_it(nano: ds.Denoiser) -> None:
    chat = session(ds.load("nano", adapter="scope"))
    assert "d3im steps=48, block length all, as adapter scope" in chat.command("/policy auto")
    assert (chat.policy, chat._own) == (ds.D3IM(steps=48), {"block_length": "all"})
    chat.command("/set steps=4")
    assert (chat.policy, chat._own) == (ds.D3IM(steps=4), {"block_length": "all"})
    assert chat.command("/policy t2m") == "policy t2m"
    assert chat._own == {}


def test_commands(nano: ds.Denoiser) -> None:
    chat = session(nano)
    assert chat.command("/policy") == "policy unmask tokens_per_step=4"
    assert chat.command("/policy t2m") == "policy t2m"
    assert chat.command("/set threshold=0.2") == "policy t2m threshold=0.2"
    assert chat.policy == ds.T2M(threshold=0.2)
    assert chat.command("/undo") == chat.command("/history") == "nothing was said"
    one = chat.ask(QUESTION).text
    chat.ask("And then?")
    assert chat.command("/undo") == "taken back; 1 question is left"
    assert chat.command("/history") == f"user: {QUESTION}\nassistant: {one.strip()}"
    chat.messages[-1]["content"] = "forgotten"
    assert chat.again().text == one
    assert [m["content"] for m in chat.messages] == [QUESTION, one]
    said, chat.length = chat.messages, 10**6
    with pytest.raises(ValueError, match="context"):
        chat.again()
    assert chat.messages == said, "what cannot be answered again keeps its answer"
    chat.length = 40
    chat.command("/clear")
    with pytest.raises(ValueError, match="nothing was said"):
        chat.again()
    assert chat.command("/seed -3") == "seed -3"
    assert chat.command("/tokens 12") == "tokens 12"
    assert (chat.seed, chat.length) == (-3, 12)
    assert set(chat.command("/help").split()) >= set(COMMANDS)
    assert chat.command("/clear") == "forgotten"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/polcy t2m", "did you mean '/policy'"),
        ("/policy t2mm", "did you mean 't2m'"),
        ("/policy dsc", "correction head"),
        ("/set steps", "option=value"),
        ("/set threshold=7", "threshold"),
        ("/tokens 0", "1 or more"),
        ("/tokens many", "whole number"),
        ("/seed", "whole number"),
    ],
)
def test_wrong_commands_change_nothing(line: str, words: str, nano: ds.Denoiser) -> None:
    chat = session(nano)
    with pytest.raises(ValueError, match=re.escape(words)):
        chat.command(line)
    assert (chat.policy, chat.length, chat.seed) == (ds.Unmask(tokens_per_step=4), 40, 0)


def test_an_answer_that_fails_leaves_no_mark(nano: ds.Denoiser) -> None:
    def stop(changes: list[ds.Event]) -> None:
        raise KeyboardInterrupt

    chat = session(nano)
    with pytest.raises(KeyboardInterrupt):
        chat.ask(QUESTION, stop)
    with pytest.raises(ValueError, match="context"):
        chat.ask("long " * 3000)
    assert chat.messages == []


def test_through_a_pipe(call: Call, nano: ds.Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ds, "load", lambda name, **more: nano)
    lines = f"{QUESTION}\n\n/policy t2m\n/nothing\n/again\n/quit\nnever\n"
    code, out, err = call("chat", "--set", "tokens_per_step=4", *SHORT, stdin=lines.encode())
    assert (code, err) == (0, "")
    first = ds.Sampler(nano, ds.Unmask(tokens_per_step=4)).generate([QUESTION], 40).texts[0].strip()
    again = ds.Sampler(nano, ds.T2M()).generate([QUESTION], 40).texts[0].strip()
    assert out.startswith(f"{first}\nnfe ")
    assert f"dlmsample: unknown command '/nothing'; {'did you mean' if 'did you mean' in out else 'Known'}" in out
    assert f"\n{again}\nnfe " in out[len(first) :]
    assert "never" not in out
    assert "\x1b" not in out


def test_input_that_is_no_text(call: Call, nano: ds.Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ds, "load", lambda name, **more: nano)
    is_mistake(call("chat", *SHORT, stdin=b"\xff\n"), "line 1", "UTF-8")
    is_mistake(call("chat", "--policy", "t2mm"), "did you mean 't2m'")


def test_at_a_terminal_the_canvas_is_live() -> None:
    """A process on a terminal of its own: prompt, canvas with its changes, answer; a hostile text changes nothing."""
    screen, inside = pty.openpty()
    command = [sys.executable, "-m", "dlmsample", "chat", "--policy", "t2m", *SHORT]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": ""}
    process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=environment, close_fds=True)
    os.close(inside)
    seen = ""

    def wait_for(words: str, seconds: float = 120) -> None:
        nonlocal seen
        end = time.monotonic() + seconds
        while words not in seen:
            assert time.monotonic() < end, seen
            if select.select([screen], [], [], 1)[0]:
                seen += os.read(screen, 1 << 16).decode(errors="replace")

    try:
        wait_for("> ")
        os.write(screen, b"Ann had 3 pens and got 4. How many?\n")
        wait_for("tokens/forward")
        assert "\x1b[?25l" in seen  # the cursor was hidden: something was drawn live
        assert "_" in seen  # masks
        seen = ""
        os.write(screen, b"/set threshold=0.25\n")
        wait_for("policy t2m threshold=0.25")
        seen = seen.rpartition("threshold=0.25")[2]
        wait_for("> ")  # before it the terminal would swallow the end of input
        os.write(screen, b"\x04")
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if select.select([screen], [], [], 0.2)[0]:
                try:
                    os.read(screen, 1 << 16)
                except OSError:
                    break
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(screen)
