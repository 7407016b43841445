"""Bugs in the exchanges of versioned state: what is asked, what is answered, when it ends."""

from __future__ import annotations

import attrs

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec.messages import ServiceNews
from trio_gossip.services import state_exchange, state_plane, state_sending
from trio_gossip.services.state_exchange import StateExchange
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_plane import StatePlane
from trio_gossip.services.state_wire import encode_news


@mutant(
    "only-gossip-carries-state",
    check=("state-agrees",),
    why="slip: the exchange is never begun, and all tests had networks that lose nothing",
    needs=("state", "loss"),
)
def only_gossip_carries_state(patch: Patch) -> None:
    """What gossip has missed, and what fits no packet, never arrives."""

    def begin(original, self, peer, ended, legs):
        ended(False)
        return True

    patch.wrap(StateExchange, "open", begin)


@mutant(
    "the-first-part-is-the-whole",
    check=("state-agrees",),
    why="slip: each part of an answer says up to where all was seen",
    needs=("state", "oversize"),
)
def the_first_part_is_the_whole(patch: Patch) -> None:
    """Of a long answer the rest is not asked for, and counts as seen all the same."""

    def make(original, replica, asked, cursor, chunk_bytes):
        chunk = original(replica, asked, cursor, chunk_bytes)
        closing = chunk.closing or state_sending._close(replica, asked)
        return attrs.evolve(chunk, closing=closing)

    patch.wrap(state_exchange, "make_chunk", make)


@mutant(
    "the-end-of-an-exchange-is-not-adopted",
    check=("state-agrees",),
    why="slip: records are stored one by one, and what was overwritten leaves gaps for ever",
    needs=("state", "loss"),
)
def the_end_of_an_exchange_is_not_adopted(patch: Patch) -> None:
    """Versions that nobody holds any more are never counted as seen: digests stay different."""

    def adopt(original, self, closing, now_ms):
        pass

    patch.wrap(Intake, "_adopt", adopt)


@mutant(
    "exchanges-of-state-are-never-closed",
    check=("state-agrees",),
    why="slip: the number of exchanges under way goes up and never down",
    needs=("state", "loss"),
)
def exchanges_of_state_are_never_closed(patch: Patch) -> None:
    """After four exchanges of state a member thinks that it is busy for the rest of its life."""

    def close(original, self, opened, counter, *, found=False):
        self._host.bump(counter)
        opened.ended(found or opened.intake.stored > 0)

    patch.wrap(StateExchange, "_close", close)


@mutant(
    "a-failed-exchange-counts-as-done",
    check=("state-agrees",),
    why="slip: the asker's vector is raised when it asks, not when the answer has come",
    needs=("state", "stream cut"),
)
def a_failed_exchange_counts_as_done(patch: Patch) -> None:
    """An exchange whose stream breaks leaves holes that count as seen."""

    def answer(original, self, ask, source):
        found = original(self, ask, source)
        for life, top in ask.seen.tops.items():
            if life[0] != self._replica.name and self._replica.seen.newest(life[0]) == life[1]:
                self._replica.seen.raise_to(*life, top)
        return found

    patch.wrap(StateExchange, "answer", answer)


@mutant(
    "the-last-record-explains-all",
    check=("state-agrees",),
    why="slip: who lacks several versions of a writer is told the last one",
    needs=("state", "loss"),
)
def the_last_record_explains_all(patch: Patch) -> None:
    """A peer that missed two writes is told of the second, and the first is thought explained."""

    def explain(original, self, difference):
        told = original(self, difference)
        return told[-1:]

    patch.wrap(StatePlane, "explain", explain)


@mutant(
    "the-wrong-record-explains",
    check=("state-agrees",),
    why="slip: what a difference is looked up by is kept when the writer writes again",
    needs=("state", "loss"),
)
def the_wrong_record_explains(patch: Patch) -> None:
    """A peer is told the oldest record of a writer, whatever it lacks."""

    def explain(original, self, difference):
        told = original(self, difference)
        found = self._lives.get(difference)
        if not told or found is None:
            return told
        records = self._replica.slots.of(found[0][0])
        return [ServiceNews(self._service, encode_news(self._replica.plane, records[0]))]

    patch.wrap(StatePlane, "explain", explain)


@mutant(
    "state-is-not-compared",
    check=("state-agrees",),
    why="slip: a plane is made and not entered into the sums of pings",
    needs=("state", "loss"),
)
def state_is_not_compared(patch: Patch) -> None:
    """Pings say nothing of state, so that nobody notices what it lacks."""

    def digest(original, self):
        return 0

    patch.wrap(state_plane.StatePlane, "digest", digest)
