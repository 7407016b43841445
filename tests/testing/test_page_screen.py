"""The page on screens of several sizes, in light and in dark."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import pytest

from tests.testing.browser import Browser, find_browser
from tests.testing.page_traces import HOSTILE, by_hand, event, simulated
from trio_gossip.testing.checkers.base import Findings, Violation
from trio_gossip.testing.page import make_page

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no browser: chromium or google-chrome must be in PATH"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests; in the end there must be no error."""
    started = Browser(PROGRAM, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()
    assert started.problems == []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    _, trace = simulated(30, act=lambda simulation: simulation.crash("n4"), seconds=15.0)
    path = tmp_path_factory.mktemp("page") / "run.html"
    path.write_text(make_page(trace), encoding="utf-8")
    return path


def colours_of(png: bytes) -> int:
    """How many different bytes a picture has: a blank one has next to none."""
    data = b""
    at = 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return len(set(zlib.decompress(data)))


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080), (600, 900)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_real_run_fits_the_screen(browser, page, width, height, scheme):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Emulation.setEmulatedMedia", features=features)
    browser.open(page)
    assert browser.value("document.documentElement.scrollWidth") <= width
    if width > 900:
        assert browser.value("document.documentElement.scrollHeight") <= height
        ring, card = browser.box("#ring"), browser.box("#picture")
        labels = browser.value(
            "[...document.querySelectorAll('.node text')].map("
            "(text) => text.getBoundingClientRect().toJSON())"
        )
        assert ring["width"] <= card["width"]
        for label in labels:
            assert card["x"] <= label["x"]
            assert label["x"] + label["width"] <= card["x"] + card["width"]
            assert card["y"] <= label["y"]
            assert label["y"] + label["height"] <= card["y"] + card["height"]
    dark = browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(12, 16, 22)"
    assert dark == (scheme == "dark")
    assert colours_of(browser.screenshot()) > 100
    browser.call("Emulation.clearDeviceMetricsOverride")


def show(browser, path, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.open(path)


def test_on_a_narrow_screen_legends_stand_below_the_circle(browser, page):
    show(browser, page, 600, 900)
    ring = browser.box("#ring")
    assert ring["width"] > 500
    assert ring["height"] > 500
    for legend in ("#states", "#kinds", "#chosen"):
        assert browser.box(legend)["y"] >= ring["y"] + ring["height"], legend
    assert browser.box("#flights") == ring, "packets fly from member to member"
    cards = ("header", "#picture", "#news", "#log", "footer")
    boxes = [browser.box(card) for card in cards]
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"]
    browser.call("Emulation.clearDeviceMetricsOverride")


CUT = (
    "[...document.querySelectorAll('#rumours .facts > *')]"
    ".filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"
)


@pytest.mark.parametrize("width", [1280, 1000, 600])
def test_no_figure_of_the_news_is_cut(browser, tmp_path, width):
    trace = by_hand()
    trace.add(109.0, "event", "a", "", event("MemberSuspected", "b", "probe_failed", "a"))
    trace.add(120.3, "event", "a", "", event("MemberFailed", "b", "suspicion_expired", "a"))
    trace.add(125.6, "event", "a", "", event("MemberRecovered", "b", "refuted"))
    path = tmp_path / "long.html"
    path.write_text(make_page(trace), encoding="utf-8")
    show(browser, path, width, 800)
    assert "cleared +16.60 s" in browser.value("document.getElementById('rumours').textContent")
    assert browser.value(CUT) == []
    browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("width", [1280, 600])
def test_broken_rules_are_listed_and_marked_at_their_times(browser, tmp_path, width):
    findings = Findings()
    for time, text in ((2.0, "too early"), (6.0, HOSTILE)):
        findings.add(Violation(time, "some-rule", text))
    path = tmp_path / "broken.html"
    path.write_text(make_page(by_hand(), about=HOSTILE, findings=findings), encoding="utf-8")
    show(browser, path, width, 800)
    assert browser.value("document.getElementById('about').innerText") == HOSTILE
    assert browser.value("document.querySelector('#breaches summary').innerText") == (
        "Rules were broken: 2 violations"
    )
    listed = browser.value("document.querySelector('#breaches ol').innerText")
    assert "some-rule: too early" in listed
    assert HOSTILE in listed
    assert browser.value("document.body.dataset.time") == "2.0000", "it opens where it matters"
    slider = browser.box("#slider")
    for at, time in enumerate((2.0, 6.0), 1):
        x, _ = browser.middle(f"#marks i:nth-child({at})")
        wanted = slider["x"] + 8 + time / 8.0 * (slider["width"] - 16)
        assert x == pytest.approx(wanted, abs=1.5)
    browser.value("document.querySelector('#marks i:nth-child(2)').click()")
    assert browser.value("document.body.dataset.time") == "6.0000"
    browser.value("document.querySelector('#breaches button').click()")
    assert browser.value("document.body.dataset.time") == "2.0000"
    assert "some-rule: too early" in browser.value("document.querySelector('.row.now').innerText")
    browser.call("Emulation.clearDeviceMetricsOverride")


def test_a_run_without_a_fault_has_no_banner(browser, page):
    show(browser, page, 1280, 800)
    for absent in ("#breaches", "#about"):
        assert browser.box(absent)["height"] == 0
    assert browser.value("document.querySelectorAll('#marks i').length") == 0
    browser.call("Emulation.clearDeviceMetricsOverride")
