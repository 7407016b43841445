"""Bugs in the life of a row: it appears, it is reaped, its tombstone stays."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine.claimed import claimed_member, with_state
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.membership import Membership
from trio_gossip.members import MemberState


@mutant(
    "no-tombstones",
    check=("no-resurrection",),
    why="foca 19, 31 and 32: dead records were forgotten after seconds, and their updates echoed"
    " for ever",
    needs=("long run", "reorder"),
)
def no_tombstones(patch: Patch) -> None:
    """Nothing is left of a reaped member, so that old news of it makes it a newcomer."""

    def tombstone(original, self, name, *, now):
        return None

    patch.wrap(Membership, "tombstone", tombstone)


@mutant(
    "a-tombstone-forgets-the-incarnation",
    check=("no-resurrection",),
    why="quickwit/chitchat 178 and 179: a reset lowered the highest version that was known",
    needs=("long run",),
)
def a_tombstone_forgets_the_incarnation(patch: Patch) -> None:
    """The tombstone has the first incarnation, so that any alive claim is above it."""

    def bury(original, self, entry, *, now, keep):
        entry.evidence = 0
        original(self, entry, now=now, keep=keep)

    patch.wrap(Membership, "bury", bury)


@mutant(
    "reaped-at-once",
    check=("reap-time", "healing"),
    why="slip: the reap time counts from the last change of the row before the failure",
    point=14,
)
def reaped_at_once(patch: Patch) -> None:
    """A member is reaped as soon as it is failed or left; who was wrongly failed hears nothing."""

    def end(original, self, claim, entry, state):
        row = original(self, claim, entry, state)
        self._node.timers.set(("reap", claim.name), self._node.now + 0.001)
        return row

    patch.wrap(Claims, "_end", end)


@mutant(
    "never-reaped",
    check=("reap-time", "queue-bounds", "timers-kept"),
    why="slip: the timer that ends a row is not set",
    needs=("long run",),
)
def never_reaped(patch: Patch) -> None:
    """Failed and left members stay in the table for ever."""

    def end(original, self, claim, entry, state):
        row = original(self, claim, entry, state)
        self._node.timers.cancel(("reap", claim.name))
        return row

    patch.wrap(Claims, "_end", end)


@mutant(
    "a-second-death-postpones-the-reaping",
    check=("reap-time",),
    why="quickwit/chitchat PR 123: a node that was marked dead again got a new time of death, and"
    " was never collected",
    needs=("long run",),
)
def a_second_death_postpones_the_reaping(patch: Patch) -> None:
    """Each further accusation of a dead member starts its reap time anew."""

    def suspect(original, self, claim, origin, tried=()):
        original(self, claim, origin, tried)
        _again(self, claim)

    def dead(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        was_dead = entry is not None and not entry.member.is_active
        original(self, claim, origin)
        if was_dead:
            _again(self, claim)

    def _again(self, claim):
        key = ("reap", claim.name)
        if key in self._node.timers:
            self._node.timers.set(key, self._node.now + self._node.config.reap_time)

    patch.wrap(Claims, "suspect", suspect)
    patch.wrap(Claims, "dead", dead)


@mutant(
    "a-returned-member-is-reaped",
    check=("reap-time", "events-match-table", "no-crash"),
    why="slip: a return does not cancel the reap timer",
    needs=("restart",),
)
def a_returned_member_is_reaped(patch: Patch) -> None:
    """A member that came back in time is removed when its former death would have been reaped."""

    def accept(original, self, claim, entry, reason):
        key = ("reap", claim.name)
        due = self._node.timers.deadline(key)
        original(self, claim, entry, reason)
        if due < float("inf"):
            self._node.timers.set(key, due)

    patch.wrap(Claims, "accept", accept)


@mutant(
    "reaping-shows-the-member-alive",
    check=("no-resurrection", "events-match-table"),
    why="quickwit/chitchat 132: a reset marked a dead node alive for a moment",
)
def reaping_shows_the_member_alive(patch: Patch) -> None:
    """The row is set to its first state before it is removed, which observers can see."""

    def bury(original, self, entry, *, now, keep):
        member = entry.member
        entry = self.replace(
            entry, with_state(member, MemberState.ALIVE, member.incarnation), now=now
        )
        original(self, entry, now=now, keep=keep)

    patch.wrap(Membership, "bury", bury)


@mutant(
    "a-returned-member-is-tracked-by-nobody",
    check=("detection-bound", "broadcast-to-all", "probe-coverage"),
    why="quickwit/chitchat 94 and 108, PR 155: a node that was learned again was neither live nor"
    " dead",
    needs=("restart",),
)
def a_returned_member_is_tracked_by_nobody(patch: Patch) -> None:
    """A member that comes back after a failure is in the table and is neither probed nor told."""
    lost = {}  # keeps the tables, so that no other one gets the same id

    def end(original, self, claim, entry, state):
        row = original(self, claim, entry, state)
        lost[id(self._node.table), claim.name] = self._node.table
        return row

    def tracked(table, wanted):
        def also(entry):
            return (id(table), entry.member.name) not in lost and wanted(entry)

        return also

    def walk(original, self, wanted, rng):
        return original(self, tracked(self, wanted), rng)

    def pick(original, self, count, wanted, rng):
        return original(self, count, tracked(self, wanted), rng)

    patch.wrap(Claims, "_end", end)
    patch.wrap(Membership, "next_in_walk", walk)
    patch.wrap(Membership, "pick", pick)


@mutant(
    "the-last-in-the-order-is-skipped",
    check=("probe-rate", "detection-bound", "probe-coverage"),
    why="slip: off by one at the end of a round; memberlist PR 350 for the smallest clusters",
    needs=("small",),
)
def the_last_in_the_order_is_skipped(patch: Patch) -> None:
    """The last row of the probe order is not probed in that round; of two members, often none."""

    def walk(original, self, wanted, rng):
        if self._walk == len(self._order) - 1:
            self._walk += 1
        return original(self, wanted, rng)

    patch.wrap(Membership, "next_in_walk", walk)


@mutant(
    "each-probe-starts-a-new-round",
    check=("probe-rate", "detection-bound", "probe-coverage"),
    why="slip: the order is shuffled before each probe, so that chance alone decides (SWIM section"
    " 4.3 wants a round robin)",
    needs=("crowd",),
)
def each_probe_starts_a_new_round(patch: Patch) -> None:
    """A member may wait for its probe without a bound."""

    def walk(original, self, wanted, rng):
        self._walk = len(self._order)
        return original(self, wanted, rng)

    patch.wrap(Membership, "next_in_walk", walk)


@mutant(
    "a-refused-newcomer-leaves-a-row",
    check=("events-match-table", "queue-bounds"),
    why="al8n/memberlist 56768ec, as in memberlist: a first claim that was not believed left a"
    " record that nobody could see and that used up the member limit",
    needs=("refusal",),
)
def a_refused_newcomer_leaves_a_row(patch: Patch) -> None:
    """The row of a newcomer is made before it is asked whether the newcomer may come in."""

    def newcomer(original, self, claim, origin):
        original(self, claim, origin)
        node = self._node
        stone = node.table.tombstone(claim.name, now=node.now)
        if node.table.get(claim.name) is None and stone is None:
            ghost = with_state(claimed_member(claim), MemberState.FAILED, claim.incarnation)
            node.table.insert(ghost, now=node.now, rng=node.rng)

    patch.wrap(Claims, "_newcomer", newcomer)
