"""Bugs in how long a suspect has: timers, confirmations, the formulas behind them."""

from __future__ import annotations

import math

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import lifeguard
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.lifeguard import Lifeguard
from trio_gossip.engine.suspicion import Suspicion
from trio_gossip.members import MemberState


def deadline_of(node, case):
    """When a suspicion ends by the rules of either detector."""
    if isinstance(case, Suspicion):
        return case.deadline
    return case.deadline(node.config, node.awareness.score)


@mutant(
    "suspicion-timer-is-never-set",
    check=("detection-bound", "timers-kept"),
    why="slip: a suspicion is noted and nobody looks at the clock",
)
def suspicion_timer_is_never_set(patch: Patch) -> None:
    """A suspect stays suspect for ever."""

    def start(original, self, claim, entry, origin, tried):
        original(self, claim, entry, origin, tried)
        self._node.timers.cancel(("suspicion", claim.name))

    patch.wrap(Claims, "_start_suspicion", start)


@mutant(
    "suspicion-ends-at-once",
    check=("suspicion-duration", "no-false-failure"),
    why="slip: the timer is set to the start of the suspicion, not to its end",
)
def suspicion_ends_at_once(patch: Patch) -> None:
    """A suspect has no time to refute."""

    def deadline(original, self):
        return self.started

    patch.wrap(Suspicion, "deadline", deadline)


@mutant(
    "suspicion-lasts-half",
    check=("suspicion-duration",),
    why="slip: the multiplier is applied to the probe timeout instead of the probe interval",
)
def suspicion_lasts_half(patch: Patch) -> None:
    """A suspect has half of the time that the formula gives it."""

    def minimum(original, mult, n, interval):
        return original(mult, n, interval / 2)

    patch.wrap(lifeguard, "suspicion_minimum", minimum)


@mutant(
    "suspicion-ignores-the-size-of-the-cluster",
    check=("suspicion-duration",),
    why="slip: the factor log10(N) is forgotten, which small tests cannot notice",
    needs=("crowd",),
)
def suspicion_ignores_the_size_of_the_cluster(patch: Patch) -> None:
    """A suspect in a large cluster has the time that one in a small cluster has."""

    def minimum(original, mult, n, interval):
        return original(mult, 1, interval)

    patch.wrap(lifeguard, "suspicion_minimum", minimum)


@mutant(
    "confirmations-never-shorten",
    check=("detection-bound",),
    why="slip: a further accuser is taken for one that is known (Lifeguard section IV-B)",
)
def confirmations_never_shorten(patch: Patch) -> None:
    """Every suspicion lasts as long as an unconfirmed one, six times longer."""

    def confirm(original, self, accuser):
        return False

    patch.wrap(Suspicion, "confirm", confirm)


@mutant(
    "one-accuser-confirms-itself",
    check=("suspicion-duration",),
    why="slip: accusations are counted, not accusers",
)
def one_accuser_confirms_itself(patch: Patch) -> None:
    """A copy of the same accusation counts as a confirmation."""

    def confirm(original, self, accuser):
        if self.confirmations >= self.wanted:
            return False
        self.accusers.append(accuser)
        return True

    patch.wrap(Suspicion, "confirm", confirm)


@mutant(
    "the-first-accuser-confirms",
    check=("suspicion-duration",),
    why="slip: off by one in the number of confirmations",
)
def the_first_accuser_confirms(patch: Patch) -> None:
    """The accusation that starts a suspicion counts as its first confirmation."""

    def confirmations(original, self):
        return min(len(self.accusers), self.wanted)

    patch.wrap(Suspicion, "confirmations", confirmations)


@mutant(
    "one-observer-is-enough",
    check=("suspicion-duration", "no-false-failure"),
    why="Rapid (USENIX ATC 2018) and ringpop 11: one bad link makes a member flap when a single"
    " observer may condemn it",
    needs=("loss",),
)
def one_observer_is_enough(patch: Patch) -> None:
    """No confirmation is waited for, so that each suspicion has the shortest time."""

    def wanted(original, mult, n):
        return 0

    patch.wrap(lifeguard, "confirmations_wanted", wanted)


@mutant(
    "small-clusters-wait-for-confirmations",
    check=("detection-bound",),
    why="slip: the case that too few members are there to confirm is forgotten",
    needs=("small",),
)
def small_clusters_wait_for_confirmations(patch: Patch) -> None:
    """In a cluster of two or three members a failure takes six times longer to be declared."""

    def wanted(original, mult, n):
        return mult - 2

    patch.wrap(lifeguard, "confirmations_wanted", wanted)


@mutant(
    "a-confirmation-does-not-move-the-timer",
    check=("detection-bound",),
    why="slip: the deadline is computed anew and the timer keeps the old one",
)
def a_confirmation_does_not_move_the_timer(patch: Patch) -> None:
    """Confirmations are counted and passed on and change nothing."""

    def confirm(original, self, claim, entry, tried):
        key = ("suspicion", claim.name)
        before = self._node.timers.deadline(key)
        original(self, claim, entry, tried)
        self._node.timers.set(key, before)

    patch.wrap(Lifeguard, "confirm", confirm)


@mutant(
    "confirmations-count-linearly",
    check=("suspicion-duration",),
    why="slip: the share of the confirmations without its logarithm (Lifeguard, formula 1)",
)
def confirmations_count_linearly(patch: Patch) -> None:
    """The time falls by the same amount with each confirmation, so that the first one saves too
    little.
    """

    def timeout(original, self):
        if self.wanted < 1:
            return original(self)
        share = min(self.confirmations / (2 * self.wanted), 1.0)
        raw = self.maximum - (self.maximum - self.minimum) * share
        return max(self.minimum, math.floor(1000 * raw) / 1000)

    patch.wrap(Suspicion, "timeout", timeout)


@mutant(
    "a-new-suspicion-inherits-the-old-time",
    check=("suspicion-duration", "no-false-failure"),
    why="slip: an accusation at a higher incarnation only counts as a further accuser",
    needs=("loss", "restart", "pause"),
)
def a_new_suspicion_inherits_the_old_time(patch: Patch) -> None:
    """A suspect that refuted and is accused anew has what is left of the first suspicion's time."""

    def start(original, self, claim, entry, origin, tried):
        before = self.suspicions.get(claim.name)
        original(self, claim, entry, origin, tried)
        if before is not None:
            again = self.suspicions[claim.name]
            again.started = before.started
            deadline = deadline_of(self._node, again)
            self._node.timers.set(("suspicion", claim.name), deadline)

    patch.wrap(Claims, "_start_suspicion", start)


@mutant(
    "alive-does-not-end-a-suspicion",
    check=("no-false-failure", "incarnation-monotone", "timers-kept"),
    why="slip: the row is set to alive and the suspicion is forgotten about",
    needs=("loss", "pause"),
)
def alive_does_not_end_a_suspicion(patch: Patch) -> None:
    """The timer of a refuted suspicion goes on and declares the living member failed."""

    def accept(original, self, claim, entry, reason):
        running = self.suspicions.get(claim.name)
        original(self, claim, entry, reason)
        if running is not None:
            self.suspicions[claim.name] = running
            deadline = deadline_of(self._node, running)
            self._node.timers.set(("suspicion", claim.name), deadline)

    patch.wrap(Claims, "accept", accept)


@mutant(
    "a-suspicion-goes-and-its-timer-stays",
    check=("no-crash",),
    why="slip: the suspicion is removed and its timer is not cancelled",
    needs=("loss", "pause"),
)
def a_suspicion_goes_and_its_timer_stays(patch: Patch) -> None:
    """The timer of a refuted suspicion fires for a suspicion that is not there."""

    def drop(original, self, name):
        return self.suspicions.pop(name, None)

    patch.wrap(Claims, "_drop_suspicion", drop)


@mutant(
    "a-suspect-is-not-heard",
    check=("no-false-failure", "alive-is-heard"),
    why="scalecube 132 and PR 209: peers waited out the whole suspicion although the address"
    " already answered with a new identity",
    needs=("loss", "pause", "restart"),
)
def a_suspect_is_not_heard(patch: Patch) -> None:
    """Alive claims of a suspect are put off until the suspicion is over."""

    def alive(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        if entry is None or entry.member.state is not MemberState.SUSPECT:
            original(self, claim, origin)

    patch.wrap(Claims, "alive", alive)


@mutant(
    "suspicions-stay-private",
    check=("detection-bound", "no-false-failure", "news-is-queued"),
    why="slip: the local suspicion is not queued as news",
)
def suspicions_stay_private(patch: Patch) -> None:
    """Nobody is told of a suspicion: no confirmations come, and the suspect cannot refute."""

    def start(original, self, claim, entry, origin, tried):
        original(self, claim, entry, origin, tried)
        self._node.queue.membership.discard(claim.name)

    patch.wrap(Claims, "_start_suspicion", start)


@mutant(
    "verdicts-stay-private",
    check=("convergence", "leave-is-left", "news-is-queued"),
    why="slip: the verdict is not queued as news",
)
def verdicts_stay_private(patch: Patch) -> None:
    """Who declares a member failed, or hears its goodbye, tells nobody."""

    def end(original, self, claim, entry, state):
        row = original(self, claim, entry, state)
        self._node.queue.membership.discard(claim.name)
        return row

    patch.wrap(Claims, "_end", end)
