"""The page in a browser, on any screen: the table sorts and filters, costs are chosen, labels keep apart."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from tests.ablate.fakes import FakeStore, answers, cell, written
from tests.browser import Browser
from tests.pages import level

VERDICTS = ("11111100", "11110000", "11100000", "11111000", "11111110")


def sweep() -> FakeStore:
    """A sweep of two options, plain decoding, and a policy whose few forwards are wide."""
    held = [(cell(f"unmask(tokens_per_step={n})"), answers(VERDICTS[n % 5], nfe=64 // n)) for n in (1, 2, 4)]
    for at, (threshold, budget) in enumerate(product((0.1, 0.2, 0.3), (1, 2))):
        policy = f"t2m(threshold={threshold}, max_remasks={budget})"
        given = answers(VERDICTS[at % 5], nfe=20 + at % 2, positions=700 + at, wall_seconds=0.2, text="So: 7 * 2 = 13.")
        held.append((cell(policy), given))
    held.append((cell("d3im(steps=24)", block_length="all"), answers("11111111", nfe=6, positions=2400)))
    return FakeStore(held)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    written(sweep(), tmp_path, monkeypatch)
    browser.prefer("light")
    screen(browser, 1400)
    browser.open((tmp_path / "report.html").as_uri())
    assert browser.told("Log.entryAdded") == browser.told("Runtime.exceptionThrown") == []
    yield browser
    browser.call("Emulation.clearDeviceMetricsOverride")


def screen(browser: Browser, width: int) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)


def rows(browser: Browser, at: int = 0) -> list[str]:
    """A column of the rows that are shown, as they stand."""
    return browser.run(
        "[...document.querySelectorAll('tbody tr:not([hidden])')]"
        f".map(row => row.cells[{at}].firstChild.textContent.trim())"
    )


def press(browser: Browser, key: str) -> None:
    given: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13}[key]}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **given, **({"text": "\r"} if key == "Enter" else {}))
    browser.call("Input.dispatchKeyEvent", type="keyUp", **given)


def test_the_table_sorts_by_keyboard_and_filters(opened: Browser) -> None:
    grid = rows(opened)
    heads = opened.run("[...document.querySelectorAll('thead th')].map(h => h.innerText.trim())")
    cost = heads.index("positions")
    opened.run("document.querySelector('.tools input').focus(); 0")
    for _ in range(cost + 2):  # past the region that scrolls, to the heading
        press(opened, "Tab")
    assert opened.run("document.activeElement.textContent") == "positions"
    press(opened, "Enter")
    state = "[...document.querySelectorAll('thead th')].map(h => h.getAttribute('aria-sort'))"
    assert opened.run(state) == ["ascending" if at == cost else None for at in range(len(heads))]
    costs = [float(text.replace(",", "")) for text in rows(opened, cost)]
    assert costs == sorted(costs)
    assert costs[-1] == 2400
    press(opened, "Enter")
    assert opened.run(state)[cost] == "descending"
    assert [float(text.replace(",", "")) for text in rows(opened, cost)] == sorted(costs, reverse=True)
    assert "sorted by positions, descending; 10 of 10 shown" in opened.run(
        "document.querySelector('[role=status]').textContent"
    )
    opened.run("document.querySelectorAll('thead button')[0].click(); 0")
    assert rows(opened) == grid

    opened.run(
        "{ const box = document.querySelector('.tools input');"
        "box.value = 'T2M =0.3'; box.dispatchEvent(new Event('input')) } 0"
    )
    assert rows(opened) == ["8 t2m threshold=0.3 max_remasks=1", "9 t2m threshold=0.3 max_remasks=2"]
    assert opened.run("document.querySelector('[role=status]').textContent") == "2 of 10 shown"


def test_a_cost_is_chosen_and_the_front_follows(opened: Browser) -> None:
    def seen() -> list[str]:
        found = "[...document.querySelectorAll('[class*=over-]')].filter(e => e.offsetHeight > 0)"
        return opened.run(f"{found}.map(e => e.className)")

    assert seen() == ["wide over-positions"]
    opened.run("document.querySelector('input[value=forwards]').click(); 0")
    assert seen() == ["wide over-forwards"]
    front = opened.run("document.querySelector('.over-forwards desc').textContent")
    assert "On the Pareto front: #10." in front  # six wide forwards look cheapest of all
    assert "#10" in opened.run("document.querySelector('.over-positions desc').textContent")
    assert "#3" in opened.run("document.querySelector('.over-positions desc').textContent")
    opened.run("document.querySelector('.over-forwards a.point').focus(); 0")
    press(opened, "Enter")
    assert opened.run("document.querySelector('tr:target') !== null")


def test_labels_keep_apart_and_axes_begin_near_the_data(opened: Browser) -> None:
    boxes = opened.run(
        "[...document.querySelectorAll('.over-positions .label')].map(e => e.getBoundingClientRect())"
        ".map(b => [b.left, b.top + 2, b.right, b.bottom - 2])"
    )
    assert len(boxes) >= 8
    for (a, b, c, d), (e, f, g, h) in combinations(boxes, 2):
        assert c <= e or g <= a or d <= f or h <= b
    marks = opened.run(
        "[...document.querySelectorAll('.over-positions a.point path')].map(e => e.getBoundingClientRect().left)"
        ".concat([document.querySelector('.over-positions .axis').getBoundingClientRect().left])"
    )
    assert min(marks[:-1]) - marks[-1] < 0.2 * (max(marks) - min(marks))


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (400, "light")])
def test_on_any_screen(width: int, scheme: str, opened: Browser, tmp_path: Path) -> None:
    screen(opened, width)
    opened.prefer(scheme)
    assert opened.run("document.documentElement.scrollWidth") <= width
    region = "document.querySelector('.figures .wide')"
    if width == 1400:
        assert opened.run(f"{region}.scrollWidth <= {region}.clientWidth")  # the whole table fits
    else:
        opened.run(f"{region}.scrollLeft = 300; 0")
        first, at = opened.run(
            f"[document.querySelector('tbody th'), {region}].map(e => e.getBoundingClientRect().left)"
        )
        assert abs(first - at) < 1  # it stays where it is while the others move
    ink, paper = (level(opened.run(f"getComputedStyle(document.body).{what}")) for what in ("color", "backgroundColor"))
    assert (ink < 128) == (scheme == "light")
    opened.run("document.querySelector('#flips details').open = true; 0")
    for mark in ("del", "ins"):
        assert abs(ink - level(opened.run(f"getComputedStyle(document.querySelector('{mark}')).backgroundColor"))) > 90
        assert opened.run(f"getComputedStyle(document.querySelector('pre {mark}')).textDecorationLine") != "none"
    assert abs(ink - paper) > 150
    picture = base64.b64decode(opened.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])
    (tmp_path / f"report_{scheme}_{width}.png").write_bytes(picture)
    assert picture.startswith(b"\x89PNG")
