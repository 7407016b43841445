"""Bugs in long broadcasts: announced by gossip, fetched by stream from who has them."""

from __future__ import annotations

import math

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import parcels
from trio_gossip.engine.parcels import Parcels
from trio_gossip.events import MessageReceived


@mutant(
    "a-parcel-is-delivered-by-each-answer",
    check=("broadcast-once",),
    why="slip: the second of two tellers that were asked answers as well",
    needs=("long broadcasts", "loss"),
)
def a_parcel_is_delivered_by_each_answer(patch: Patch) -> None:
    """A long broadcast that was asked for twice is delivered twice."""

    def answered(original, self, mark, teller, answer):
        wanted = self._wanted.get(mark)
        if wanted is not None:
            self.messages = {**getattr(self, "messages", {}), mark: wanted.message}
        elif isinstance(answer, bytes) and mark in getattr(self, "messages", {}):
            event = MessageReceived(self.messages[mark].origin, answer)
            self._node.outbox.notify(event)
        original(self, mark, teller, answer)

    patch.wrap(Parcels, "_answered", answered)


@mutant(
    "one-teller-is-asked",
    check=("letters-are-fetched", "announced-to-all"),
    why="slip: who does not answer is waited for, and others that have it are not asked",
    needs=("long broadcasts", "stream cut"),
)
def one_teller_is_asked(patch: Patch) -> None:
    """A long broadcast is lost when the first member that was asked for it does not answer."""

    def ask(original, self, mark):
        original(self, mark)
        self._wanted[mark].ask_at = math.inf

    patch.wrap(Parcels, "_ask", ask)


@mutant(
    "a-parcel-is-sent-without-being-kept",
    check=("announced-is-held", "announced-to-all"),
    why="slip: the announcement goes out and the payload is not stored",
    needs=("long broadcasts",),
)
def a_parcel_is_sent_without_being_kept(patch: Patch) -> None:
    """Members hear of a long broadcast, ask its origin, and it has nothing."""

    def post(original, self, message, payload, key):
        original(self, message, payload, key)
        self._forget_oldest()

    patch.wrap(Parcels, "post", post)


@mutant(
    "what-was-fetched-is-not-kept",
    check=("announced-is-held", "announced-to-all"),
    why="slip: who has delivered it announces it, and has nothing to give",
    needs=("long broadcasts",),
)
def what_was_fetched_is_not_kept(patch: Patch) -> None:
    """Of those that announce a long broadcast only the origin can give it."""

    def answered(original, self, mark, teller, answer):
        original(self, mark, teller, answer)
        held = self._held.pop(mark, None)
        if held is not None:
            self.bytes -= len(held[0])

    patch.wrap(Parcels, "_answered", answered)


@mutant(
    "who-has-fetched-does-not-tell",
    check=("announced-is-held", "announced-to-all"),
    why="slip: the receiver delivers and forgets to announce",
    needs=("long broadcasts", "crowd"),
)
def who_has_fetched_does_not_tell(patch: Patch) -> None:
    """Only the origin announces a long broadcast, to as many as the retransmit limit allows."""

    def announce(original, self, message, key, source):
        if message.origin == self._node.name:
            original(self, message, key, source)

    patch.wrap(Parcels, "_announce", announce)


@mutant(
    "a-parcel-is-known-by-its-number",
    check=("announced-is-held", "announced-to-all", "broadcast-once"),
    why="slip: the origin is not part of what names a long broadcast",
    needs=("long broadcasts",),
)
def a_parcel_is_known_by_its_number(patch: Patch) -> None:
    """Two members' long broadcasts with one counter are taken for each other."""

    def mark(original, message):
        return message.counter.to_bytes(16, "big")

    patch.wrap(parcels, "_mark", mark)


@mutant(
    "an-announcement-counts-as-delivered",
    check=("announced-is-held", "announced-to-all"),
    why="slip: what is announced is noted as seen, and is not fetched",
    needs=("long broadcasts",),
)
def an_announcement_counts_as_delivered(patch: Patch) -> None:
    """A long broadcast is heard of and never asked for."""

    def announced(original, self, message):
        self._is_new(message.origin, message.epoch, message.counter)
        original(self, message)

    patch.wrap(Parcels, "announced", announced)


@mutant(
    "parcels-are-kept-for-ever",
    check=("memory-bounds",),
    why="slip: what is held for others has a limit in bytes and no end",
    needs=("long broadcasts",),
)
def parcels_are_kept_for_ever(patch: Patch) -> None:
    """Long broadcasts stay in memory when nobody wants them any more."""
    patch.value(parcels, "HOLD_SECONDS", 1e9)
