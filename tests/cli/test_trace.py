"""``--trace``: the page of how answers were decoded; harmless and legible whatever the model says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dlmsample
from dlmsample.cli.answers import page as tracepage
from dlmsample.cli.answers.page import TracedAnswer, page
from dlmsample.types import Event, RowStats
from tests.browser import Browser
from tests.cli.conftest import Call, is_mistake
from tests.pages import HOSTILE, Server, check_harmless, check_inert, level

MASK = 2
STATS = RowStats(4, 5, 1, 3, 4, 1, 1, 66.67, 0.6, False, "length")
EVENTS = [
    Event("fill", 0, 0, 0, MASK, 10, 0.9126),
    Event("fill", 0, 0, 2, MASK, 11, 0.875),
    Event("replace", 1, 0, 0, 10, 12, 0.8),
    Event("remask", 1, 0, 2, 11, MASK, 0.125),
    Event("fill", 3, 0, 1, MASK, 13, 0.7),
    Event("fill", 3, 0, 2, MASK, 13, 0.6),
    Event("fill", 4, 1, 3, MASK, 14, 0.5),
]
WORDS = {10: "one", 11: " two", 12: "uno", 13: "3\n", 14: "last", 20: "Given ", 21: " end"}
SHORT = ("--max-new-tokens", "12")


def decode(ids: list[int]) -> str:
    return "".join(WORDS[i] for i in ids)


def made(*rows: TracedAnswer, decode: Callable[[list[int]], str] = decode) -> str:
    given = rows or [TracedAnswer("Why?", "uno3", STATS, EVENTS, 6)]
    return page(given, decode, dlmsample.T2M(), {"model": "nano", "block length": "8"})


def body(text: str) -> str:
    """What a page shows, tags left out."""
    return re.sub(r"<[^>]*>", "", text[text.index("<body>") :])


def rows_of(text: str) -> list[str]:
    return re.findall(r'<td class="canvas">(.*?)</td>', text, re.DOTALL)


def test_a_row_a_step_with_what_changed_and_how_sure_it_was() -> None:
    text = made()
    check_harmless(text)
    first, second, third, last = rows_of(text)
    assert '<ins title="position 1: filled with “one”, probability 0.913">one</ins>' in first
    assert first.count("<ins") == 2
    replaced = '<mark title="position 1: “one” replaced by “uno”, probability 0.800">uno</mark>'
    assert replaced in second
    assert '<del title="position 3: “ two” remasked, its probability 0.125"> two</del>' in second
    assert "<ins" not in second
    assert third.count("3⏎</ins>") == 2
    assert '<ins title="position 4: filled with “last”, probability 0.500">last</ins>' in last
    assert "uno3⏎3⏎" in body(f"<body>{last}")  # what stands before the block, plain
    assert "░░" in last  # two positions that nothing filled
    assert re.findall(r'<th scope="row">(\d+)</th>', text) == ["1", "2", "4", "5"]


def test_blocks_have_boundaries() -> None:
    text = made()
    assert "Block 1: positions 1 to 3, steps 1 to 4" in text
    assert "Block 2: position 4, step 5" in text
    assert all(row.count('<b class="edge"') == 2 for row in rows_of(text))
    final = text[text.index('class="final"') :].partition("</pre>")[0]
    assert final.count('<b class="edge"') == 2


def test_every_token_of_the_answer_tells_its_history() -> None:
    final = made()[made().index('class="final"') :]
    story = "position 1: step 1 filled with “one” 0.913; step 2 replaced by “uno” 0.800"
    assert f'<span class="edited" title="{story}">uno</span>' in final
    assert '<span title="position 2: step 4 filled with “3⏎” 0.700">3⏎</span>' in final


def test_policy_options_settings_and_statistics() -> None:
    text = body(made())
    for word in ("t2m", "max_ratio", "0.25", "detector", "low_prob", "arXiv", "nano", "block length", "66.67", "Why?"):
        assert word in text
    for name in STATS.asdict():
        assert name.replace("_", " ") in text


def test_given_text_stands_around_the_masks() -> None:
    given = [20, None, None, 21, None, None]
    text = made(TracedAnswer("Given [MASK]", "Given uno", STATS, EVENTS, 4, given))
    rows = [body(f"<body>{row}") for row in rows_of(text)]
    assert rows[0] == "Given one░ end two░"
    assert rows[-1] == "Given uno3⏎ end3⏎last"


def test_long_answers_are_folded_and_shortened() -> None:
    events = [Event("fill", at, at // 100, at, MASK, at, 0.5) for at in range(1000)]
    row = TracedAnswer("p", "t", STATS, events, 2000)
    text = made(row, decode=lambda ids: "".join(f"word{i} " for i in ids))
    blocks = re.findall(r'<details class="block"( open)?>', text)
    assert blocks == [" open", *[""] * 9]
    assert len(text) < 900_000
    assert "░×1000" in text
    assert max(len(body(f"<body>{cell}")) for cell in rows_of(text)) < 1500


def test_many_answers_are_folded_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracepage, "MOST", 7)
    row = TracedAnswer("p", "t", STATS, EVENTS, 6)
    text = made(*[row] * 9)
    assert re.findall(r'<details class="answer" id="answer\d+"( open)?>', text) == [" open", *[""] * 6]
    assert "2 more answers are left out" in text
    assert "left out" not in made(*[row] * 7)
    assert made(row, row, row).count("answer3") == 2  # the contents lead to it


def test_it_is_written_beside_the_answers(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    args = ("generate", "-", "--policy", "t2m", "--json", *SHORT)
    plain = call(*args, stdin=b"first\nsecond\n")
    code, out, err = call(*args, "--trace", str(target), stdin=b"first\nsecond\n")
    assert (code, out, err) == (0, plain.out, "")
    text = target.read_text()
    check_harmless(text)
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == text.count('<details class="answer"') == 2
    assert all(row["prompt"] in text for row in rows)
    assert sum(row["stats"]["fills"] for row in rows) == sum(row.count("<ins ") for row in rows_of(text))
    assert sum(row["stats"]["remasks"] for row in rows) == sum(row.count("<del ") for row in rows_of(text))
    assert [p.name for p in tmp_path.iterdir()] == ["out.html"]


def test_with_templates_steps_and_chats(call: Call, tmp_path: Path) -> None:
    target = str(tmp_path / "out.html")
    code, out, err = call(
        "generate", "--template", "3 + [MASK] = 7", "--template", "[MASK]", "--show", "steps", "--trace", target
    )
    assert (code, err) == (0, "")
    assert "step 1, block 1: 1 filled" in out
    text = Path(target).read_text()
    assert re.search(r"3 \+.*<ins .*</ins>.* = 7", rows_of(text)[0])
    assert "mask 1: filled with" in text
    (tmp_path / "chat.json").write_text(json.dumps([{"role": "user", "content": "Why & how?"}]))
    assert call("generate", "--chat", str(tmp_path / "chat.json"), *SHORT, "--trace", target).code == 0
    assert "user: Why &amp; how?" in Path(target).read_text()


@pytest.mark.parametrize(
    ("path", "remedy"),
    [("/nowhere/at/all.html", "create it"), ("/", "name a file"), ("", "name a file"), ("/proc/x", "'/proc/x'")],
)
def test_where_it_cannot_be_written(path: str, remedy: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlmsample, "load", lambda *a, **k: pytest.fail("loaded"))
    is_mistake(call("generate", "x", "--trace", path), "(--trace)", remedy)


def test_not_over_the_output(call: Call, tmp_path: Path) -> None:
    same = str(tmp_path / "x")
    is_mistake(call("generate", "x", "--trace", same, "--output", same), "--trace and --output")


def hostile(port: int = 9) -> str:
    """Prompts, answers, tokens and settings that would be markup."""
    bad = [text.replace("PORT", str(port)) for text in HOSTILE]
    words = {**WORDS, **dict(enumerate(bad, 10))}
    rows = [TracedAnswer(text, text, STATS, EVENTS, 6, [10, None, 15, None, None, None, None, None]) for text in bad]
    return page(rows, lambda ids: "".join(words[i] for i in ids), dlmsample.T2M(), {"model": bad[0], bad[1]: bad[2]})


def test_hostile_texts_are_escaped() -> None:
    outline = check_harmless(hostile())
    assert len(outline.all("ins")) > 6 * 4


def test_in_a_browser(browser: Browser, server: Server, tmp_path: Path) -> None:
    port, asked = server
    target = tmp_path / "page.html"
    target.write_text(hostile(port), encoding="utf-8")
    browser.open(target.as_uri())
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true }); 0")
    check_inert(browser, target.as_uri(), asked)
    shown = browser.run("document.body.innerText")
    for text in HOSTILE[:5]:
        assert shown.count(text.replace("PORT", str(port))) >= 2  # prompt and answer
    assert "\\x1b[2J\\u202e" in shown
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    for place in ("td.canvas", ".final", "ins", "mark", "del", ".legend", "table.figures"):
        assert browser.run(f"document.querySelector('{place}').getBoundingClientRect().height") > 8


def test_changes_differ_in_shape_and_colour_in_light_and_dark(browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text(made(), encoding="utf-8")
    browser.open(target.as_uri())

    def look(place: str, what: str) -> Any:
        return browser.run(f"getComputedStyle(document.querySelector('td.canvas {place}')).{what}")

    changes, seen = ("ins", "mark", "del"), {}
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        ink = level(browser.run("getComputedStyle(document.body).color"))
        grounds = [look(change, "backgroundColor") for change in changes]
        assert len(set(grounds)) == 3
        assert all(
            abs(level(look(change, "color")) - level(ground)) > 90
            for change, ground in zip(changes, grounds, strict=True)
        )
        assert (ink < 128) == (scheme == "light")
        shapes = [(look(c, "textDecorationLine"), look(c, "textDecorationStyle")) for c in changes]
        assert len(set(shapes)) == 3
        seen[scheme] = grounds
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True))
