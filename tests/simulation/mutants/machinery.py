"""Bugs in what all parts rest on: time, timers, one's own health, chance."""

from __future__ import annotations

import random
import time

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine.awareness import Awareness
from trio_gossip.engine.clock import StallClock
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.probe import Probe
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.timers import Timers


@mutant(
    "a-late-wake-up-is-not-noticed",
    check=("no-false-failure", "statistics-match-trace", "stall-is-real"),
    why="memberlist lets Go's timers fire late and declares deaths on them",
    needs=("pause",),
    point=9,
)
def a_late_wake_up_is_not_noticed(patch: Patch) -> None:
    """A process that stood still blames others for what expired meanwhile."""

    def advance(original, self, now, earliest):
        at, _ = original(self, now, float("inf"))
        return at, 0.0

    patch.wrap(StallClock, "advance", advance)


@mutant(
    "a-late-wake-up-moves-no-deadline",
    check=("no-false-failure",),
    why="slip: the stall is counted and lowers one's health, and the timers fire all the same",
    needs=("pause",),
    point=9,
)
def a_late_wake_up_moves_no_deadline(patch: Patch) -> None:
    """A stall is noticed, and what expired in it still counts against others."""

    def advance(original, self, now, earliest):
        offset = self._offset
        _, late = original(self, now, earliest)
        self._offset = offset
        return now - offset, late

    patch.wrap(StallClock, "advance", advance)


@mutant(
    "failure-is-taken-for-health",
    check=("probe-rate", "detection-bound"),
    why="slip: the sign of the local health score (Lifeguard section IV-A)",
)
def failure_is_taken_for_health(patch: Patch) -> None:
    """Each success lowers a member's health, each failure mends it: healthy members are slow."""

    def apply(original, self, delta):
        original(self, -delta)

    patch.wrap(Awareness, "apply", apply)


@mutant(
    "ill-for-ever",
    check=("probe-rate", "detection-bound"),
    why="slip: success does not lower the local health score",
    needs=("loss", "pause"),
)
def ill_for_ever(patch: Patch) -> None:
    """A member that had trouble once stays slow for the rest of its life."""

    def apply(original, self, delta):
        if delta > 0:
            original(self, delta)

    patch.wrap(Awareness, "apply", apply)


@mutant(
    "illness-has-no-limit",
    check=("probe-rate", "detection-bound"),
    why="slip: the upper bound of the local health score is forgotten",
    needs=("partition",),
)
def illness_has_no_limit(patch: Patch) -> None:
    """A member that is cut off for long takes minutes for one probe afterwards."""

    def apply(original, self, delta):
        self.score = max(self.score + delta, 0)

    patch.wrap(Awareness, "apply", apply)


@mutant(
    "silent-helpers-say-nothing",
    check=("probe-rate", "no-false-failure"),
    why="slip: missing nacks are not counted, so that a deaf member thinks itself well (Lifeguard,"
    " section IV-A)",
    needs=("partition", "loss"),
)
def silent_helpers_say_nothing(patch: Patch) -> None:
    """A failed probe never counts against one's own health."""

    def health_delta(original, self):
        return 0

    patch.wrap(Probe, "health_delta", health_delta)


@mutant(
    "health-does-not-stretch-the-probe",
    check=("probe-rate", "no-false-failure"),
    why="slip: the local health score is kept and never used",
    needs=("pause", "loss"),
)
def health_does_not_stretch_the_probe(patch: Patch) -> None:
    """A member that knows of its trouble gives others no more time."""

    def scale(original, self, seconds):
        return seconds

    patch.wrap(Awareness, "scale", scale)


@mutant(
    "timers-cannot-be-cancelled",
    check=("no-crash",),
    why="slip: the cancelled entry stays live in the heap",
)
def timers_cannot_be_cancelled(patch: Patch) -> None:
    """Deadlines fire for what is over."""

    def cancel(original, self, key):
        pass

    patch.wrap(Timers, "cancel", cancel)


@mutant(
    "a-moved-timer-keeps-its-first-time",
    check=("detection-bound", "suspicion-duration"),
    why="slip: a deadline is set only if there is none of that name",
)
def a_moved_timer_keeps_its_first_time(patch: Patch) -> None:
    """A deadline that is set again does not move: confirmations do not shorten a suspicion."""

    def set_once(original, self, key, at):
        if key not in self:
            original(self, key, at)

    patch.wrap(Timers, "set", set_once)


@mutant(
    "the-latest-timer-pushes-out-others",
    check=("detection-bound", "probe-rate", "convergence", "queue-bounds", "timers-kept"),
    why="foca 26: timers that came in another order than expected were lost",
    needs=("crowd",),
)
def the_latest_timer_pushes_out_others(patch: Patch) -> None:
    """When the heap is rebuilt, its last deadline is forgotten."""

    def set_and_lose(original, self, key, at):
        original(self, key, at)
        if self._sequence % 500 == 0:
            self._live.pop(max(self._live, key=self._live.__getitem__))

    patch.wrap(Timers, "set", set_and_lose)


@mutant(
    "chance-comes-from-everywhere",
    check=("determinism",),
    why="etcd/raft and others took chance from a global generator that tests cannot seed",
)
def chance_comes_from_everywhere(patch: Patch) -> None:
    """Random members are picked with the interpreter's own generator."""

    def pick(original, self, count, wanted, rng):
        return original(self, count, wanted, random)

    patch.wrap(Membership, "pick", pick)


@mutant(
    "order-comes-from-a-set",
    check=("determinism",),
    why="slip: names in a set, whose order differs from process to process (PYTHONHASHSEED)",
)
def order_comes_from_a_set(patch: Patch) -> None:
    """Helpers and targets of gossip are taken in the order of a set of names."""

    def pick(original, self, count, wanted, rng):
        names = {entry.member.name for entry in self}
        rows = [self.get(name) for name in names]
        return [entry for entry in rows if wanted(entry)][:count]

    patch.wrap(Membership, "pick", pick)


@mutant(
    "the-clock-on-the-wall-shows-through",
    check=("determinism",),
    why="quickwit/chitchat and others read the clock inside, so that a run cannot be repeated",
)
def the_clock_on_the_wall_shows_through(patch: Patch) -> None:
    """The first probe comes at a moment that depends on the real time."""

    def start(original, self):
        original(self)
        node = self._node
        share = time.perf_counter_ns() % 1000 / 1000
        node.timers.set(("probe_tick", 0), node.now + share * node.config.probe_interval)

    patch.wrap(Prober, "start", start)
