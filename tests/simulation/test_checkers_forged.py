"""Checkers notice what only forged packets show: lies that are believed, strangers served."""

from __future__ import annotations

import pytest

from tests.simulation.test_checkers import STRANGER, Story
from tests.simulation.test_checkers_proofs import BY_NAME, nothing, patch
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, Dead, IndirectPing, Nack, Suspect
from trio_gossip.engine import claims as claims_of_engine
from trio_gossip.engine.admission import Admission
from trio_gossip.engine.lifeguard import Lifeguard
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.stale import Stale
from trio_gossip.members import INCARNATION_JUMP_MAX

CODEC = NativeCodec()


def pack(*messages):
    return CODEC.pack([CODEC.encode(message) for message in messages])


def objections(name, *packets, detector="evidence"):
    """What one checker says of packets that ``a`` gets, from ``b``, in a cluster at rest."""
    story = Story(BY_NAME[name], detector=detector)
    story.form()
    simulation = story.simulation
    for packet in packets:
        simulation.inject("a", packet, simulation.processes["b"].address)
    simulation.run(1.0)
    return story.findings.counts[name]


def held(names="abcdefghij"):
    """The incarnation at which all members of a story begin."""
    story = Story(names=names)
    story.form()
    return story.simulation.processes["c"].engine.local.incarnation


def test_a_claim_above_all_reason_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    absurd = pack(Suspect(held() + INCARNATION_JUMP_MAX + 1, "c", "b"))
    assert not objections("claims-weighed", absurd)
    monkeypatch.setattr(claims_of_engine, "INCARNATION_JUMP_MAX", 1 << 63)
    assert objections("claims-weighed", absurd)


def test_an_alive_claim_that_is_behind_is_answered_high_enough(monkeypatch: pytest.MonkeyPatch):
    story = Story(names="abc")
    story.form()
    theirs = story.simulation.processes["b"].engine.local
    low = pack(Alive(theirs.incarnation - 5, "b", theirs.address, b"", theirs.versions))
    assert not objections("answers-owed", low)

    def make(original):
        def held_against(self, entry):
            claim = original(self, entry)
            claim.incarnation -= 1
            return claim

        return held_against

    patch(monkeypatch, Stale, "held_against", make)
    assert objections("answers-owed", low)


def test_an_accusation_of_the_dead_is_remembered(monkeypatch: pytest.MonkeyPatch):
    now = held()
    packets = pack(Dead(now, "c", "b")), pack(Dead(now + 3, "c", "b"))
    assert not objections("claims-weighed", *packets)
    monkeypatch.setattr(Membership, "witness", nothing)
    assert objections("claims-weighed", *packets)


def test_invented_accusers_confirm_nothing(monkeypatch: pytest.MonkeyPatch):
    now = held()
    packets = pack(Suspect(now, "c", "b")), pack(Suspect(now, "c", "nobody"))
    assert not objections("claims-weighed", *packets, detector="memberlist")

    def confirm(self, claim, entry, tried):
        self._of(claim.name).confirm(claim.accuser)

    monkeypatch.setattr(Lifeguard, "confirm", confirm)
    assert objections("claims-weighed", *packets, detector="memberlist")


def test_a_claim_of_ones_own_name_is_outbid(monkeypatch: pytest.MonkeyPatch):
    story = Story(names="abc")
    story.form()
    mine = story.simulation.processes["a"].engine.local
    claim = pack(Alive(mine.incarnation + 5, "a", mine.address, mine.meta, mine.versions))
    assert not objections("first-incarnation", claim)
    monkeypatch.setattr(Refutation, "alive_about_me", nothing)
    assert objections("first-incarnation", claim)


def test_a_stranger_gets_no_help(monkeypatch: pytest.MonkeyPatch):
    def objections_to_help():
        story = Story(BY_NAME["relay-in-time"])
        story.form()
        request = IndirectPing(1, "b", STRANGER, "nobody", 500)
        story.simulation.inject("a", pack(request), STRANGER)
        story.simulation.run(1.0)
        return story.findings.counts["relay-in-time"]

    assert not objections_to_help()

    def make(original):
        def request(self, message, source):
            original(self, message, self._node.me.member.address)

        return request

    patch(monkeypatch, Relay, "request", make)
    assert objections_to_help()


def test_nobody_else_lives_at_ones_own_address(monkeypatch: pytest.MonkeyPatch):
    story = Story(names="abc")
    story.form()
    mine = story.simulation.processes["a"].engine.local
    claim = pack(Alive(mine.incarnation, "z", mine.address, b"", mine.versions))
    assert not objections("claims-weighed", claim)
    monkeypatch.setattr(Admission, "admits", lambda self, claim, entry, names=(): True)
    assert objections("claims-weighed", claim)


def test_an_answer_of_nobody_is_no_nack(monkeypatch: pytest.MonkeyPatch):
    assert not objections("health-score", pack(Nack(1)))
    assert not objections("acks-match", pack(Ack(1)))
