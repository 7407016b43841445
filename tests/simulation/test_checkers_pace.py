"""Checkers of long broadcasts and of the pace of gossip notice a broken engine."""

from __future__ import annotations

import math

import attrs
import pytest

from tests.simulation.test_checkers import Story
from tests.simulation.test_checkers_proofs import after, breaking, nothing, notices, patch
from trio_gossip.engine import node, parcels
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.pacing import Pace
from trio_gossip.engine.parcels import Parcels
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.relay import Relay
from trio_gossip.testing import Simulation
from trio_gossip.testing.checkers.pausing import DropsTheMostTold

breaks, CASES = breaking()

PROVED = ("drops-the-most-told",)
"""It has tests of its own here: the story fills no queue."""


# -- long broadcasts --------------------------------------------------------------------


@breaks("announced-to-all")
def nobody_asks(monkeypatch):
    monkeypatch.setattr(Parcels, "announced", nothing)
    return "form work letters rest"


@breaks("announced-to-all")
def answers_are_dropped(monkeypatch):
    monkeypatch.setattr(Parcels, "_answered", nothing)
    return "form work letters time rest"


@breaks("announced-is-held")
def what_was_fetched_is_not_kept(monkeypatch):
    def lose(parcels, mark, teller, answer):
        held = parcels._held.pop(mark, None)
        if held is not None:
            parcels.bytes -= len(held[0])

    patch(monkeypatch, Parcels, "_answered", after(lose))
    return "form work letters rest"


@breaks("letters-are-fetched")
def one_member_is_asked(monkeypatch):
    def wait(parcels, mark):
        parcels._wanted[mark].ask_at = math.inf

    patch(monkeypatch, Parcels, "_ask", after(wait))
    return "form letters"


@breaks("memory-bounds")
def what_is_held_stays(monkeypatch):
    monkeypatch.setattr(parcels, "HOLD_SECONDS", 1e9)
    return "form letters rest time time"


# -- the pace of gossip -----------------------------------------------------------------


@breaks("news-is-paced")
def no_gaps(monkeypatch):
    monkeypatch.setattr(Pace, "gap", lambda self, sent: 0.0)
    return "form work rest"


@breaks("news-is-hot")
def no_eager_copies(monkeypatch):
    monkeypatch.setattr(Pace, "gap", lambda self, sent: self.gaps[0] if sent else 0.0)
    return "form work work rest"


def with_settings(monkeypatch, **changes):
    """All members of the story have other settings."""

    def make(original):
        def start(self, name, *, config, **others):
            return original(self, name, config=attrs.evolve(config, **changes), **others)

        return start

    patch(monkeypatch, Simulation, "start", make)


@breaks("rounds-are-small")
def a_round_goes_to_everybody(monkeypatch):
    def make(original):
        return lambda *given, **more: attrs.evolve(original(*given, **more), packets=100)

    patch(monkeypatch, node, "pace_for", make)
    with_settings(monkeypatch, eager_copies=0)
    return "form flood rest"


def crowded(monkeypatch):
    """What a checker says of a member whose queue is full of what it has told, and gets more."""
    story = Story(DropsTheMostTold)
    with_settings(monkeypatch, broadcast_queue_max=8)
    story.form()
    for number in range(14):
        story.simulation.do("a", "broadcast", b"%d" % number)
        if number == 5:
            story.simulation.run(0.02)
    return story.findings


def test_a_full_queue_that_drops_what_was_told_most_is_no_reason_to_object(monkeypatch):
    findings = crowded(monkeypatch)
    assert findings.checked["drops-the-most-told"] >= 4
    assert not findings.violations


def test_a_full_queue_that_drops_the_newest_is_noticed(monkeypatch):
    def drop(lane):
        sent = next(at for at, level in enumerate(lane._levels) if level)
        lane._remove(sent, next(reversed(lane._levels[sent])))

    monkeypatch.setattr(Lane, "_drop", drop)
    assert crowded(monkeypatch).counts["drops-the-most-told"]


# -- the search for lost members --------------------------------------------------------


@breaks("tries-are-few")
def everybody_tries(monkeypatch):
    class Certain:
        def __init__(self, rng):
            self.rng = rng
            self.drawn = 0

        def random(self):
            self.drawn += 1
            found = self.rng.random()
            return 0.0 if self.drawn == 2 else found

    def make(original):
        def tick(self):
            rng, self._node.rng = self._node.rng, Certain(self._node.rng)
            original(self)
            self._node.rng = rng

        return tick

    patch(monkeypatch, Rejoin, "tick", make)
    return "form ends time time time time rest"


@breaks("tries-are-few")
def who_left_is_sought(monkeypatch):
    def make(original):
        def lost(self):
            left = [each.member for each in self._node.table if not each.member.is_active]
            return original(self) + [(member.address, member.name) for member in left]

        return lost

    patch(monkeypatch, Rejoin, "lost", make)
    return "form ends time time rest"


@breaks("lost-are-tried")
def the_reaped_are_not_sought(monkeypatch):
    def make(original):
        def lost(self):
            table = self._node.table
            return [each for each in original(self) if each[1] is None or table.get(each[1])]

        return lost

    patch(monkeypatch, Rejoin, "lost", make)
    with_settings(monkeypatch, gossip_to_dead_time=6.0, reap_time=6.0, rejoin_interval=5.0)
    return "form split time time time rest"


@breaks("pings-answered")
def the_reaped_hear_nothing(monkeypatch):
    monkeypatch.setattr(Relay, "_answer_the_buried", nothing)
    with_settings(monkeypatch, gossip_to_dead_time=6.0, reap_time=6.0)
    return "form isolate rest"


# -- helpers ----------------------------------------------------------------------------


@breaks("relay-in-time")
def who_knows_better_is_silent(monkeypatch):
    def make(original):
        def request(self, message, source):
            entry = self._node.table.get(message.target)
            if entry is not None and entry.member.address != message.address:
                message.want_nack = False
            original(self, message, source)

        return request

    patch(monkeypatch, Relay, "request", make)
    return "form misled rest"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_broken_engine_is_noticed(name, break_it, monkeypatch):
    assert notices(name, break_it, monkeypatch)
