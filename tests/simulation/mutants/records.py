"""Bugs in the rules of versioned state: which record wins, what was seen, whose keys go."""

from __future__ import annotations

import attrs

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.services import state_replica, state_wire
from trio_gossip.services.state import State
from trio_gossip.services.state_clock import COUNTER_BITS, HybridClock
from trio_gossip.services.state_local import LocalState
from trio_gossip.services.state_records import Plane
from trio_gossip.services.state_replica import Replica
from trio_gossip.services.state_vector import Seen, SeenTable


@mutant(
    "the-first-writer-wins",
    check=("state-goes-forward", "state-agrees"),
    why="slip: the comparison of two stamps is the wrong way round",
    needs=("state",),
)
def the_first_writer_wins(patch: Patch) -> None:
    """Of two records of a shared key the older one is kept."""

    def order(original, plane, record):
        stamp, *rest = original(plane, record)
        return (-stamp, *rest)

    patch.wrap(state_replica, "order_of", order)


@mutant(
    "a-tie-goes-to-who-came-first",
    check=("state-agrees",),
    why="slip: last writer wins by the stamp alone, and two members write in one millisecond",
    needs=("state",),
)
def a_tie_goes_to_who_came_first(patch: Patch) -> None:
    """Of two records with one stamp each member keeps the one that it heard of first."""

    def order(original, plane, record):
        key = original(plane, record)
        return key if plane is Plane.STATE else (key[0], "", 0, 0)

    patch.wrap(state_replica, "order_of", order)


@mutant(
    "a-deleted-key-is-an-empty-one",
    check=("state-agrees", "state-own"),
    why="slip: the wire does not tell a tombstone from a value without bytes",
    needs=("state",),
)
def a_deleted_key_is_an_empty_one(patch: Patch) -> None:
    """Who hears of a deletion shows an empty value."""

    def items(original, record):
        found = original(record)
        return [b"" if item is None else item for item in found]

    patch.wrap(state_wire, "_record_items", items)


@mutant(
    "a-long-value-is-cut",
    check=("state-agrees",),
    why="slip: the buffer of a value is as long as a packet",
    needs=("state", "oversize"),
)
def a_long_value_is_cut(patch: Patch) -> None:
    """Of a value of more than 600 bytes the first 600 arrive."""

    def items(original, record):
        found = original(record)
        if record.value is not None:
            found[5] = record.value[:600]
        return found

    patch.wrap(state_wire, "_record_items", items)


@mutant(
    "a-new-life-keeps-the-old-keys",
    check=("state-agrees",),
    why="slip: a higher generation is noted, and what the former one wrote is not dropped",
    needs=("state", "restart"),
)
def a_new_life_keeps_the_old_keys(patch: Patch) -> None:
    """Others show keys of a restarted member that it has not got any more."""

    def begin(original, self, writer, gen):
        self.seen.add(writer, gen)

    patch.wrap(Replica, "begin_life", begin)


@mutant(
    "a-former-life-is-ignored",
    check=("state-agrees",),
    why="slip: a restart with a clock that was set back begins below its former generation",
    needs=("state", "restart", "lost incarnation"),
)
def a_former_life_is_ignored(patch: Patch) -> None:
    """A member whose clock went back writes what all others take for old."""

    def meet(original, self, writer, gen, version, now_ms):
        pass

    patch.wrap(Replica, "meet_former_life", meet)


@mutant(
    "a-gap-counts-as-seen",
    check=("state-agrees",),
    why="slip: the highest version is kept instead of the highest without a gap",
    needs=("state", "loss"),
)
def a_gap_counts_as_seen(patch: Patch) -> None:
    """A write that was lost on the way is never asked for, once a later one has come."""

    def add(original, self, version):
        original(self, version)
        self.raise_to(version)

    patch.wrap(Seen, "add", add)


@mutant(
    "a-delete-has-no-version-of-its-own",
    check=("state-agrees",),
    why="slip: a tombstone is written over its record and keeps the version of it",
    needs=("state",),
)
def a_delete_has_no_version_of_its_own(patch: Patch) -> None:
    """All others have seen that version already, and go on showing the key."""

    def next_record(original, self, key, value, stamp):
        record = original(self, key, value, stamp)
        if value is None and record.version > 1:
            record = attrs.evolve(record, version=record.version - 1, covers=())
        return record

    patch.wrap(LocalState, "_next", next_record)


@mutant(
    "stamps-are-the-time-of-day",
    check=("state-agrees", "state-goes-forward"),
    why="slip: wall time without the counter of hybrid logical clocks (Kulkarni et al., 2014)",
    needs=("state",),
)
def stamps_are_the_time_of_day(patch: Patch) -> None:
    """Two writes within a millisecond have one stamp, and a clock that is behind loses its own."""

    def tick(original, self, now_ms):
        return now_ms << COUNTER_BITS

    patch.wrap(HybridClock, "tick", tick)


@mutant(
    "keys-of-the-reaped-stay",
    check=("state-of-members", "state-agrees"),
    why="slip: nobody tells the state that a member is gone for good",
    needs=("state", "long run"),
)
def keys_of_the_reaped_stay(patch: Patch) -> None:
    """What a member wrote is shown long after the member itself was reaped."""

    def forget(original, self, name):
        pass

    patch.wrap(State, "forget", forget)


@mutant(
    "anybody-may-have-keys",
    check=("state-of-members",),
    why="slip: a record that is passed on is not asked whether its writer is a member",
    needs=("state", "long run"),
)
def anybody_may_have_keys(patch: Patch) -> None:
    """A late record brings back the keys of a member that was reaped, or of one never heard of."""

    def receive(original, self, record, *, now_ms, in_exchange=False):
        asked, self.is_member = self.is_member, lambda writer: True
        try:
            return original(self, record, now_ms=now_ms, in_exchange=in_exchange)
        finally:
            self.is_member = asked

    patch.wrap(Replica, "receive", receive)


@mutant(
    "shared-keys-go-with-their-writer",
    check=("shared-keys-stay",),
    why="slip: a reaped member is forgotten in both planes alike",
    needs=("state", "long run"),
)
def shared_keys_go_with_their_writer(patch: Patch) -> None:
    """What a member wrote into shared state is gone when the member is reaped."""

    def forget(original, self, name):
        original(self, name)
        replica = self.replica(Plane.SHARED)
        if replica.seen.newest(name):
            replica._clear(name)
            replica._forgotten += 1

    patch.wrap(State, "forget", forget)


@mutant(
    "the-digest-keeps-what-was-replaced",
    check=("state-agrees",),
    why="slip: the former term of a sum is not taken off",
    needs=("state",),
)
def the_digest_keeps_what_was_replaced(patch: Patch) -> None:
    """Digests depend on the steps in which a member got to know things: equal ones differ."""

    def recount(original, self, writer, gen, before, after):
        digest = self.digest
        original(self, writer, gen, before, after)
        if before != after and after:
            self.digest = digest
            self._sum(1, "life", writer, gen, after)

    patch.wrap(SeenTable, "_recount", recount)
