"""The page: well formed and escaped by itself; and in a real browser it renders, requests nothing and runs nothing."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dlmsample.ablate.report.costs import front
from dlmsample.ablate.report.svg import ramp
from tests.ablate.fakes import FakeStore, answer, answers, cell, written
from tests.browser import Browser
from tests.pages import HOSTILE, Outline, Server, check_harmless, check_inert, level


def hostile(port: int = 9) -> FakeStore:
    """Texts of models, tasks, labels and errors that would be markup."""
    bad = [text.replace("PORT", str(port)) for text in HOSTILE]
    wrong = [answer(at, False, text=text, extracted=text, prompt=text, answer=text) for at, text in enumerate(bad)]
    right = [answer(at, True, prompt=text, answer=text) for at, text in enumerate(bad)]
    label = bad[0] + bad[1]
    held = [
        (cell("unmask"), right),
        (cell("t2m(threshold=0.1)"), wrong),
        (cell(f"t2m{label}", checkpoint=label), wrong[:3]),
        (cell("d3im", status="failed", error=bad[1], expected=6), wrong[:1]),
        (cell("unmask", task=label), right),
    ]
    return FakeStore(held, {"name": label})


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return written(hostile(), tmp_path, monkeypatch)["report.html"]


def test_it_is_well_formed_and_has_no_active_element(page: str) -> None:
    check_harmless(page, scripted=True)
    assert "{{ 7 * 191 }}" in page


def test_pictures_are_svg_with_names_for_those_who_do_not_see_them(page: str) -> None:
    pictures = [ElementTree.fromstring(found) for found in re.findall(r"<svg xmlns.*?</svg>", page, re.DOTALL)]
    assert len(pictures) == 8  # two tasks with a front for each of three costs, one with two checkpoints, and the key
    for picture in pictures:
        names = [child.text for child in picture[:2]]
        assert all(names)
        reached = picture.findall("{*}a")
        assert picture.get("role") == ("group" if reached else "img")
        assert all(link.get("href", "").startswith("#c") and link.get("aria-label") for link in reached)
        given = {child.get("id") for child in picture[:2]}
        assert set((picture.get("aria-labelledby") or "").split()) == given
    outline = Outline(page)
    assert len(outline.all("table")) == len(outline.all("caption")) == 3


def test_the_front_is_marked_without_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [
        (cell("unmask"), answers("1110", nfe=40)),
        (cell("t2m"), answers("1100", nfe=50)),
        (cell("d3im"), answers("1100", nfe=10)),
    ]
    page = written(FakeStore(held), tmp_path, monkeypatch)["report.html"]
    over = page[page.index('class="wide over-forwards"') :]
    shapes = re.findall(r'<path d="[^"]*" class="c\d (full|hollow)"', over[: over.index("</svg>")])
    assert sorted(shapes) == ["full", "full", "hollow"]
    assert "On the Pareto front: #1, #3." in over
    assert re.findall(r'scope="row".*?<td class="words">(.*?)</td>', page) == ["all", "–", "forwards"]


def test_front() -> None:
    assert front([(10, 0.5), (10, 0.5), (11, 0.5), (9, 0.4), (30, 0.9)]) == [True, True, False, True, True]
    assert front([]) == []


@pytest.mark.parametrize("share", [at / 20 for at in range(21)])
def test_numbers_on_the_heat_map_can_be_read(share: float) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, ramp(share)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2 AA


def test_flips_are_limited_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [(cell("unmask"), answers("1" * 50)), (cell("t2m"), answers("0" * 50))]
    page = written(FakeStore(held), tmp_path, monkeypatch)["report.html"]
    assert page.count("<article>") == 20
    assert "30 flipped examples more are left out" in page
    assert "0 gained, 50 lost" in page
    assert "of all" not in page[: page.index("<table")]
    long = [(cell("unmask"), answers("1")), (cell("t2m"), answers("0", text="y" * 9000))]
    assert "(5000 characters more)" in written(FakeStore(long), tmp_path, monkeypatch)["report.html"]


def test_empty_sections_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a comparison, or with one in which nothing flipped, there is no section of flips and no link to it."""
    alone = [(cell("unmask"), answers("10"))]
    alike = [*alone, (cell("t2m"), answers("10"))]
    for held in (alone, alike):
        page = written(FakeStore(held), tmp_path, monkeypatch)["report.html"]
        outline = Outline(page)
        assert "flips" not in page.replace(">flips<", "")
        assert "Failed cells" not in page
        assert 'class="provenance"' not in page
        assert {section["id"] for section in outline.all("section")} == {"task1", "notes"}
    differing = [*alike, (cell("d3im"), answers("11"))]
    assert written(FakeStore(differing), tmp_path, monkeypatch)["report.html"].count("<summary>#") == 1


def test_it_begins_with_what_the_results_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = {
        "name": "demo",
        "tasks": [{"name": "wordproblems", "split": "valid", "limit": 5}, {"name": "gsm8k", "split": None}],
        "checkpoints": [{"model": "nano", "dtype": "float64"}, {"model": "nano", "dtype": None}],
        "seeds": [0, 7],
    }
    notes = {"version": "1.2", "torch": "3.4", "device": "one abacus", "command": "dlmsample ablate <g>.yaml"}
    notes |= {"date": "2031-02-03", "grid_file": "g.yaml"}
    files = written(FakeStore([(cell("unmask"), answers("10"))], grid, notes), tmp_path, monkeypatch)
    head = files["report.html"][: files["report.html"].index("<nav")]
    for text in (
        *("g.yaml", "dlmsample ablate &lt;g&gt;.yaml", "2031-02-03", "dlmsample 1.2, torch 3.4", "one abacus", "0, 7"),
        *("float64, default", "wordproblems, split valid, first 5 examples", "gsm8k, split as reported, all examples"),
    ):
        assert f"<dd>{text}" in head or text in head
        assert text.split(" ")[0] in files["report.md"][: files["report.md"].index("\n## ")]


def test_pages_are_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(hostile(), tmp_path, monkeypatch) == written(hostile(), tmp_path, monkeypatch)


def test_in_a_browser(browser: Browser, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, asked = server
    written(hostile(port), tmp_path, monkeypatch)
    url = (tmp_path / "report.html").as_uri()
    browser.open(url)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true }); 0")
    check_inert(browser, url, asked)
    assert browser.run("document.title").startswith(HOSTILE[0])

    shown = browser.run("document.body.innerText")
    for text in HOSTILE[:5]:
        assert shown.count(text.replace("PORT", str(port))) >= 3  # prompt, gold answer and what was said
    assert "\\x1b[2J\\u202e" in shown
    for picture in ("#task1 svg", "#task2 svg", "#task1 table", "#flips pre", "#failed table"):
        assert browser.run(f"document.querySelector('{picture}').getBoundingClientRect().height") > 20
    inside = "[...document.querySelectorAll('svg text, svg path, svg rect')].every(e => { const [a, b] = "
    inside += "[e.getBoundingClientRect(), e.ownerSVGElement.getBoundingClientRect()]; "
    inside += (
        "return a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1 })"
    )
    assert browser.run(inside)


def test_light_and_dark(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(hostile(), tmp_path, monkeypatch)
    browser.open((tmp_path / "report.html").as_uri())
    looks = {}
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        looks[scheme] = [
            browser.run(f"getComputedStyle(document.querySelector('{place}')).{what}")
            for place, what in (
                ("body", "backgroundColor"),
                ("body", "color"),
                ("svg text", "fill"),
                ("svg .c0", "color"),
            )
        ]
    for scheme, (paper, ink, words, mark) in looks.items():
        assert (level(paper) > 200) == (scheme == "light")
        assert abs(level(paper) - level(ink)) > 150
        assert words == ink
        assert abs(level(paper) - level(mark)) > 80
    assert all(light != dark for light, dark in zip(looks["light"], looks["dark"], strict=True))


def test_the_policy_holds_even_where_a_text_were_not_escaped(
    browser: Browser, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = server
    page = written(hostile(port), tmp_path, monkeypatch)["report.html"]
    raw = "".join(HOSTILE[at].replace("PORT", str(port)) for at in (0, 1, 3, 4)).replace("</pre></details>", "")
    broken = tmp_path / "broken.html"
    broken.write_text(page.replace("</main>", raw + "</main>"), encoding="utf-8")
    browser.open(broken.as_uri())
    assert browser.run("typeof window.pwned") == "undefined"
    assert browser.run("document.querySelectorAll('th button').length") > 10  # its own script runs
    assert asked == []
    assert browser.told("Log.entryAdded")  # each was tried and refused

    bare = re.sub(r"<meta http-equiv[^>]*>", "", broken.read_text(encoding="utf-8"))  # and this test can tell
    broken.write_text(bare, encoding="utf-8")
    browser.open(broken.as_uri())
    assert browser.run("typeof window.pwned") == "number"
    assert asked
