"""The step view, from events alone."""

from __future__ import annotations

import io
from typing import Any

import dlmsample
from dlmsample.cli.answers.steps import CanvasCell, canvas, frames, show
from dlmsample.cli.screen import console
from dlmsample.types import Event

MASK = 2
EVENTS = [
    Event("fill", 0, 0, 0, MASK, 10, 0.9),
    Event("fill", 0, 0, 2, MASK, 11, 0.9),
    Event("replace", 1, 0, 0, 10, 12, 0.8),
    Event("remask", 1, 0, 2, 11, MASK, 0.1),
    Event("fill", 3, 1, 1, MASK, 13, 0.7),
]
WORDS = {10: "one", 11: "\x1b[2J", 12: "[red]", 13: "a\nb"}


def test_frames_replay_the_events() -> None:
    first, second, third = frames(EVENTS, 3)
    assert (first.step, second.step, third.step, third.block) == (0, 1, 3, 1)
    assert first.cells == [CanvasCell("fill", 10), CanvasCell("mask", None), CanvasCell("fill", 11)]
    assert second.cells == [CanvasCell("replace", 12), CanvasCell("mask", None), CanvasCell("remask", 11)]
    assert third.cells == [CanvasCell("kept", 12), CanvasCell("fill", 13), CanvasCell("mask", None)]


def test_marks_without_colour() -> None:
    stream = io.StringIO()
    show(console(stream), EVENTS, 3, WORDS.__getitem__)
    assert stream.getvalue().splitlines() == [
        "legend: _ masked  [+token] filled  [~token] replaced  [-token] remasked; "
        "steps that change nothing are left out",
        "step 1, block 1: 2 filled",
        "[+one]_[+\\x1b[2J]",
        "step 2, block 1: 1 replaced, 1 remasked",
        "[~[red]]_[-\\x1b[2J]",
        "step 4, block 2: 1 filled",
        "[red][+a⏎b]_",
    ]


def test_four_styles_with_colour() -> None:
    line = canvas(list(frames(EVENTS, 3))[1].cells, WORDS.__getitem__, colour=True)
    assert line.plain == "[red]_\\x1b[2J"
    assert len({str(span.style) for span in line.spans}) == 3


def test_long_runs_are_counted() -> None:
    cells = [CanvasCell("mask", None)] * 40 + [CanvasCell("kept", 7)] * 3
    assert canvas(cells, {7: "8"}.__getitem__, colour=False).plain == "_×40 888"


def test_last_frame_is_the_answer(tiny_model: Any) -> None:
    """Whatever a policy does, replaying its events ends in its tokens."""
    policies = (dlmsample.T2M(fill_threshold=0.05), dlmsample.D3IM(steps=7), dlmsample.DSC(scorer="random"))
    for policy in policies:
        out = dlmsample.Sampler(tiny_model, policy).generate(["abc", "d"], 20, record=True)
        for events, tokens in zip(out.trace or [], out.tokens, strict=True):
            cells = list(frames(events, 20))[-1].cells
            assert [cell.token for cell in cells] == tokens
