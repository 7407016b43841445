"""Bugs in repair: sums on pings, differences that are explained, tables compared by buckets."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec.summary import EQUAL
from trio_gossip.engine import buckets, hearsay, membership, tally
from trio_gossip.engine.buckets import Buckets
from trio_gossip.engine.changelog import ChangeLog
from trio_gossip.engine.hearsay import Hearsay
from trio_gossip.engine.node import Node
from trio_gossip.engine.repair import Repair
from trio_gossip.engine.tally import Tally
from trio_gossip.members import MemberState


@mutant(
    "what-goes-stays-in-the-sum",
    check=("sums-match-table",),
    why="slip: the former term of a sum is not taken off",
    needs=("restart",),
)
def what_goes_stays_in_the_sum(patch: Patch) -> None:
    """The sum over a table keeps what its rows were before."""

    def change(original, self, name, old, new, *, now):
        original(self, name, 0 if new else old, new, now=now)

    patch.wrap(Tally, "change", change)


@mutant(
    "the-failed-count-in-the-sum",
    check=("sums-match-table",),
    why="slip: all rows are summed up, and failed ones are reaped at different times",
)
def the_failed_count_in_the_sum(patch: Patch) -> None:
    """Two members that know the same have different sums until the dead are reaped."""

    def term_of(original, member):
        return tally._term(member.name, member.incarnation)

    patch.wrap(tally, "term_of", term_of)
    patch.wrap(membership, "term_of", term_of)


@mutant(
    "buckets-are-not-kept",
    check=("sums-match-table", "missed-is-repaired"),
    why="slip: two sums of one table, of which one change updates one",
    needs=("meta",),
)
def buckets_are_not_kept(patch: Patch) -> None:
    """The sums of buckets are those of the first incarnations."""

    def change(original, self, name, old, new, *, now):
        before = self.buckets[:]
        original(self, name, old, new, now=now)
        if old and new:
            self.buckets = before

    patch.wrap(Tally, "change", change)


@mutant(
    "everything-is-equal",
    check=("missed-is-repaired", "state-agrees"),
    why="slip: the comparison of two sums has no else",
    needs=("loss",),
)
def everything_is_equal(patch: Patch) -> None:
    """Whatever a ping says, the answer is that both know the same."""

    def answer(original, self, ping, source):
        summary, told = original(self, ping, source)
        return (EQUAL, ()) if summary else (summary, told)

    patch.wrap(Repair, "answer", answer)


@mutant(
    "it-is-explained-and-not-told",
    check=("explained-is-told", "missed-is-repaired"),
    why="slip: the answer says that the news goes along with it, and it does not",
    needs=("loss",),
)
def it_is_explained_and_not_told(patch: Patch) -> None:
    """Who lacks news is told that it will hear of it."""

    def answer(original, self, ping, source):
        summary, _ = original(self, ping, source)
        return summary, ()

    patch.wrap(Repair, "answer", answer)


@mutant(
    "what-no-log-explains-stays",
    check=("missed-is-repaired", "state-agrees"),
    why="slip: only the fast way of two is there",
    needs=("loss", "partition"),
)
def what_no_log_explains_stays(patch: Patch) -> None:
    """A difference that is older than the log is never looked into."""

    def unexplained(original, self, plane, peer, difference, age):
        self._node.counters.bump("repair_unexplained")

    patch.wrap(Repair, "_unexplained", unexplained)


@mutant(
    "a-refused-difference-is-told-for-ever",
    check=("quiescence", "state-agrees"),
    why="ringpop 143: two members told each other for ever what the other did not take",
    needs=("refusal",),
)
def a_refused_difference_is_told_for_ever(patch: Patch) -> None:
    """What a peer does not take it is told with every ping."""

    def may_try(original, self, peer, difference):
        return True

    patch.wrap(Repair, "_may_try", may_try)


@mutant(
    "the-log-names-the-wrong-member",
    check=("explained-is-told", "missed-is-repaired"),
    why="slip: the latest change is told, whatever the difference is",
    needs=("loss",),
)
def the_log_names_the_wrong_member(patch: Patch) -> None:
    """A difference is explained with the member that changed last."""

    def explain(original, self, difference):
        found = original(self, difference)
        return [next(reversed(self._terms))] if found else found

    patch.wrap(ChangeLog, "explain", explain)


@mutant(
    "the-older-row-wins",
    check=("missed-is-repaired",),
    why="slip: the comparison of two incarnations is the wrong way round",
    needs=("partition", "loss"),
)
def the_older_row_wins(patch: Patch) -> None:
    """Of two tables each side tells what the other knows better."""

    def is_newer(original, one, other):
        return original(other, one)

    patch.wrap(buckets, "_is_newer", is_newer)


@mutant(
    "rows-are-sent-in-part",
    check=("compared-is-told", "missed-is-repaired"),
    why="slip: of the buckets that differ the first one is sent",
    needs=("partition", "loss"),
)
def rows_are_sent_in_part(patch: Patch) -> None:
    """A comparison looks into one bucket, always the same one while it differs."""

    def rows(original, self, buckets):
        return original(self, buckets[:1])

    patch.wrap(Buckets, "_rows", rows)


@mutant(
    "what-is-wanted-is-not-told",
    check=("compared-is-told", "missed-is-repaired"),
    why="slip: the last of several legs is dropped as unexpected",
    needs=("partition", "loss"),
)
def what_is_wanted_is_not_told(patch: Patch) -> None:
    """Who asks for what it lacks gets no answer."""

    def on_wants(original, self, message, source):
        self._node.counters.bump("repair_refused")

    patch.wrap(Buckets, "on_wants", on_wants)


@mutant(
    "an-old-death-is-told-as-one",
    check=("no-false-failure", "verdict-has-cause"),
    why="slip: a difference is mended with a verdict, though the peer comes from the other side of"
    " a partition",
    needs=("partition", "pause"),
)
def an_old_death_is_told_as_one(patch: Patch) -> None:
    """Who holds a member alive that we have long buried is told that it is dead."""
    patch.value(hearsay, "DEATH_SECONDS", 1e9)


@mutant(
    "a-goodbye-is-told-as-a-failure",
    check=("goodbyes-told-as-such", "leave-is-left"),
    why="slip: left and failed are one state where news is told again",
    needs=("leave", "loss"),
    point=10,
)
def a_goodbye_is_told_as_a_failure(patch: Patch) -> None:
    """Who missed a goodbye is told that the member failed."""

    def gone(original, self, name, incarnation, state, *, recent):
        return original(self, name, incarnation, MemberState.FAILED, recent=recent)

    patch.wrap(Hearsay, "_gone", gone)


@mutant(
    "the-end-of-a-member-is-not-told",
    check=("compared-is-told", "missed-is-repaired"),
    why="slip: what is told of a member is made of active rows alone",
    needs=("leave", "loss"),
)
def the_end_of_a_member_is_not_told(patch: Patch) -> None:
    """Who missed the end of a member is not told of it by repair."""

    def about(original, self, name):
        entry = self._node.table.get(name)
        if entry is None or not entry.member.is_active:
            return None
        return original(self, name)

    patch.wrap(Hearsay, "about", about)


@mutant(
    "repair-answers-strangers",
    check=("amplification", "convergence"),
    why="slip: a sum is compared before it is asked who sends it",
    needs=("hostile",),
)
def repair_answers_strangers(patch: Patch) -> None:
    """Who is no member, or failed, is told what members know."""

    def is_peer(original, self, name, source):
        return self.table.get(name) is not None or original(self, name, source)

    patch.wrap(Node, "is_peer", is_peer)
