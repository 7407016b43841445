"""Bugs in what a member announces, in passing announcements on, in leaving and coming back."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import presence
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.leaving import Leaving
from trio_gossip.engine.presence import Presence
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.refutation import Refutation
from trio_gossip.members import Member, MemberState


@mutant(
    "newcomers-are-not-passed-on",
    check=("convergence",),
    why="slip: a newcomer is entered and not queued as news",
)
def newcomers_are_not_passed_on(patch: Patch) -> None:
    """Who learns of a newcomer tells nobody."""

    def newcomer(original, self, claim, origin):
        known = self._node.table.get(claim.name)
        original(self, claim, origin)
        if known is None:
            self._node.queue.membership.discard(claim.name)

    patch.wrap(Claims, "_newcomer", newcomer)


@mutant(
    "changes-are-not-passed-on",
    check=("convergence", "no-false-failure"),
    why="slip: a newer alive claim is entered and not queued as news",
    needs=("meta", "loss"),
)
def changes_are_not_passed_on(patch: Patch) -> None:
    """Refutations and new metadata reach only those whom the member itself tells."""

    def accept(original, self, claim, entry, reason):
        original(self, claim, entry, reason)
        self._node.queue.membership.discard(claim.name)

    patch.wrap(Claims, "accept", accept)


@mutant(
    "new-metadata-keeps-the-incarnation",
    check=("one-content", "convergence"),
    why="slip: only a refutation raises the incarnation",
    needs=("meta",),
)
def new_metadata_keeps_the_incarnation(patch: Patch) -> None:
    """New metadata is announced at the same incarnation, so that nobody takes it for news."""

    def with_meta(original, self, meta):
        me = self._node.me.member
        return Member(me.name, me.address, me.state, me.incarnation, meta, me.versions)

    patch.wrap(Presence, "_with_meta", with_meta)


@mutant(
    "new-metadata-stays-at-home",
    check=("convergence", "one-content"),
    why="slip: the row is changed and nothing is announced",
    needs=("meta",),
)
def new_metadata_stays_at_home(patch: Patch) -> None:
    """A change of metadata reaches others with the next table exchange, if at all."""

    def announce(original, self, member):
        original(self, member)
        if member.meta and member.state is MemberState.ALIVE:
            self._node.queue.membership.discard(member.name)

    patch.wrap(Refutation, "announce", announce)


@mutant(
    "leaves-without-a-word",
    check=("leave-is-left",),
    why="slip: the process stops and trusts the failure detector",
    needs=("leave",),
    point=6,
)
def leaves_without_a_word(patch: Patch) -> None:
    """Who leaves tells nobody, and is declared failed."""

    def start(original, self, token):
        node = self._node
        original(self, token)
        node.queue.urgent.clear()

    def tell(original, self):
        if not self._wanted:
            return
        self._finish()

    patch.wrap(Leaving, "start", start)
    patch.wrap(Leaving, "tell", tell)


@mutant(
    "a-goodbye-waits-its-turn",
    check=("leave-is-left",),
    why="memberlist queues the goodbye behind other news and counts how often it was sent, not who"
    " heard it",
    needs=("leave", "loss"),
    point=6,
)
def a_goodbye_waits_its_turn(patch: Patch) -> None:
    """The goodbye goes with other gossip, to nobody directly, and the process ends at once."""

    def start(original, self, token):
        original(self, token)
        queue = self._node.queue
        waiting = list(queue.urgent._entries.values())
        queue.urgent.clear()
        for entry in waiting:
            queue.membership.put(entry.key, entry.data)

    def tell(original, self):
        self._node.timers.set(("leave_timeout", 0), self._node.now + 0.01)

    patch.wrap(Leaving, "start", start)
    patch.wrap(Leaving, "tell", tell)


@mutant(
    "one-ack-of-a-goodbye-is-enough",
    check=("leave-is-left",),
    why="slip: any acknowledgement ends the leave, without the time in which others are still told",
    needs=("leave", "loss"),
    point=6,
)
def one_ack_of_a_goodbye_is_enough(patch: Patch) -> None:
    """The process ends as soon as one member has heard its goodbye."""

    def heard(original, self, name, sequence, source):
        original(self, name, sequence, source)
        if not self._done:
            self._finish()

    patch.wrap(Leaving, "_heard", heard)


@mutant(
    "a-goodbye-is-not-acknowledged",
    check=("leave-outcome",),
    why="slip: the receiver of a goodbye believes it and says nothing",
    needs=("leave",),
    point=6,
)
def a_goodbye_is_not_acknowledged(patch: Patch) -> None:
    """Who leaves waits until its leave times out, and counts nobody that heard it."""

    def told(original, self, message, source):
        node = self._node
        answers, node.answers = node.answers, 0
        original(self, message, source)
        node.answers = answers

    patch.wrap(Leaving, "told", told)


@mutant(
    "a-goodbye-is-acknowledged-and-not-believed",
    check=("leave-is-left",),
    why="slip: the direct goodbye is taken for a courtesy, and only the gossip counts",
    needs=("leave", "loss"),
    point=6,
)
def a_goodbye_is_acknowledged_and_not_believed(patch: Patch) -> None:
    """Members that hear a goodbye directly acknowledge it and change nothing."""

    def told(original, self, message, source):
        claims = self._claims
        self._claims = _Deaf()
        original(self, message, source)
        self._claims = claims

    patch.wrap(Leaving, "told", told)


class _Deaf:
    def dead(self, claim, origin):
        pass


@mutant(
    "a-leaver-goes-on-probing",
    check=("quiescence", "probe-rate", "leave-is-left"),
    why="slip: the leave does not stop the failure detector",
    needs=("leave",),
)
def a_leaver_goes_on_probing(patch: Patch) -> None:
    """A member that left probes others, and accuses those that do not answer."""

    def stop(original, self):
        pass

    patch.wrap(Prober, "stop", stop)


@mutant(
    "comes-back-at-the-incarnation-of-its-leave",
    check=("no-resurrection", "incarnation-monotone", "own-incarnation"),
    why="slip: a new join sets the state and forgets the incarnation",
    needs=("leave", "return"),
    point=6,
)
def comes_back_at_the_incarnation_of_its_leave(patch: Patch) -> None:
    """After a leave a member announces itself at the incarnation at which it left."""

    def replace(original, member, state, incarnation):
        if member.state is MemberState.LEFT:
            incarnation = member.incarnation
        return original(member, state, incarnation)

    patch.wrap(presence, "with_state", replace)


@mutant(
    "comes-back-and-probes-nobody",
    check=("detection-bound", "probe-rate", "probe-coverage"),
    why="slip: what the leave stopped is not started again",
    needs=("leave", "return"),
    point=6,
)
def comes_back_and_probes_nobody(patch: Patch) -> None:
    """A member that joined again after a leave is alive and finds no failures."""

    def come_back(original, self):
        news = self._node.leaving
        original(self)
        if news:
            self._parts.prober.stop()

    patch.wrap(Presence, "come_back", come_back)


@mutant(
    "a-newcomer-tells-only-its-seed",
    check=("convergence",),
    why="slip: the join is thought to be enough, and the newcomer's own news is dropped",
)
def a_newcomer_tells_only_its_seed(patch: Patch) -> None:
    """A newcomer introduces itself to nobody and does not gossip that it is there."""

    def introduce(original, self):
        self._node.queue.membership.discard(self._node.name)

    patch.wrap(Presence, "introduce", introduce)


@mutant(
    "the-linger-is-forgotten",
    check=("leave-is-left",),
    why="slip: a leave that nobody needs to acknowledge ends before it was told",
    needs=("leave", "loss"),
)
def the_linger_is_forgotten(patch: Patch) -> None:
    """The leave is over in the turn in which it began: one packet to each, and no second try."""

    def start(original, self, token):
        original(self, token)
        if not self._done:
            self._finish()

    patch.wrap(Leaving, "start", start)
