"""The page without a browser: what is read out of a trace, and what is in the file."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from tests.testing.page_traces import HOSTILE, by_hand, event, simulated
from trio_gossip.addresses import Address
from trio_gossip.testing import Trace
from trio_gossip.testing.checkers.base import Findings, Violation
from trio_gossip.testing.page import data as data_module
from trio_gossip.testing.page import make_page
from trio_gossip.testing.page.beliefs import State, read_belief
from trio_gossip.testing.page.data import NODES_MAX, page_data
from trio_gossip.testing.page.milestones import milestones
from trio_gossip.testing.page.story import Story
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.scenario import Scenario

PLACE = Address("10.0.0.1", 7946)


def story_of(trace: Trace) -> Story:
    return Story().read(trace)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


# -- beliefs ----------------------------------------------------------------------------


def test_an_event_is_read_back():
    text = "MemberSuspected b incarnation=17 probe_failed accusers=a,c"
    assert read_belief(text, {"b"}) == ("b", State.SUSPECT, 17, "probe_failed", "a,c")


@pytest.mark.parametrize(
    "name", ["b c", "b incarnation=3 alive", HOSTILE, "b accusers=x", " incarnation=1 x"]
)
def test_a_name_that_looks_like_the_rest_of_the_line_is_read(name):
    for accusers in ("", name):
        found = read_belief(event("MemberFailed", name, "reported", accusers), {name})
        assert found is not None
        assert (found.subject, found.state, found.accusers) == (name, State.FAILED, accusers)


@pytest.mark.parametrize(
    "text",
    [
        "MessageReceived sender=b broadcast b'incarnation=1 x'",
        "NameConflict b other=10.0.0.1:1",
        "Lagged missed=3",
        "MemberUpdated b incarnation=2 announced",
        "MemberJoined stranger incarnation=2 announced",
        "MemberJoined b incarnation=x announced",
        "MemberJoined b",
        "",
    ],
)
def test_what_changes_no_belief_is_none(text):
    assert read_belief(text, {"b"}) is None


# -- the story --------------------------------------------------------------------------


def test_the_story_of_a_death_has_all_its_moments():
    (rumour,) = story_of(by_hand()).rumours
    assert rumour.subject == "c"
    assert (rumour.ended_at, rumour.suspected_at, rumour.failed_at) == (2.0, 3.0, 5.0)
    assert (rumour.suspected_by, rumour.failed_by) == ("a", "a")
    assert rumour.known_at == 6.0
    counts = [point for _, *point in rumour.curve]
    assert counts == [[0, 0, 2], [1, 0, 2], [2, 0, 2], [1, 1, 2], [0, 2, 2]]


def test_milestones_tell_it_in_order():
    assert [(each.time, each.tone) for each in milestones(story_of(by_hand()))] == [
        *[(0.0, "start")] * 3,
        (1.0, "agreed"),
        (2.0, "end"),
        (3.0, "suspect"),
        (5.0, "failed"),
        (6.0, "failed"),
        (6.0, "agreed"),
        (8.0, "fault"),
    ]


def test_leaving_and_returning_are_told():
    def act(simulation):
        simulation.leave("n1")
        simulation.run(5.0)
        simulation.crash("n2")
        simulation.run(12.0)
        simulation.start("n2")
        simulation.join("n2", "n0")
        simulation.note("calm")

    _, trace = simulated(5, act=act)
    story = story_of(trace)
    left, crashed = story.rumours[:2]
    assert (left.subject, crashed.subject) == ("n1", "n2")
    assert left.left_at is not None
    assert left.known_at is not None
    texts = [each.text for each in milestones(story)]
    for wanted in (
        "n1 is first seen as left",
        "n1 ends after its goodbye",
        "n2 crashes",
        "n2 starts again",
        "calm",
    ):
        assert wanted in texts, texts
    assert any(text.startswith("all others know that n1 has left") for text in texts)


def test_a_false_accusation_is_told_with_its_end():
    trace = by_hand()
    trace.add(9.0, "event", "b", "", event("MemberSuspected", "a", "probe_failed", "b"))
    trace.add(9.5, "event", "b", "", event("MemberRecovered", "a", "refuted"))
    story = story_of(trace)
    rumour = story.rumours[-1]
    assert rumour.is_false
    assert (rumour.began, rumour.refuted_at, rumour.suspecting) == (9.0, 9.5, 1)
    assert story.spread.suspicions == 1
    texts = [each.text for each in milestones(story)]
    assert "b is the first to suspect a wrongly" in texts
    assert "a is cleared: all hold it for alive" in texts


@pytest.mark.parametrize(
    ("names", "text", "wanted"),
    [
        ("n3", "crash amount 0 for 0.000 s", "crash n3"),
        ("n3,n4", "long-pause amount 0 for 8.000 s", "long-pause n3,n4 for 8.000 s"),
        ("", "heavy-loss amount 0.4 for 4.000 s", "heavy-loss amount=0.4 for 4.000 s"),
        ("n3", "skipped crash: n3 does not run", "n3: skipped crash: n3 does not run"),
        ("", "end of loss", "end of loss"),
    ],
)
def test_a_step_reads_as_in_its_scenario(names, text, wanted):
    trace = by_hand()
    trace.add(9.0, "fault", names, "", text)
    assert milestones(story_of(trace))[-1].text == wanted


def test_the_notes_of_a_real_step_are_read():
    """In the words that the player really uses."""
    steps = (
        Step(at=1.0, kind="crash", names=("n02",)),
        Step(at=2.0, kind="loss", amount=0.1, seconds=2.0),
    )
    trace = Trace()
    play(Scenario(seed=1, nodes=5, seconds=5.0, calm=1.0, steps=steps), checkers=(), trace=trace)
    texts = [each.text for each in milestones(story_of(trace)) if each.tone == "fault"]
    assert "crash n02" in texts
    assert "loss amount=0.1 for 2.000 s" in texts


# -- the file ---------------------------------------------------------------------------


def test_the_columns_hold_what_happened():
    found = page_data(story_of(by_hand()), [("seed", "7")], [])
    assert found["names"] == ["a", "b", "c"]
    assert found["packets"]["times"] == [15_000, 10, 9_990]
    assert found["packets"]["took"] == [10, -1, -1]
    assert found["packets"]["targets"] == [1, 0, 2], "the last flies to where c stood"
    assert sum(found["load"]) == 3
    assert found["shares"][-1] == 1000
    assert min(found["shares"][200:]) == 500, "after the crash half of the beliefs are wrong"
    assert found["rumours"][0]["known"] == 60_000
    assert found["end"] == 80_000


def test_violations_are_in_the_page_and_among_the_milestones():
    findings = Findings()
    findings.add(Violation(5.5, "rule", HOSTILE))
    findings.add(Violation(99.0, "late", "after the last record"))
    findings.counts["late"] += 500
    found = page_data(story_of(by_hand()), [], [], about="what for", findings=findings)
    assert found["about"] == "what for"
    assert found["broken"] == 502
    assert found["breaches"] == [
        [55_000, f"rule broken: rule: {HOSTILE}"],
        [80_000, "rule broken: late: after the last record"],
    ]
    assert [tone for _, tone, *_ in found["milestones"]][-4:] == [
        "failed",
        "agreed",
        "fault",
        "broken",
    ]
    assert "<img" not in make_page(by_hand(), about=HOSTILE, findings=findings)
    assert page_data(story_of(by_hand()), [], [])["broken"] == 0


def test_the_curve_of_agreement_keeps_even_the_shortest_dip():
    curve = data_module._shares([(0.0, 1.0), (3.001, 0.25), (3.002, 1.0)], 60.0)
    assert curve.index(250) == 30
    assert sorted(curve) == [250] + [1000] * (data_module.BINS_MAX - 1)


def test_more_packets_than_fit_are_thinned_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(data_module, "PACKETS_MAX", 2)
    found = page_data(story_of(by_hand()), [], [])
    assert found["packets"]["times"] == [15_000, 10_000]
    assert (found["packets"]["every"], found["packets"]["total"]) == (2, 3)
    assert found["notes"] == ["Only one in 2 of 3 packets is drawn."]
    assert sum(found["load"]) == 3, "the load is that of all packets"


def test_more_changes_than_fit_end_the_story_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(data_module, "CHANGES_MAX", 13)
    found = page_data(story_of(by_hand()), [], [])
    assert len(found["changes"]["times"]) == 13
    assert found["notes"] == ["Beliefs after 3.00 s are not shown: there were too many changes."]


def test_a_long_curve_is_thinned_but_keeps_its_ends():
    points = list(range(1000))
    kept = list(data_module._thinned(points, 240))
    assert len(kept) == 240
    assert (kept[0], kept[-1]) == (0, 999)
    assert list(data_module._thinned(points, 1000)) == points


def test_a_trace_that_forgot_its_beginning_says_so():
    trace = Trace(keep=13)
    for record in by_hand():
        trace.add(*record)
    with pytest.raises(ValueError, match="1 to 300 members, not 0"):
        make_page(Trace())
    found = data_of(make_page(trace))
    (note,) = found["notes"]
    assert note.startswith("The first 11 records were not kept")
    assert found["names"] == ["c", "a", "b"], "who acts is there, in the order of acting"


def test_too_many_members_are_refused():
    trace = Trace()
    for number in range(NODES_MAX + 1):
        trace.add(0.0, "start", f"n{number}", f"n{number}:1", "incarnation 1")
    with pytest.raises(ValueError, match="not 301"):
        make_page(trace)


def test_nothing_from_outside_can_be_markup():
    page = make_page(by_hand(names=("a", "b", HOSTILE)), title=HOSTILE, facts=[(HOSTILE, HOSTILE)])
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    assert data_of(page)["names"][2] == HOSTILE


def test_the_policy_allows_exactly_the_script_and_the_style_of_the_page():
    page = make_page(by_hand())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    for text, rule in ((style, "style-src"), (script, "script-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")


def test_the_page_loads_nothing():
    page = make_page(by_hand())
    assert re.findall(r"""(?:src|href)=["'](?!data:)""", page) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
    assert "@import" not in page
    assert "url(" not in page


def test_the_same_trace_makes_the_same_page():
    assert make_page(by_hand()) == make_page(by_hand())


def test_a_minute_of_a_hundred_members_is_below_three_megabytes():
    _, trace = simulated(100, act=lambda simulation: simulation.crash("n7"), seconds=52.0)
    assert len(make_page(trace)) < 3_000_000
