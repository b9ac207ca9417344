"""What every page must bear: texts that would be markup, an outline of what a page holds, what a browser did."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from tests.browser import Browser

HOSTILE = (
    "</pre></details><script>window.pwned=1</script>",
    "<img src=x onerror='window.pwned=2'><svg onload=window.pwned=3>",
    "<iframe srcdoc='<script>parent.pwned=4</script>'></iframe><object data=http://127.0.0.1:PORT/o></object>",
    "<link rel=stylesheet href=http://127.0.0.1:PORT/l><style>@import 'http://127.0.0.1:PORT/i'</style>",
    "<img src=http://127.0.0.1:PORT/p><a href='javascript:window.pwned=5'>x</a>{{ 7 * 191 }}{% raw %}",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:PORT/m'>]]></title></style>\x00\x1b[2J\u202e",
)
Server = tuple[int, list[str]]


class Outline(HTMLParser):
    """Open elements, headings, captions, and every attribute."""

    void = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def check_harmless(page: str, scripted: bool = False) -> Outline:
    """A page is well formed, and has no active element, no request and nothing hidden.

    ``scripted``: but for one script, which the page's policy names by its hash, and the data, if any, that it reads.
    """
    outline = Outline(page)
    assert outline.open == []
    tags = {tag for tag, _ in outline.seen}
    assert tags.isdisjoint({"img", "iframe", "object", "embed", "form", "base", "foreignobject"})
    if scripted:
        assert outline.all("script") in ([{"type": "application/json", "id": "data"}, {}], [{}])
        *data, script = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
        assert not {"<", ">", "&"} & set("".join(data))
        hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = next(m["content"] for m in outline.all("meta") if "http-equiv" in m) or ""
        assert re.findall(r"script-src ([^;]*);", policy) == [f"'sha256-{hashed}'"]
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script)
    else:
        assert "script" not in tags
    assert len(outline.all("style")) == len(outline.all("h1")) == 1
    assert [link["href"] for link in outline.all("link")] == ["data:,"]
    assert all((a["href"] or "").startswith("#") for a in outline.all("a"))
    for _, attributes in outline.seen:
        assert not any(name.startswith("on") or name in ("src", "srcdoc", "style") for name in attributes)
    identifiers = [attributes["id"] for _, attributes in outline.seen if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert not {"\x00", "\x1b", "\u202e"} & set(page)
    policy = next(m["content"] for m in outline.all("meta") if "http-equiv" in m)
    assert (policy or "").startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    return outline


def check_inert(browser: Browser, url: str, asked: list[str]) -> None:
    """The open page asked for nothing but itself and ran nothing."""
    assert requested(browser) == [url]
    assert asked == []
    assert browser.run("typeof window.pwned") == "undefined"
    assert browser.told("Log.entryAdded") == []  # nothing blocked: nothing was tried
    assert browser.told("Runtime.exceptionThrown") == browser.told("Page.javascriptDialogOpening") == []
    own = "#data, #data + script, main:last-of-type + script"
    found = f"script:not({own}), img, iframe, object, embed, style:not(head *)"
    assert browser.run(f"document.querySelectorAll('{found}').length") == 0


def requested(browser: Browser) -> list[str]:
    """Addresses asked for since the page was opened, but for data that is in the page."""
    urls = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    return [url for url in urls if not url.startswith("data:")]


def level(colour: str) -> float:
    """Mean of the three parts of ``rgb(r, g, b)``."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
