"""Bugs in the exchange of whole tables."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec import frames
from trio_gossip.codec.messages import Alive, Dead
from trio_gossip.engine import merge, sync, tables
from trio_gossip.engine.merge import Merge
from trio_gossip.engine.sync import Answering, _Asking
from trio_gossip.engine.tables import TableReader, TableSender
from trio_gossip.members import MemberState

_STATES = merge.STATE_BY_NUMBER


@mutant(
    "hearsay-of-a-death-is-a-verdict",
    check=("no-false-failure", "suspicion-duration"),
    why="slip: a failed record is merged as a death, where memberlist makes a suspicion of it",
    needs=("partition", "loss"),
)
def hearsay_of_a_death_is_a_verdict(patch: Patch) -> None:
    """A peer's table that has a member as failed declares it failed here at once."""

    def claim(original, self, record, origin):
        if _STATES[record.state] is MemberState.FAILED:
            dead = Dead(record.incarnation, record.name, self._node.name)
            self._claims.dead(dead, origin)
        else:
            original(self, record, origin)

    patch.wrap(Merge, "_claim", claim)


@mutant(
    "a-suspect-record-adds-a-member",
    check=("no-resurrection",),
    why="atomix 962 and the notes of quickwit/chitchat: a push/pull brought removed members back",
    needs=("long run",),
)
def a_suspect_record_adds_a_member(patch: Patch) -> None:
    """A failed or suspect record of a member that is not in the table puts it there, alive."""

    def claim(original, self, record, origin):
        if self._node.table.get(record.name) is None:
            self._node.table._tombstones.pop(record.name, None)
            alive = Alive(
                record.incarnation, record.name, record.address, record.meta, record.versions
            )
            self._claims.alive(alive, origin)
        original(self, record, origin)

    patch.wrap(Merge, "_claim", claim)


@mutant(
    "a-left-record-is-a-failure",
    check=("exchange-merged", "leave-is-left"),
    why="slip: left is sent as dead in a table",
    needs=("leave", "loss"),
    point=10,
)
def a_left_record_is_a_failure(patch: Patch) -> None:
    """Who learns of a leave from a table takes it for a failure."""

    def record_of(original, member):
        record = original(member)
        if member.state is MemberState.LEFT:
            record.state = _STATES.index(MemberState.FAILED)
        return record

    patch.wrap(tables, "record_of", record_of)


@mutant(
    "the-answering-side-does-not-merge",
    check=("convergence", "healing"),
    why="slip: push/pull without the push",
    needs=("loss", "partition"),
)
def the_answering_side_does_not_merge(patch: Patch) -> None:
    """Who answers an exchange sends its table and drops the peer's."""

    def end(original, self, exchange):
        self._release()

    patch.wrap(Answering, "_end", end)


@mutant(
    "the-asking-side-does-not-merge",
    check=("convergence",),
    why="slip: push/pull without the pull",
)
def the_asking_side_does_not_merge(patch: Patch) -> None:
    """Who opens an exchange sends its table and drops the peer's: a newcomer learns of nobody."""

    def complete(original, self, exchange):
        self._reader.records = [
            record for record in self._reader.records if record.name == self._peer.source
        ]
        original(self, exchange)

    patch.wrap(_Asking, "_complete", complete)


@mutant(
    "a-table-is-sent-in-part",
    check=("convergence",),
    why="foca 18: the reply to a join broke where the last member did not fit",
    needs=("crowd",),
)
def a_table_is_sent_in_part(patch: Patch) -> None:
    """Of a table the first half is sent, and its own member."""

    def init(original, self, opening, members, chunk):
        half = list(members)[: len(members) // 2 + 1]
        half += [each for each in members if each.name == opening.source and each not in half]
        original(self, opening, half, chunk)

    patch.wrap(TableSender, "__init__", init)


@mutant(
    "a-table-is-merged-in-part",
    check=("convergence",),
    why="slip: the first slice of a table is merged and the others are not",
)
def a_table_is_merged_in_part(patch: Patch) -> None:
    """Of a peer's table the first four members are believed."""
    patch.value(merge, "SLICE", 4)

    def step(original, self, job_id):
        job = self._jobs[job_id]
        del job.records[merge.SLICE :]
        original(self, job_id)

    patch.wrap(Merge, "step", step)


@mutant(
    "a-table-fits-one-frame",
    check=("convergence",),
    why="al8n/memberlist 158: with enough members the reply was above the frame limit, and no"
    " exchange worked any more",
    needs=("crowd",),
)
def a_table_fits_one_frame(patch: Patch) -> None:
    """A table goes in one frame, which peers refuse when it has more than eight members."""
    patch.value(frames, "RECORDS_MAX", 8)

    def init(original, self, opening, members, chunk):
        original(self, opening, members, len(members))

    patch.wrap(TableSender, "__init__", init)


@mutant(
    "half-a-table-is-a-table",
    check=("convergence", "join-outcome"),
    why="al8n/memberlist 118: a stream that ended early was read as complete",
    needs=("stream cut",),
)
def half_a_table_is_a_table(patch: Patch) -> None:
    """An exchange whose stream breaks counts as done with what came of it."""

    def failed(original, self, exchange, failure):
        if self._done is not None:
            self._done(len(self._reader.records), False, None)

    patch.wrap(_Asking, "failed", failed)


@mutant(
    "a-refused-join-is-a-join",
    check=("join-outcome",),
    why="slip: the refusal is read, counted and not passed on",
    needs=("refusal",),
    point=11,
)
def a_refused_join_is_a_join(patch: Patch) -> None:
    """A join that the seed refused completes without an error."""

    def refused(original, self, exchange, refusal):
        if self._done is not None:
            self._done(0, False, None)

    patch.wrap(_Asking, "refused", refused)


@mutant(
    "a-failed-join-never-ends",
    check=("commands-complete",),
    why="slip: only success calls back",
    needs=("stream cut",),
    point=11,
)
def a_failed_join_never_ends(patch: Patch) -> None:
    """A join whose seed cannot be reached never ends for the caller."""

    def end(original, self, error):
        self._node.counters.bump("sync_failed")

    patch.wrap(_Asking, "_end", end)


@mutant(
    "places-of-exchanges-are-never-freed",
    check=("queue-bounds", "convergence"),
    why="slip: the number of exchanges that peers have open goes up and never down",
    needs=("crowd",),
)
def places_of_exchanges_are_never_freed(patch: Patch) -> None:
    """After as many exchanges as there are places a member refuses all others as busy."""

    def release(original, self):
        self._sync.held -= self._held

    patch.wrap(Answering, "_release", release)


@mutant(
    "a-double-record-is-taken",
    check=("no-crash", "convergence"),
    why="slip: the number of records is not compared with what was announced",
    needs=("hostile",),
)
def a_double_record_is_taken(patch: Patch) -> None:
    """A table that lost a chunk on the way, or has a member twice, counts as complete."""

    def is_complete(original, self, frame):
        return True

    patch.wrap(TableReader, "is_complete", is_complete)


@mutant(
    "held-tables-have-no-bound",
    check=("queue-bounds", "memory-bounds"),
    why="al8n/memberlist 158: what came in was bounded by number and not by size",
    needs=("hostile", "crowd"),
)
def held_tables_have_no_bound(patch: Patch) -> None:
    """Peers may make a member hold any number of tables that are not merged yet."""
    patch.value(sync, "HELD_TABLES", 1 << 30)
