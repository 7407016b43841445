"""Checkers of how news spreads, of exchanges and of single inputs notice a broken engine."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.test_checkers import Story
from tests.simulation.test_checkers_proofs import after, breaking, nothing, notices, patch
from trio_gossip.codec import wire
from trio_gossip.codec.messages import Broadcast, Dead
from trio_gossip.engine import tables
from trio_gossip.engine.broadcast import Share
from trio_gossip.engine.claimed import STATE_BY_NUMBER
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.leaving import Leaving
from trio_gossip.engine.mail import Mail
from trio_gossip.engine.presence import Presence
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.repair import Repair
from trio_gossip.engine.seen import Seen
from trio_gossip.engine.sync import Answering, _Asking
from trio_gossip.events import Reason
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.sealed import HEAD_BYTES, is_whole, sealed
from trio_gossip.testing.checkers.spreading import GossipFair

breaks, CASES = breaking()


# -- how news spreads -------------------------------------------------------------------


@breaks("news-in-full")
def one_time_less(monkeypatch):
    def make(original):
        return lambda self, room, pace, now, peer=None: original(
            self, room, attrs.evolve(pace, copies=pace.copies - 1), now, peer
        )

    patch(monkeypatch, Lane, "fill", make)
    return "form work rest"


@breaks("news-in-full")
def broadcasts_are_not_passed_on(monkeypatch):
    def make(original):
        def queue(self, message, key):
            if message.origin == self._node.name:
                original(self, message, key)

        return queue

    patch(monkeypatch, Mail, "_queue", make)
    return "form work rest"


@breaks("news-in-full")
def newcomers_are_not_passed_on(monkeypatch):
    def hush(claims, claim, origin):
        claims._node.queue.membership.discard(claim.name)

    patch(monkeypatch, Claims, "_newcomer", after(hush))
    return "form rest"


@breaks("gossip-kept")
def one_round_is_all(monkeypatch):
    def stop(gossiper):
        gossiper._node.timers.cancel(("gossip", 0))

    patch(monkeypatch, Gossiper, "tick", after(stop))
    return "form work"


@breaks("lanes-share")
def broadcasts_get_what_is_left(monkeypatch):
    monkeypatch.setattr(Share, "reserve", lambda self, free, left, pace, now, **_: 0)
    return "form flood"


@breaks("lanes-share")
def broadcasts_take_all(monkeypatch):
    def all_of_it(self, free, left, pace, now, *, competing):
        self.reserved = left
        return left

    monkeypatch.setattr(Share, "reserve", all_of_it)
    return "form flood"


@breaks("gossip-fair")
def always_the_first(monkeypatch):
    def make(original):
        def wanted(self, entry):
            others = (other for other in self._node.table if original(self, other))
            return entry is next(others, None)

        return wanted

    patch(monkeypatch, Gossiper, "_wanted", make)
    return "form work work work work rest"


@breaks("gossip-fair")
def never_to_the_failed(monkeypatch):
    def make(original):
        def wanted(self, entry):
            return original(self, entry) and entry.member.state is not MemberState.FAILED

        return wanted

    patch(monkeypatch, Gossiper, "_wanted", make)
    return "form ends work work rest"


@breaks("no-stale-news")
def told_what_it_said(monkeypatch):
    def make(original):
        return lambda self, key, data, subject=None, source=None: original(self, key, data)

    patch(monkeypatch, Lane, "put", make)
    return "form work"


@breaks("no-stale-news")
def old_news_is_told_beside_the_new(monkeypatch):
    def old_as_well(presence, meta):
        node = presence._node
        old = node.own_claim()
        old.incarnation -= 1
        old.meta = b""
        node.queue.membership.put("old", node.codec.encode(old))

    patch(monkeypatch, Presence, "update_meta", after(old_as_well))
    return "form work"


# -- exchanges --------------------------------------------------------------------------


@breaks("exchange-merged")
def the_answering_side_drops_the_table(monkeypatch):
    monkeypatch.setattr(Answering, "_end", lambda self, exchange: self._release())
    return "form work ends"


@breaks("exchange-merged")
def the_asking_side_keeps_one_row(monkeypatch):
    def make(original):
        def complete(self, exchange):
            del self._reader.records[1:]
            original(self, exchange)

        return complete

    patch(monkeypatch, _Asking, "_complete", make)
    return "form"


@breaks("exchange-merged")
def left_is_told_as_failed(monkeypatch):
    def make(original):
        def record_of(member):
            record = original(member)
            if member.state is MemberState.LEFT:
                record.state = STATE_BY_NUMBER.index(MemberState.FAILED)
            return record

        return record_of

    def deaf(original):
        def dead(self, claim, origin):
            if self._node.name > "d" or not claim.is_goodbye or origin.reason is Reason.SYNCED:
                original(self, claim, origin)

        return dead

    patch(monkeypatch, tables, "record_of", make)
    patch(monkeypatch, Claims, "dead", deaf)  # three learn of it from tables alone
    monkeypatch.setattr(Repair, "summary", lambda _: b"")
    return "form split ends wait"


@breaks("join-outcome")
def a_join_is_done_before_it_began(monkeypatch):
    def make(original):
        def complete(self, exchange):
            if self._done is not None:
                self._done(0, False, None)

        return complete

    patch(monkeypatch, _Asking, "_complete", make)
    return "form"


# -- single inputs ----------------------------------------------------------------------


@breaks("arrived-is-delivered")
def every_second_one_passes_for_old(monkeypatch):
    def make(original):
        def is_new(self, origin, epoch, counter):
            return original(self, origin, epoch, counter) and counter % 2 == 1

        return is_new

    patch(monkeypatch, Seen, "is_new", make)
    return "form work"


@breaks("delivered-whole")
def payloads_are_cut(monkeypatch):
    encode = wire._ENCODERS[Broadcast]
    monkeypatch.setitem(
        wire._ENCODERS,
        Broadcast,
        lambda m: encode(Broadcast(m.origin, m.epoch, m.counter, m.payload[:-1])),
    )
    return "form work"


@breaks("goodbye-answered")
def believed_without_an_answer(monkeypatch):
    def make(original):
        def told(self, message, source):
            answers, self._node.answers = self._node.answers, 0
            original(self, message, source)
            self._node.answers = answers

        return told

    patch(monkeypatch, Leaving, "told", make)
    return "form ends"


@breaks("leaver-rests")
def goes_on_probing(monkeypatch):
    monkeypatch.setattr(Prober, "stop", nothing)
    monkeypatch.setattr(Leaving, "_finish", nothing)  # a leave that lasts
    return "form ends"


@breaks("verdict-has-cause")
def a_suspicion_is_a_verdict(monkeypatch):
    def suspect(self, claim, origin, tried=()):
        self.dead(Dead(claim.incarnation, claim.name, self._node.name), origin)

    monkeypatch.setattr(Claims, "suspect", suspect)
    return "form work ends"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_broken_engine_is_noticed(name, break_it, monkeypatch):
    assert notices(name, break_it, monkeypatch)


# -- what they are made of --------------------------------------------------------------


def test_a_sealed_payload_tells_if_it_is_whole():
    for size in (0, 1, HEAD_BYTES - 1):
        assert len(sealed(b"a mark", size)) == size
        assert is_whole(sealed(b"a mark", size)) is None
    for size in (HEAD_BYTES, HEAD_BYTES + 3, 300):
        payload = sealed(b"a mark", size)
        assert len(payload) == size
        assert is_whole(payload) is True
        assert is_whole(payload + b".") is False
    payload = sealed(b"a mark", 300)
    assert is_whole(payload[:-1]) is False
    assert is_whole(payload[:-1] + b"?") is False
    assert is_whole(b"of somebody else") is None


def test_two_marks_make_two_payloads():
    assert sealed(b"one", 60) != sealed(b"other", 60)


def test_gossip_to_failed_members_is_judged_only_when_enough_was_expected():
    story = Story(GossipFair)
    story.form()
    story.attached.finish()
    assert story.findings.counts["gossip-fair"] == 0
