"""Bugs of the detector that weighs evidence in what becomes of a suspect: private, told, failed."""

from __future__ import annotations

import math

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import graded
from trio_gossip.engine.graded import GradedSuspicion
from trio_gossip.engine.guard import Guard
from trio_gossip.engine.inquiry import Inquiry
from trio_gossip.engine.interview import Interview
from trio_gossip.engine.recheck import Recheck
from trio_gossip.failures import Evidence


@mutant(
    "one-refusal-is-enough",
    check=("verdict-time", "quiet-kept"),
    why="slip: a port that one firewall rejects is a dead process for all",
)
def one_refusal_is_enough(patch: Patch) -> None:
    """A single finding makes a suspicion *refused*."""

    def class_of(original, found, wanted):
        return original(found, 0)

    patch.wrap(graded, "class_of", class_of)


@mutant(
    "a-stalled-process-is-a-silent-one",
    check=("verdict-time", "outages-forgiven"),
    why="slip: the classes are ordered as they were added, and the last one is forgotten",
    needs=("pause",),
)
def a_stalled_process_is_a_silent_one(patch: Patch) -> None:
    """A process that is paused has as long as a host that is gone."""

    def class_of(original, found, wanted):
        evidence = original(found, wanted)
        return Evidence.SILENT if evidence is Evidence.STALLED else evidence

    patch.wrap(graded, "class_of", class_of)


@mutant(
    "a-bad-ear-does-not-wait",
    check=("verdict-time",),
    why="slip: health stretches the timeouts and not the suspicions (Lifeguard section IV-B)",
    needs=("loss", "pause"),
)
def a_bad_ear_does_not_wait(patch: Patch) -> None:
    """Who hears badly declares others failed as soon as who hears well."""

    def duration(original, self, config, health):
        return original(self, config, 0)

    patch.wrap(GradedSuspicion, "duration", duration)


@mutant(
    "half-of-each-floor",
    check=("verdict-time", "outages-forgiven"),
    why="slip: the quiet time is taken off once more",
)
def half_of_each_floor(patch: Patch) -> None:
    """A suspect has half of the time that its class gives it."""

    def duration(original, self, config, health):
        return original(self, config, health) / 2

    patch.wrap(GradedSuspicion, "duration", duration)


@mutant(
    "no-time-to-refute",
    check=("verdict-time",),
    why="slip: who hears late of an old suspicion has no time left",
)
def no_time_to_refute(patch: Patch) -> None:
    """An accusation may be followed by the verdict at once."""

    def deadline(original, self, config, health):
        return self.started + self.duration(config, health) + self.patience

    patch.wrap(GradedSuspicion, "deadline", deadline)


@mutant(
    "verdicts-come-late",
    check=("verdict-time", "gone-is-known"),
    why="slip: the time begins when a member hears of it, and the age is only shown",
)
def verdicts_come_late(patch: Patch) -> None:
    """Each suspicion lasts ten seconds longer than its class demands."""

    def deadline(original, self, config, health):
        return original(self, config, health) + 10.0

    patch.wrap(GradedSuspicion, "deadline", deadline)


@mutant(
    "any-age-is-believed",
    check=("verdict-time",),
    why="detector study, rule P4: an entry kept through a refutation made others declare at once",
    needs=("hostile",),
)
def any_age_is_believed(patch: Patch) -> None:
    """An accusation may say that it is ten minutes old."""

    def age(original, self, claim):
        return claim.age / 1000

    patch.wrap(Inquiry, "_age", age)


@mutant(
    "there-is-no-last-ping",
    check=("final-ping",),
    why="slip: the time is over, so what is there to ask",
)
def there_is_no_last_ping(patch: Patch) -> None:
    """A suspect whose refutation was lost is not asked once more."""

    def ask_finally(original, self, name, suspicion):
        self._declare(name, suspicion)

    patch.wrap(Inquiry, "_ask_finally", ask_finally)


@mutant(
    "the-last-ping-is-not-awaited",
    check=("final-ping",),
    why="slip: the verdict comes in the same turn in which it is asked",
)
def the_last_ping_is_not_awaited(patch: Patch) -> None:
    """The suspect is asked a last time and has no time to answer."""

    def ask_finally(original, self, name, suspicion):
        original(self, name, suspicion)
        if suspicion.final is not None:
            self._declare(name, suspicion)

    patch.wrap(Inquiry, "_ask_finally", ask_finally)


@mutant(
    "the-last-answer-comes-too-late",
    check=("final-ping",),
    why="slip: it is noted that a suspect answered, and nobody looks",
    needs=("loss", "pause", "partition"),
)
def the_last_answer_comes_too_late(patch: Patch) -> None:
    """A suspect that answers the last ping is declared failed all the same."""

    def expired(original, self, name):
        suspicion = self._find(name)
        if suspicion.final is not None:
            suspicion.heard = -math.inf
        original(self, name)

    patch.wrap(Inquiry, "expired", expired)


@mutant(
    "who-stood-still-judges-at-once",
    check=("final-ping",),
    why="slip: the hold after a stall is computed and not used",
    needs=("pause",),
)
def who_stood_still_judges_at_once(patch: Patch) -> None:
    """What waited in the queues of a process that was paused is not read before its verdicts."""

    def stalled(original, self, seconds, now):
        return None

    patch.wrap(Guard, "stalled", stalled)


@mutant(
    "who-is-cut-off-judges-others",
    check=("final-ping",),
    why="slip: the guard counts and nobody asks it",
    needs=("partition",),
)
def who_is_cut_off_judges_others(patch: Patch) -> None:
    """A member that hears nobody declares everybody failed."""

    def isolated(original, self):
        return False

    patch.wrap(Guard, "isolated", isolated)


@mutant(
    "nothing-is-private",
    check=("quiet-kept",),
    why="slip: the quiet time is zero",
)
def nothing_is_private(patch: Patch) -> None:
    """Each short outage is told to all."""

    def accuse(original, self, attempt):
        original(self, attempt)
        name = attempt.target.name
        suspicion = self._claims.suspicions.get(name)
        if suspicion is not None and suspicion.private:
            self._publish(name, suspicion)

    patch.wrap(Inquiry, "accuse", accuse)


@mutant(
    "unconfirmed-suspicions-are-told",
    check=("quiet-kept",),
    why="slip: a failed round is enough; who is deaf accuses all",
    needs=("partition",),
)
def unconfirmed_suspicions_are_told(patch: Patch) -> None:
    """Suspicions become public although no helper confirms them."""

    def unconfirmed(original, self, name, suspicion):
        self.publish(name, suspicion)

    patch.wrap(Recheck, "_unconfirmed", unconfirmed)


@mutant(
    "private-suspects-are-forgotten",
    check=("timers-kept",),
    why="slip: the next try is counted and not scheduled",
    needs=("partition",),
)
def private_suspects_are_forgotten(patch: Patch) -> None:
    """What nobody confirms at first is neither told nor let go."""

    def unconfirmed(original, self, name, suspicion):
        original(self, name, suspicion)
        self._node.timers.cancel(("suspicion", name))

    patch.wrap(Recheck, "_unconfirmed", unconfirmed)


@mutant(
    "private-suspects-are-told",
    check=("quiet-kept",),
    why="slip: the ping of a private suspect carries the accusation like the others",
    needs=("loss", "pause"),
)
def private_suspects_are_told(patch: Patch) -> None:
    """A suspect refutes what nobody has heard of, before all."""

    def ask(original, self, name, suspicion):
        private, suspicion.private = suspicion.private, False
        original(self, name, suspicion)
        suspicion.private = private

    patch.wrap(Interview, "ask", ask)


@mutant(
    "a-public-suspect-is-let-go",
    check=("claim-order", "refutation"),
    why="slip: an answer ends any suspicion; but others go on with theirs",
    needs=("loss", "pause", "partition"),
)
def a_public_suspect_is_let_go(patch: Patch) -> None:
    """An answer makes a suspect alive at the incarnation at which it is accused everywhere."""

    def acked(original, self, sequence, source):
        name = self._asked[sequence]
        private = self._find(name).private
        original(self, sequence, source)
        if not private:
            self.answered(name)

    patch.wrap(Interview, "_acked", acked)


@mutant(
    "testimony-is-told-for-ever",
    check=("sends-per-rumour", "quiescence"),
    why="slip: every accusation is news, also one that says nothing new",
)
def testimony_is_told_for_ever(patch: Patch) -> None:
    """Members tell each other the same accusation until the verdict."""

    def testify(original, self, name, evidence):
        original(self, name, evidence)
        return True

    patch.wrap(GradedSuspicion, "testify", testify)


@mutant(
    "further-findings-say-nothing",
    check=("gone-is-known",),
    why="slip: only who accuses first says what it found",
)
def further_findings_say_nothing(patch: Patch) -> None:
    """Accusers confirm that a member is silent, and never that it is gone."""

    def testify(original, self, name, evidence):
        if name in self.found:
            return False
        return original(self, name, Evidence.SILENT)

    patch.wrap(GradedSuspicion, "testify", testify)


@mutant(
    "the-dead-accuse",
    check=("claims-weighed",),
    why="detector study, rule S0: a deaf member that all hold dead goes on accusing",
    needs=("partition",),
)
def the_dead_accuse(patch: Patch) -> None:
    """Whoever accuses is believed, whatever is held of it."""

    def admitted(original, self, claim, origin):
        return claim

    patch.wrap(Inquiry, "admitted", admitted)
