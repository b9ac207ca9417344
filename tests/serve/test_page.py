"""The page at ``/`` in a real browser: it asks this server and nobody else, and shows what the Sampler gives."""

from __future__ import annotations

import html
import http.client
import json
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.serve.app import ServerState
from dlmsample.serve.checkpoints import ServedModel, ServedPolicy
from dlmsample.serve.limits import ServerLimits
from tests.browser import Browser
from tests.pages import check_harmless
from tests.serve.conftest import Running, serving, state_of, until

QUESTION = "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?"


def put(browser: Browser, **values: Any) -> None:
    """Fill in fields, as a user would."""
    for name, value in values.items():
        told = json.dumps(str(value))
        change = "e.dispatchEvent(new Event('change'))"
        browser.run(f"(e => {{ e.value = {told}; {change} }})(document.getElementById('{name}')); 0")


def said(browser: Browser) -> str:
    return browser.run("document.getElementById('said').textContent")


def show(browser: Browser, running: Running) -> None:
    browser.open(f"{running.url}/")
    until(lambda: browser.run("document.getElementById('policy0').options.length") > 0)


def decode(browser: Browser) -> None:
    browser.run("document.getElementById('go').click(); 0")
    until(lambda: said(browser) == "Done.")


def texts(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('#results pre')].map(e => e.textContent)")


def asked(browser: Browser) -> set[str]:
    urls = (event["request"]["url"] for event in browser.told("Network.requestWillBeSent"))
    return {url for url in urls if not url.startswith("data:")}


def test_two_policies_live(browser: Browser, running: Running, nano: ds.Denoiser) -> None:
    check_harmless(str(running.ask("/")[1]), scripted=True)
    show(browser, running)
    put(browser, prompt=QUESTION, policy0="unmask", options0="tokens_per_step=4", policy1="t2m", tokens=48)
    decode(browser)
    expected = [ds.Sampler(nano, p).generate([QUESTION], 48).texts[0] for p in (ds.Unmask(tokens_per_step=4), ds.T2M())]
    assert texts(browser) == expected
    shown = "[...document.querySelectorAll('.canvas')].map(c => c.textContent)"
    assert all(
        "".join(expected[at].split())[:20] in "".join(line.split()) for at, line in enumerate(browser.run(shown))
    )
    browser.run("(s => { s.value = 0; s.dispatchEvent(new Event('input')) })(document.querySelector('.slider')); 0")
    assert browser.run(shown) == ["48 positions masked"] * 2
    base = running.url
    assert asked(browser) == {f"{base}/", f"{base}/v1/models", f"{base}/v1/policies", f"{base}/v1/chat/completions"}
    assert browser.told("Log.entryAdded") == browser.told("Runtime.exceptionThrown") == []
    figures = browser.run("[...document.querySelectorAll('.figures')].map(e => e.textContent)")
    assert all("nfe" in line for line in figures)


def test_what_a_model_recommends_can_be_chosen(browser: Browser, nano: ds.Denoiser, scope: ds.Denoiser) -> None:
    own = ServedPolicy(ds.D3IM(steps=12))
    models = {"nano": ServedModel("nano", nano, ServedPolicy(ds.Unmask()))}
    models["nano+scope"] = ServedModel("nano+scope", scope, ServedPolicy(ds.Unmask()), own)
    with serving(ServerState(models, ServerLimits())) as running:
        show(browser, running)
        names = "[...document.getElementById('policy0').options].map(e => e.value)"
        assert "auto" not in browser.run(names)
        put(browser, policy0="t2m", model="nano+scope")
        assert browser.run(names)[0] == "auto"
        assert browser.run("document.getElementById('policy0').value") == "t2m"
        put(browser, prompt=QUESTION, policy0="auto", tokens=32)
        explained = browser.run("document.getElementById('known0').textContent")
        assert explained.startswith("d3im: ")
        assert "steps=12" in explained
        decode(browser)
        assert texts(browser) == ds.Sampler(scope, own.policy).generate([QUESTION], 32).texts
        put(browser, model="nano")
        assert browser.run("document.getElementById('policy0').value") != "auto"


def test_mistakes_are_told(browser: Browser, running: Running) -> None:
    show(browser, running)
    put(browser, options0="tokens_per_stop=4")
    browser.run("document.getElementById('go').click(); 0")
    until(lambda: "did you mean 'tokens_per_step'" in said(browser))
    put(browser, options0="nonsense")
    browser.run("document.getElementById('go').click(); 0")
    until(lambda: "name=value, not nonsense" in said(browser))
    put(browser, options0="", policy0="dsc")
    browser.run("document.getElementById('go').click(); 0")
    until(lambda: "reads a correction head" in said(browser))
    assert "--" not in said(browser)


def test_stopping_frees_the_place(browser: Browser, running: Running) -> None:
    show(browser, running)
    put(browser, prompt=QUESTION, tokens=900, policy0="unmask", block="all")
    browser.run("document.getElementById('go').click(); 0")
    until(lambda: running.state.engine.running == 1)
    browser.run("document.getElementById('stop').click(); 0")
    until(lambda: running.state.engine.running == 0)
    assert said(browser) == "Stopped."


def test_with_a_key(browser: Browser, nano: ds.Denoiser) -> None:
    with serving(state_of({"nano": nano}, key="sesame")) as running:
        browser.open(f"{running.url}/")
        until(lambda: "API key" in said(browser))
        put(browser, key="sesame")
        until(lambda: browser.run("document.getElementById('policy0').options.length") > 0)
        put(browser, prompt=QUESTION, tokens=8)
        decode(browser)
        assert "sesame" not in str(running.ask("/")[1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_narrow_screen(scheme: str, browser: Browser, running: Running) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
    try:
        browser.prefer(scheme)
        show(browser, running)
        put(browser, prompt=QUESTION, tokens=16, policy1="t2t")
        decode(browser)
        assert browser.run("document.documentElement.scrollWidth") <= 400
        labels = "[...document.querySelectorAll('.controls input, .controls select, .controls textarea')]"
        assert browser.run(f"{labels}.every(e => e.labels.length === 1)")
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_headers_of_the_page(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.request("GET", "/")
    response = connection.getresponse()
    page = response.read().decode()
    connection.close()
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "connect-src 'self'" in html.unescape(page)
