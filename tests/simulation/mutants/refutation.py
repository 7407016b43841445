"""Bugs in how a member speaks up for itself, and in what others tell it."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine.claimed import with_state
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.core import Engine
from trio_gossip.engine.origin import Origin
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.stale import Stale
from trio_gossip.members import MemberState


@mutant(
    "no-refutation",
    check=("no-false-failure", "refutation"),
    why="slip: the accused drops what is about itself (SWIM section 4.2 needs its answer)",
    needs=("loss", "pause"),
)
def no_refutation(patch: Patch) -> None:
    """A member that hears that it is suspected says nothing."""

    def accused(original, self, incarnation, origin, accusers=()):
        pass

    patch.wrap(Refutation, "accused", accused)


@mutant(
    "refutes-without-raising-its-incarnation",
    check=("no-false-failure", "no-resurrection", "refutation"),
    why="slip: incarnation + 0 in the refutation",
    needs=("loss", "pause"),
)
def refutes_without_raising_its_incarnation(patch: Patch) -> None:
    """A refutation carries the incarnation that was accused, so that nobody believes it."""

    def bid(original, self, incarnation):
        return original(self, incarnation - 1)

    patch.wrap(Refutation, "bid", bid)


@mutant(
    "refutes-one-above-its-own",
    check=("healing", "convergence", "no-false-failure", "refutation"),
    why="slip: own incarnation + 1 instead of accused incarnation + 1",
    needs=("lost incarnation",),
)
def refutes_one_above_its_own(patch: Patch) -> None:
    """A restarted member answers a death of its former life one above its own low incarnation,
    which is still below the accusation.
    """

    def bid(original, self, incarnation):
        return original(self, self._node.me.member.incarnation + 1)

    patch.wrap(Refutation, "bid", bid)


@mutant(
    "refutation-wraps-at-32-bits",
    check=("incarnation-monotone", "no-crash", "no-false-failure", "own-incarnation"),
    why="memberlist 358 and 359: one suspicion at 2**32 - 1 makes the refutation wrap to 0",
    needs=("hostile",),
    point=4,
)
def refutation_wraps_at_32_bits(patch: Patch) -> None:
    """The incarnation of a refutation is cut to 32 bits, so that one forged accusation puts a
    member back to the lowest number there is.
    """

    def bid(original, self, incarnation):
        return original(self, max(1, incarnation & 0xFFFFFFFF))

    patch.wrap(Refutation, "bid", bid)


@mutant(
    "refutation-is-told-to-the-accuser-only",
    check=("no-false-failure", "convergence", "refutation", "news-is-queued"),
    why="slip: the refutation is an answer and is not queued as news",
    needs=("loss", "pause"),
)
def refutation_is_told_to_the_accuser_only(patch: Patch) -> None:
    """A refutation goes to who passed the accusation on and to nobody else."""

    def bid(original, self, incarnation):
        node = self._node
        if not node.spend_answer():
            return False
        raised = with_state(node.me.member, MemberState.ALIVE, incarnation)
        node.table.replace(node.me, raised, now=node.now)
        return True

    patch.wrap(Refutation, "bid", bid)


@mutant(
    "refutation-is-not-answered-directly",
    check=("no-false-failure", "refutation", "answers-owed"),
    why="slip: the refutation is gossiped, and the accuser waits for its luck",
    needs=("loss", "pause"),
)
def refutation_is_not_answered_directly(patch: Patch) -> None:
    """Neither a fresh nor an old accusation is answered to whom it came from."""

    def accused(original, self, incarnation, origin, accusers=()):
        original(self, incarnation, Origin(origin.reason), accusers)

    patch.wrap(Refutation, "accused", accused)


@mutant(
    "accepts-its-own-death",
    check=("no-own-death", "convergence"),
    why="slip: a claim about oneself is handled like one about anybody",
    needs=("pause", "partition"),
)
def accepts_its_own_death(patch: Patch) -> None:
    """A member that hears of its own death believes it."""

    def accused(original, self, incarnation, origin, accusers=()):
        node = self._node
        mine = node.me.member
        if incarnation < mine.incarnation or node.leaving:
            original(self, incarnation, origin, accusers)
            return
        dead = with_state(mine, MemberState.FAILED, incarnation)
        node.table.replace(node.me, dead, now=node.now)

    patch.wrap(Refutation, "accused", accused)


@mutant(
    "a-leaver-refutes-its-leave",
    check=("leave-is-left", "no-resurrection", "own-goodbye"),
    why="slip: who leaves is still asked to refute, and does",
    needs=("leave",),
    point=6,
)
def a_leaver_refutes_its_leave(patch: Patch) -> None:
    """The echo of a member's own goodbye makes it announce that it is alive."""

    def accused(original, self, incarnation, origin, accusers=()):
        node = self._node
        if node.leaving and incarnation >= node.me.member.incarnation:
            self.bid(incarnation + 1)
        else:
            original(self, incarnation, origin, accusers)

    patch.wrap(Refutation, "accused", accused)


@mutant(
    "an-older-life-is-not-outbid",
    check=("healing", "convergence", "one-content", "first-incarnation"),
    why="slip: an alive claim about oneself is taken for an echo",
    needs=("lost incarnation",),
    point=3,
)
def an_older_life_is_not_outbid(patch: Patch) -> None:
    """A restarted member that meets claims of its former life at a higher incarnation lets them
    stand, so that others keep the former life's address and metadata.
    """

    def alive_about_me(original, self, claim, origin):
        pass

    patch.wrap(Refutation, "alive_about_me", alive_about_me)


@mutant(
    "a-stale-alive-is-not-answered",
    check=("healing", "convergence", "answers-owed"),
    why="memberlist 311 and PR 345: after a mass restart, dead at 100 never reached members that"
    " were back at incarnation 1; thousands stayed out",
    needs=("lost incarnation",),
    point=3,
)
def a_stale_alive_is_not_answered(patch: Patch) -> None:
    """Who comes back with a low incarnation is not told what is held against it, and stays out."""

    def stale(original, self, claim, entry, origin):
        self._node.counters.bump("alive_stale")

    patch.wrap(Stale, "alive", stale)


@mutant(
    "a-reaped-member-is-not-answered",
    check=("healing", "convergence", "answers-owed"),
    why="memberlist 311, for members whose row is gone and whose tombstone is left",
    needs=("lost incarnation", "long run"),
    point=3,
)
def a_reaped_member_is_not_answered(patch: Patch) -> None:
    """Old news of a reaped member is ignored even when it comes from the member itself."""

    def newcomer(original, self, claim, origin):
        node = self._node
        stone = node.table.tombstone(claim.name, now=node.now)
        if stone is None or claim.incarnation > stone.incarnation:
            original(self, claim, origin)

    patch.wrap(Claims, "_newcomer", newcomer)


@mutant(
    "the-answer-is-one-too-low",
    check=("healing", "convergence", "quiescence", "answers-owed"),
    why="slip: off by one in what a stale alive is answered with",
    needs=("lost incarnation",),
    point=3,
)
def the_answer_is_one_too_low(patch: Patch) -> None:
    """A stale alive is answered with one less than what is held against the member, so that what
    it bids next is stale again, and the two talk for ever.
    """

    def held(original, self, entry):
        claim = original(self, entry)
        claim.incarnation = max(1, claim.incarnation - 1)
        return claim

    patch.wrap(Stale, "held_against", held)


@mutant(
    "a-failed-asker-is-only-acked",
    check=("healing", "convergence", "pings-answered"),
    why="slip: an ack is all that a ping gets, so that a wrongly failed member learns nothing",
    needs=("partition",),
)
def a_failed_asker_is_only_acked(patch: Patch) -> None:
    """A member that is held failed and pings us is not told so."""

    def ping(original, self, message, source):
        node = self._node
        entry = node.table.get(message.source)
        if entry is None or entry.member.state is not MemberState.FAILED:
            original(self, message, source)
            return
        anonymous = type(message)(message.sequence, message.target, node.name, message.reply_to)
        original(self, anonymous, source)

    patch.wrap(Relay, "ping", ping)


@mutant(
    "starts-at-one-after-a-restart",
    check=(
        "one-content",
        "no-resurrection",
        "incarnation-monotone",
        "own-incarnation",
        "first-incarnation",
    ),
    why="memberlist starts at incarnation 1 in every life",
    needs=("restart",),
    point=3,
)
def starts_at_one_after_a_restart(patch: Patch) -> None:
    """Every life starts at incarnation 1, so that two lives of one name share their numbers."""

    def init(original, self, config, address, *args, **kwargs):
        kwargs.pop("incarnation", None)
        original(self, config, address, *args, **kwargs)

    patch.wrap(Engine, "__init__", init)
