"""The page of recorded runs: harmless and legible whatever a model says, on any screen, with any input device."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlmsample.types import Event, RowStats
from dlmsample.viewer import page as pages
from dlmsample.viewer.page import trace_page
from dlmsample.viewer.runs import TracedAnswer, TracedRun
from tests.browser import Browser
from tests.pages import HOSTILE, Server, check_harmless, check_inert, level

MASK, EOS = 2, 1
STATS = RowStats(4, 5, 1, 3, 4, 1, 1, 66.67, 0.6, False, "length")
EVENTS = [
    Event("fill", 0, 0, 0, MASK, 10, 0.9126),
    Event("fill", 0, 0, 2, MASK, 11, 0.875),
    Event("replace", 1, 0, 0, 10, 12, 0.8),
    Event("remask", 1, 0, 2, 11, MASK, 0.125, "low_prob", 0.125),
    Event("fill", 3, 0, 1, MASK, 13, 0.7),
    Event("fill", 3, 0, 2, MASK, 13, 0.6),
    Event("fill", 4, 1, 3, MASK, 14, 0.5),
]
WORDS = {EOS: "<eos>", 10: "one", 11: " two", 12: "uno", 13: "3\n", 14: "last", 20: "Given ", 21: " end"}
POLICY = {
    "label": "t2m",
    "name": "t2m",
    "rule": "a rule",
    "paper": "arXiv:1",
    "options": {"max_ratio": 0.25, "eos": None},
}


def run(events: list[Event] = EVENTS, length: int = 6, label: str = "t2m", text: str = "uno3") -> TracedRun:
    return TracedRun(label, text, STATS, events, length)


def made(*answers: TracedAnswer, words: dict[int, str] = WORDS, command: str | None = "dlmsample generate") -> str:
    given = answers or [TracedAnswer("Why?", [run()])]
    settings = {"model": "nano", "block length": "8"}
    return trace_page(given, lambda ids: "".join(words[i] for i in ids), [EOS], [POLICY], settings, command)


Open = Callable[[str], Browser]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Open:
    """A page in the browser, which must not complain about it."""

    def show(text: str) -> Browser:
        target = tmp_path / "page.html"
        target.write_text(text, encoding="utf-8")
        browser.open(target.as_uri())
        assert browser.told("Log.entryAdded") == browser.told("Runtime.exceptionThrown") == []
        return browser

    return show


def canvas(browser: Browser, at: int = 0) -> list[str]:
    """What the cells of a canvas show."""
    cells = f"document.querySelectorAll('.canvas')[{at}].querySelectorAll('.cell, .badge, .given')"
    return browser.run(f"[...{cells}].map(c => c.textContent)")


def walk(browser: Browser, step: int) -> None:
    browser.run(
        f"(s => {{ s.value = {step}; s.dispatchEvent(new Event('input')) }})(document.querySelector('.slider')); 0"
    )


def press(browser: Browser, key: str, place: str = ".canvas") -> None:
    browser.run(f"document.querySelector('{place}').focus(); 0")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)


def story(browser: Browser) -> str:
    return browser.run("document.querySelector('.story').textContent")


def test_what_stands_in_it_without_a_script() -> None:
    text = made(TracedAnswer("Why?", [run()], gold="4 < 5"))
    outline = check_harmless(text, scripted=True)
    for words in ("t2m", "max_ratio", "0.25", "null", "arXiv:1", "nano", "block length", "66.67", "Why?", "uno3"):
        assert words in text
    assert '<pre class="gold">4 &lt; 5</pre>' in text
    assert text.index("Why?") < text.index("How this was made") < text.index("dlmsample generate")
    assert outline.all("noscript") == [{}]
    for name in ("tokens per forward", "finish reason"):
        assert f'<th scope="col">{name}</th>' in text


def test_many_answers_are_folded_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST", 7)
    answer = TracedAnswer("p", [run()])
    text = made(*[answer] * 9)
    assert text.count('<details class="answer"') == 7
    assert text.count(" open>") == 1
    assert "2 more answers are left out" in text
    assert "left out" not in made(*[answer] * 7)


def test_step_by_step(opened: Open) -> None:
    browser = opened(made())
    assert canvas(browser) == ["uno", "3⏎", "3⏎", "last", "░", "░"]
    walk(browser, 0)
    assert canvas(browser) == ["░"] * 6
    walk(browser, 1)
    assert canvas(browser) == ["one", "░", " two", "░", "░", "░"]
    walk(browser, 2)
    assert canvas(browser) == ["uno", "░", " two", "░", "░", "░"]
    kinds = browser.run("[...document.querySelectorAll('.canvas .cell')].map(c => c.className).slice(0, 3)")
    assert kinds == ["cell now replace", "cell mask", "cell now remask"]
    walk(browser, 3)
    assert canvas(browser)[:3] == ["uno", "3⏎", "3⏎"]
    assert browser.run("document.querySelector('.count').textContent") == "step 3 of 4"
    assert browser.run("document.querySelector('.facts').textContent") == "Step 4, block 1: 2 filled."


def test_places_stay_where_they_are(opened: Open) -> None:
    browser = opened(made())
    lefts = []
    for step in range(5):
        walk(browser, step)
        cells = "[...document.querySelectorAll('.canvas .cell')].map(c => Math.round(c.getBoundingClientRect().left))"
        lefts.append(browser.run(cells))
    assert all(left == lefts[0] for left in lefts)


def test_with_the_keyboard(opened: Open) -> None:
    browser = opened(made())
    press(browser, "Home")
    assert canvas(browser) == ["░"] * 6
    press(browser, "ArrowDown")
    press(browser, "ArrowDown")
    assert canvas(browser)[0] == "uno"
    press(browser, "ArrowRight")
    press(browser, "ArrowRight")
    because = "remasked at probability 0.125, because of low_prob 0.125"
    assert story(browser) == f"t2m, position 3: step 1 filled with “ two” at probability 0.875; step 2 {because}."
    chosen = "document.getElementById(document.querySelector('.canvas').getAttribute('aria-activedescendant'))"
    assert browser.run(f"{chosen}.getAttribute('aria-label')") == "position 3: masked, just now"
    press(browser, "ArrowLeft")
    assert story(browser) == "t2m, position 2: masked so far."
    press(browser, "End")
    assert canvas(browser)[3] == "last"
    press(browser, "ArrowLeft", ".slider")
    assert browser.run("document.querySelector('.count').textContent") == "step 3 of 4"
    for control in ("button", "select", ".slider"):
        every = f"[...document.querySelectorAll('.viewer {control}')]"
        assert browser.run(
            f"{every}.every(e => e.getAttribute('aria-label') && e.getBoundingClientRect().height >= 40)"
        )


def test_it_plays(opened: Open) -> None:
    browser = opened(made())
    walk(browser, 0)
    browser.run(
        "document.querySelectorAll('.viewer select')[0].value = '50'; document.querySelector('[title=Play]').click(); 0"
    )
    waiting = (
        "new Promise(done => { const look = () => document.querySelector('.count').textContent.startsWith('step 4')"
    )
    browser.call(
        "Runtime.evaluate", expression=f"{waiting} ? done() : setTimeout(look, 20); look() }})", awaitPromise=True
    )
    assert canvas(browser)[3] == "last"
    assert browser.run("document.querySelector('[title=Play]').getAttribute('aria-label')") == "Play"


def test_a_touch_tells_the_history(opened: Open) -> None:
    browser = opened(made())
    browser.run("document.querySelectorAll('.canvas .cell')[0].click(); 0")
    assert "step 1 filled with “one” at probability 0.913; step 2 replaced by “uno” at probability 0.800" in story(
        browser
    )


def test_every_position_has_a_column_through_all_steps(opened: Open) -> None:
    browser = opened(made())
    browser.run("document.querySelector('details.all').open = true; 0")
    browser.run("0")
    cells = "[...r.cells].map(c => c.textContent)"
    rows = browser.run(f"[...document.querySelectorAll('table.grid')].map(t => [...t.rows].map(r => {cells}))")
    assert rows == [
        [["step", "1", "2", "3"], ["1", "one", "░", " two"], ["2", "uno", "░", " two"], ["4", "uno", "3⏎", "3⏎"]],
        [["step", "4"], ["5", "last"]],
    ]


def test_confidence_is_a_shade_and_entropy_where_it_is_known(opened: Open) -> None:
    browser = opened(made())
    looks = "[...document.querySelectorAll('.viewer select')[1].options].map(o => o.value)"
    assert browser.run(looks) == ["change", "confidence"]
    shade = "document.querySelectorAll('.viewer select')[1]"
    browser.run(f"(s => {{ s.value = 'confidence'; s.dispatchEvent(new Event('change')) }})({shade}); 0")
    doubts = browser.run(
        "[...document.querySelectorAll('.canvas .cell')].map(c => c.style.getPropertyValue('--doubt'))"
    )
    assert doubts == ["20", "30", "40", "50", "", ""]


def test_alternatives_are_told(opened: Open) -> None:
    events = [Event("fill", 0, 0, 0, MASK, 10, 0.5, entropy=1.2, others=((10, 0.5), (12, 0.25)))]
    browser = opened(made(TracedAnswer("p", [run(events, 1)])))
    browser.run("document.querySelector('.canvas .cell').click(); 0")
    assert "entropy 1.200, most probable “one” 0.500, “uno” 0.250" in story(browser)
    shade = "document.querySelectorAll('.viewer select')[1]"
    browser.run(f"(s => {{ s.value = 'entropy'; s.dispatchEvent(new Event('change')) }})({shade}); 0")
    assert browser.run("document.querySelector('.canvas .cell').style.getPropertyValue('--doubt')") == "40"


def test_two_policies_share_the_steps(opened: Open) -> None:
    other = [Event("fill", step, 0, step, MASK, 10, 0.5) for step in range(6)]
    browser = opened(made(TracedAnswer("Why?", [run(), run(other, label="unmask")])))
    assert browser.run("document.querySelector('.count').textContent") == "step 6 of 6"
    walk(browser, 5)
    assert canvas(browser, 0)[3] == "last"
    assert canvas(browser, 1) == ["one"] * 5 + ["░"]
    assert "done before the other" in browser.run("document.querySelector('.facts').textContent")
    tops = browser.run("[...document.querySelectorAll('.run')].map(r => r.getBoundingClientRect().top)")
    assert tops[0] == tops[1]  # beside each other


def test_long_runs_are_told_in_words_not_in_figures_of_the_text(opened: Open) -> None:
    events = [Event("fill", 0, 0, at, MASK, 10, 0.5) for at in range(3)]
    browser = opened(made(TracedAnswer("p", [run(events, 9171)])))
    assert canvas(browser) == ["one", "one", "one", "9168 positions masked"]
    assert browser.run("getComputedStyle(document.querySelector('.badge')).borderTopStyle") == "dashed"
    ends = [Event("fill", at // 10, 0, at, MASK, 10 if at < 2 else EOS, 0.5) for at in range(40)]
    browser = opened(made(TracedAnswer("p", [run(ends, 40)])))
    assert canvas(browser) == ["one", "one", "end of the answer, 38 positions, 10 just now"]
    walk(browser, 1)
    assert canvas(browser)[-1] == "30 positions masked"
    later = [*ends, Event("replace", 9, 0, 0, 10, 12, 0.5)]
    browser = opened(made(TracedAnswer("p", [run(later, 40)])))
    assert canvas(browser) == ["uno", "one", "end of the answer, 38 positions"]


def test_given_text_stands_around_the_masks(opened: Open) -> None:
    given = [20, None, None, 21, None, None]
    browser = opened(made(TracedAnswer("Given [MASK]", [run(length=4)], given)))
    assert canvas(browser) == ["Given ", "uno", "3⏎", " end", "3⏎", "last"]


def hostile(port: int = 9) -> str:
    """Prompts, answers, tokens, labels and settings that would be markup."""
    bad = [text.replace("PORT", str(port)) for text in HOSTILE]
    words = {**WORDS, **dict(enumerate(bad, 10))}
    answers = [
        TracedAnswer(text, [run(label=text, text=text)] * 2, [10, None, 15, None, None, None, None, None], text)
        for text in bad
    ]
    policy = {"label": bad[0], "name": bad[1], "rule": bad[2], "paper": bad[3], "options": {bad[4]: bad[5]}}
    settings = {"model": bad[0], bad[1]: bad[2]}
    return trace_page(answers, lambda ids: "".join(words[i] for i in ids), [EOS], [policy], settings, bad[0])


def test_hostile_texts_are_data(browser: Browser, server: Server, tmp_path: Path) -> None:
    port, asked = server
    text = hostile(port)
    check_harmless(text, scripted=True)
    target = tmp_path / "page.html"
    target.write_text(text, encoding="utf-8")
    browser.open(target.as_uri())
    for _ in range(2):  # an answer, then the steps in it
        browser.run("document.querySelectorAll('details').forEach(d => { d.open = true }); 0")
        browser.run("0")
    browser.run("document.querySelectorAll('.canvas .cell').forEach(c => c.click()); 0")
    check_inert(browser, target.as_uri(), asked)
    shown = browser.run("document.body.textContent")
    for words in HOSTILE[:5]:
        assert shown.count(words.replace("PORT", str(port))) >= 4
    assert "\\x1b[2J\\u202e" in shown  # in the markup
    assert "\\u001b[2J\\u202e" in shown  # in the canvas
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    free = "e => !e.closest('.wide')"
    assert browser.run(f"{wide}.filter({free}).map(e => e.tagName + '.' + e.className)") == []
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_on_any_screen(width: int, scheme: str, opened: Open, tmp_path: Path) -> None:
    browser = opened(made(TracedAnswer("Why? " * 30, [run(), run(label="other")])))
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    try:
        browser.prefer(scheme)
        walk(browser, 2)
        assert browser.run("document.documentElement.scrollWidth") <= width
        ink = level(browser.run("getComputedStyle(document.body).color"))
        assert (ink < 128) == (scheme == "light")

        def look(kind: str, what: str) -> Any:
            return browser.run(f"getComputedStyle(document.querySelector('.legend .{kind}')).{what}")

        kinds = ("fill", "replace", "remask")
        grounds = [look(kind, "backgroundColor") for kind in kinds]
        assert len(set(grounds)) == 3
        assert all(abs(ink - level(ground)) > 90 for ground in grounds)
        shapes = [(look(kind, "textDecorationLine"), look(kind, "textDecorationStyle")) for kind in kinds]
        assert len(set(shapes)) == 3
        picture = base64.b64decode(browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])
        (tmp_path / f"trace_{scheme}_{width}.png").write_bytes(picture)
        assert picture.startswith(b"\x89PNG")
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_it_prints(opened: Open) -> None:
    browser = opened(made())
    assert len(base64.b64decode(browser.call("Page.printToPDF")["data"])) > 1000
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.run("getComputedStyle(document.querySelector('.bar')).display") == "none"
        assert browser.run("document.querySelector('.canvas').getBoundingClientRect().height") > 8
        browser.call("Emulation.setDeviceMetricsOverride", width=700, height=900, deviceScaleFactor=1, mobile=False)
        browser.run("document.querySelectorAll('details').forEach((part) => { part.open = true })")
        browser.run("new Promise((done) => requestAnimationFrame(() => done(0)))")
        assert browser.run("document.querySelectorAll('table.grid').length") > 0
        assert browser.run("document.documentElement.scrollWidth") <= 700, "paper does not scroll"
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")
        browser.call("Emulation.setEmulatedMedia", media="")
