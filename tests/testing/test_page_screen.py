"""The page on screens of several sizes, in light and in dark."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.testing.browser import Browser, find_browser
from tests.testing.page_traces import simulated
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
