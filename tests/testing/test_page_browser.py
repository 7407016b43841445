"""The page in a real browser: what a person does, and what is then to be seen."""

from __future__ import annotations

import re

import pytest

from tests.testing.browser import Browser, find_browser
from tests.testing.page_traces import HOSTILE, by_hand, event
from trio_gossip.testing.page import make_page

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no browser: chromium or google-chrome must be in PATH"
)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    browser = Browser(PROGRAM, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(started):
    """One browser for all tests; each has to leave no error behind."""
    started.problems.clear()
    yield started
    assert started.problems == []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "three.html"
    path.write_text(make_page(by_hand(), facts=[("seed", "7")]), encoding="utf-8")
    return path


def state(browser: Browser, name: str) -> str:
    return browser.value(f"document.querySelector('[data-name={name}]').dataset.state")


def states(browser: Browser) -> list[str]:
    return [state(browser, name) for name in "abc"]


def clock(browser: Browser) -> float:
    return float(browser.value("document.body.dataset.time"))


def move_slider(browser: Browser, time: float) -> None:
    """As a browser does it: the value changes, then the page is told."""
    browser.value(
        f"(() => {{ const slider = document.getElementById('slider'); slider.value = {time};"
        " slider.dispatchEvent(new Event('input')); })()"
    )


STORY = [
    (0.5, ["alive", "alive", "alive"]),
    (1.9, ["alive", "alive", "alive"]),
    (2.1, ["alive", "alive", "down"]),
    (3.0, ["alive", "alive", "suspect"]),
    (3.1, ["alive", "alive", "suspect"]),
    (5.1, ["alive", "alive", "failed"]),
    (8.0, ["alive", "alive", "failed"]),
]


def test_the_slider_shows_the_states_of_its_time_forwards_and_backwards(browser, page):
    browser.open(page)
    for time, expected in [*STORY, *reversed(STORY)]:
        move_slider(browser, time)
        assert clock(browser) == pytest.approx(time, abs=1e-3)
        assert states(browser) == expected, time


def test_what_a_member_believed_counts_no_more_after_its_end(browser, tmp_path):
    trace = by_hand()
    trace.add(8.5, "event", "b", "", event("MemberSuspected", "a", "probe_failed", "b"))
    trace.add(9.0, "end", "b", "", "crash")
    path = tmp_path / "ended.html"
    path.write_text(make_page(trace), encoding="utf-8")
    browser.open(path)
    move_slider(browser, 8.6)
    assert states(browser) == ["suspect", "alive", "failed"]
    move_slider(browser, 9.0)
    assert states(browser) == ["alive", "down", "failed"]
    browser.open(path, "t=9&node=b")
    assert states(browser) == ["suspect", "down", "failed"], "what it believed last"


def test_the_slider_can_be_dragged_with_the_mouse(browser, page):
    browser.open(page, "t=8")
    box = browser.box("#slider")
    y = box["y"] + box["height"] / 2
    browser.mouse("mousePressed", box["x"] + box["width"] - 8, y)
    browser.mouse("mouseMoved", box["x"] + box["width"] * 0.5, y)
    browser.mouse("mouseMoved", box["x"] + box["width"] * 0.3, y)
    browser.mouse("mouseReleased", box["x"] + box["width"] * 0.3, y)
    assert clock(browser) == pytest.approx(8 * 0.3, abs=0.1)
    assert state(browser, "c") == "down"


def test_the_address_sets_the_time_and_the_observer(browser, page):
    browser.open(page, "t=3.2&node=b")
    assert clock(browser) == pytest.approx(3.2)
    assert states(browser) == ["alive", "alive", "alive"], "b does not suspect c before 3.5 s"
    move_slider(browser, 3.6)
    assert states(browser) == ["alive", "alive", "suspect"]


def test_a_click_on_a_member_shows_what_it_believes(browser, page):
    browser.open(page, "t=5.5")
    browser.click("[data-name=b] .core")
    assert browser.value("document.body.dataset.observer") == "b"
    assert states(browser) == ["alive", "alive", "suspect"], "b learns of the failure at 6 s"
    assert "As b sees it" in browser.value("document.getElementById('states-title').textContent")
    browser.click("[data-name=b] .core")
    assert browser.value("document.body.dataset.observer") == ""
    assert states(browser) == ["alive", "alive", "failed"]


def test_the_legend_counts_the_states(browser, page):
    browser.open(page, "t=3.1")
    count = "Number(document.querySelector('[data-count={}]').textContent)"
    assert browser.value(count.format("alive")) == 2
    assert browser.value(count.format("suspect")) == 1
    browser.press("End")
    assert browser.value(count.format("suspect")) == 0
    assert browser.value(count.format("failed")) == 1


def test_keys_move_in_time_and_from_member_to_member(browser, page):
    browser.open(page, "t=4")
    browser.press("ArrowRight")
    assert clock(browser) == pytest.approx(4.1)
    browser.press("ArrowLeft", shift=True)
    assert clock(browser) == pytest.approx(3.1)
    browser.press("Home")
    assert clock(browser) == 0.0
    browser.press("End")
    assert clock(browser) == 8.0
    browser.press(",")
    assert clock(browser) == pytest.approx(6.0), "all others know that c has failed"
    for expected in ("a", "b", "c", ""):
        browser.press("ArrowDown")
        assert browser.value("document.body.dataset.observer") == expected
    browser.press("ArrowUp")
    browser.press("Escape")
    assert browser.value("document.body.dataset.observer") == ""


def test_it_plays_and_pauses(browser, page):
    browser.open(page, "t=1")
    browser.press(" ")
    assert browser.value("document.body.dataset.playing") == "true"
    went_on = (
        "new Promise((done) => { const look = () => Number(document.body.dataset.time) > 1.05"
        " ? done(true) : requestAnimationFrame(look); look(); })"
    )
    assert browser.value(went_on)
    browser.press(" ")
    assert browser.value("document.body.dataset.playing") == "false"
    stopped = clock(browser)
    two_frames = (
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
    )
    browser.value(two_frames)
    assert clock(browser) == stopped


def test_it_stops_at_the_end_and_begins_again(browser, page):
    browser.open(page, "t=7.95&speed=10&play=1")
    ended = (
        "new Promise((done) => { const look = () => document.body.dataset.playing === 'false'"
        " ? done(true) : requestAnimationFrame(look); look(); })"
    )
    assert browser.value(ended)
    assert clock(browser) == 8.0
    browser.click("#play")
    assert browser.value("document.body.dataset.playing") == "true"
    assert clock(browser) < 8.0


def test_the_list_follows_the_slider_and_leads_it(browser, page):
    browser.open(page, "t=3.2")
    current = "document.querySelector('.row.now').textContent"
    assert "a is the first to suspect c" in browser.value(current)
    move_slider(browser, 6.5)
    assert "all running members agree" in browser.value(current)
    passed = browser.value("[...document.querySelectorAll('.row:not(.later)')].at(-2).textContent")
    assert "all others know that c has failed, 4.00 s after its end" in passed
    browser.value(
        "[...document.querySelectorAll('.row')].find((row) => row.textContent.includes('declare'))"
        ".click()"
    )
    assert clock(browser) == pytest.approx(5.0)


def test_all_events_of_the_chosen_member_are_in_the_list(browser, page):
    browser.open(page, "t=6&node=b&list=all")
    rows = browser.value("[...document.querySelectorAll('.row')].map((row) => row.textContent)")
    assert len(rows) == 1 + 3 + 2
    assert rows[-1].endswith("b holds c for failed (reported; accused by a)")


def test_detection_and_convergence_times_are_printed(browser, page):
    browser.open(page)
    rumour = browser.value("document.querySelector('.rumour').textContent")
    assert re.findall(r"\+?\d\.\d\d s", rumour) == ["2.00 s", "+1.00 s", "+3.00 s", "+4.00 s"]
    verdict = browser.value("document.getElementById('verdict').textContent")
    assert "1 of 1 ended members known to all, the last after 4.00 s." in verdict


def test_who_was_cleared_or_came_back_is_said_to_be(browser, tmp_path):
    trace = by_hand()
    trace.add(9.0, "event", "a", "", event("MemberSuspected", "b", "probe_failed", "a"))
    trace.add(9.5, "event", "a", "", event("MemberRecovered", "b", "refuted"))
    trace.add(10.0, "end", "b", "", "crash")
    trace.add(10.25, "start", "b", "b:7946", "incarnation 2")
    trace.add(90.0, "note", "", "", "the end")
    path = tmp_path / "back.html"
    path.write_text(make_page(trace), encoding="utf-8")
    browser.open(path)
    told = browser.value(
        "[...document.querySelectorAll('.rumour .facts :last-child')].map((e) => e.textContent)"
    )
    assert told == ["+4.00 s", "back +0.25 s", "cleared +0.50 s"]
    axis = browser.value("document.querySelector('#axis :last-child').textContent")
    assert float(axis.removesuffix(" s")) < 12, "nothing of it is open to the end"
    verdict = browser.value("document.getElementById('verdict').textContent")
    assert "1 of 1 ended members" in verdict


def count_drawn(browser: Browser) -> int:
    """Pixels of the canvas of packets that are not empty."""
    return browser.value(
        "(() => { const canvas = document.getElementById('flights');"
        " const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        " let count = 0; for (let at = 3; at < data.length; at += 4) count += data[at] > 0;"
        " return count; })()"
    )


def test_packets_are_drawn_while_they_fly_and_can_be_hidden(browser, page):
    browser.open(page, "t=1.4")
    assert count_drawn(browser) == 0
    move_slider(browser, 1.6)
    assert count_drawn(browser) > 50
    browser.click("[data-kind=probe]")
    assert count_drawn(browser) == 0


def test_a_lost_packet_ends_in_a_red_cross(browser, page):
    """Also that to the address of a member that has ended: it flies to where that stood."""
    browser.open(page, "t=2.6")
    before = count_drawn(browser)
    move_slider(browser, 2.8)
    assert count_drawn(browser) > before > 0
    red = (
        "(() => { const canvas = document.getElementById('flights');"
        " const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        " for (let at = 0; at < data.length; at += 4)"
        " if (data[at + 3] > 200 && data[at] > 180 && data[at + 2] < 120) return true;"
        " return false; })()"
    )
    assert browser.value(red)


def test_a_name_cannot_inject_anything(browser, tmp_path):
    path = tmp_path / "hostile.html"
    trace = by_hand(names=("a", "b", HOSTILE))
    path.write_text(make_page(trace, title=HOSTILE, facts=[(HOSTILE, HOSTILE)]), encoding="utf-8")
    browser.open(path, "t=5.5&list=all")
    assert browser.value("document.title") == HOSTILE
    assert browser.value("document.images.length") == 0
    assert browser.value("document.scripts.length") == 2
    names = browser.value("[...document.querySelectorAll('.node')].map((n) => n.dataset.name)")
    assert names == ["a", "b", HOSTILE]
    assert browser.value("[...document.querySelectorAll('.node')][2].dataset.state") == "failed"


def test_the_page_needs_no_network_and_runs_nothing_but_its_own(browser, page):
    browser.open(page)
    wanted = [url for url in browser.requests if not url.startswith(("file://", "about:", "data:"))]
    assert wanted == []
    forbidden = (
        "new Promise((done) => { document.addEventListener('securitypolicyviolation',"
        " (event) => done(event.effectiveDirective)); const script ="
        " document.createElement('script'); script.textContent = '1'; document.body.append(script)"
        "; })"
    )
    assert browser.value(forbidden) == "script-src-elem"
    browser.problems.clear()  # the browser complains, as it should
