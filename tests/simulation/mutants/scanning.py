"""Bugs of the detector that weighs evidence, on the asking side: loops, stages, helpers."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import attempts
from trio_gossip.engine.attempt import Attempt
from trio_gossip.engine.attempts import Attempts
from trio_gossip.engine.interview import Interview
from trio_gossip.engine.node import Node
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.scanner import Scanner
from trio_gossip.engine.streams import Streams
from trio_gossip.engine.successors import Successors
from trio_gossip.engine.tally import mark_of
from trio_gossip.failures import Evidence


@mutant(
    "the-ring-does-not-turn",
    check=("ring-kept", "scan-rate"),
    why="slip: one of two loops is started and never ticks",
)
def the_ring_does_not_turn(patch: Patch) -> None:
    """Nobody asks the member behind it: the wait for the first suspicion has no bound."""

    def near(original, self, entry):
        return False

    patch.wrap(Scanner, "_near", near)


@mutant(
    "the-ring-asks-whom-it-finds",
    check=("ring-kept",),
    why="slip: any member will do, so that some are asked by many and some by nobody",
)
def the_ring_asks_whom_it_finds(patch: Patch) -> None:
    """The circle goes by the names instead of their hashes, from the beginning for everybody."""

    def following(original, self):
        names = sorted(entry.member.name for entry in self._node.table)
        return [name for name in names if name != self._node.name]

    patch.wrap(Successors, "_following", following)


@mutant(
    "the-ring-does-not-close",
    check=("ring-kept",),
    why="slip: who has the last place in the order has nobody behind it",
)
def the_ring_does_not_close(patch: Patch) -> None:
    """The circle ends instead of beginning anew."""

    def following(original, self):
        names = original(self)
        mine = mark_of(self._node.name)
        return [name for name in names if mark_of(name) > mine]

    patch.wrap(Successors, "_following", following)


@mutant(
    "loops-tick-twice",
    check=("scan-rate",),
    why="slip: half of the interval, as the first question is repeated at half of its timeout",
)
def loops_tick_twice(patch: Patch) -> None:
    """Both loops probe twice as often, for everybody twice the load."""

    def tick(original, self, loop):
        original(self, loop)
        node = self._node
        node.timers.set(("probe_tick", loop), node.now + node.config.scan_interval / 2)

    patch.wrap(Scanner, "tick", tick)


@mutant(
    "a-long-attempt-ends-its-loop",
    check=("timers-kept", "scan-rate", "probe-coverage"),
    why="foca 26: the next round is only scheduled when one begins",
    needs=("loss",),
)
def a_long_attempt_ends_its_loop(patch: Patch) -> None:
    """A tick that meets the attempt of the former one sets no next tick."""

    def tick(original, self, loop):
        busy = loop in self._loops
        original(self, loop)
        if busy:
            self._node.timers.cancel(("probe_tick", loop))

    patch.wrap(Scanner, "tick", tick)


@mutant(
    "helpers-are-asked-at-once",
    check=("stages-kept",),
    why="slip: wide is the default, so that each probe costs four times as many packets",
)
def helpers_are_asked_at_once(patch: Patch) -> None:
    """Nobody waits for the answer to the first question."""

    def begin(original, self, target, accused, ended, *, wide=False, tells=False, besides=()):
        return original(self, target, accused, ended, wide=True, tells=tells, besides=besides)

    patch.wrap(Attempts, "begin", begin)


@mutant(
    "no-helper-is-found",
    check=("stages-kept", "gone-is-known"),
    why="slip: those that are not wanted any more are all that are left",
    needs=("loss",),
)
def no_helper_is_found(patch: Patch) -> None:
    """A member that does not answer is accused on the word of one."""

    def peers(original, self, count, *, besides=None, after=()):
        return [] if besides is not None else original(self, count)

    patch.wrap(Node, "peers", peers)


@mutant(
    "the-same-helpers-again",
    check=("stages-kept",),
    why="slip: who was asked before is not remembered",
    needs=("partition",),
)
def the_same_helpers_again(patch: Patch) -> None:
    """Further stages ask whom the first one may have asked in vain."""

    def peers(original, self, count, *, besides=None, after=()):
        return original(self, count, besides=besides)

    patch.wrap(Node, "peers", peers)


@mutant(
    "stages-go-on",
    check=("stages-kept",),
    why="slip: a number too large; who is cut off asks for ever",
    needs=("partition",),
)
def stages_go_on(patch: Patch) -> None:
    """Where nobody answers helpers are asked again and again."""
    patch.value(attempts, "UNVERIFIED_STAGES", 12)


@mutant(
    "silence-all-around-is-no-sign",
    check=("health-weighed",),
    why="slip: only what is found counts; a round without any answer says most of us",
    needs=("partition",),
)
def silence_all_around_is_no_sign(patch: Patch) -> None:
    """Who hears nobody takes itself for well."""

    def judge(original, self, attempt):
        score = self._node.awareness.score
        original(self, attempt)
        self._node.awareness.score = min(score, self._node.awareness.score)

    patch.wrap(Attempts, "_judge", judge)


@mutant(
    "an-answer-heals-nobody",
    check=("health-weighed",),
    why="slip: a sign lost; the score goes up only",
    needs=("loss", "partition"),
)
def an_answer_heals_nobody(patch: Patch) -> None:
    """Who was ill once stays so, and waits ever longer."""

    def answered(original, self, attempt):
        score = self._node.awareness.score
        original(self, attempt)
        self._node.awareness.score = score

    patch.wrap(Attempts, "_answered", answered)


@mutant(
    "streams-say-nothing",
    check=("gone-is-known", "outages-forgiven"),
    why="slip: the switch for stream pings is read the wrong way",
)
def streams_say_nothing(patch: Patch) -> None:
    """No kernel is asked: a killed process is found as late as a host that is gone."""

    def may_ping(original, self, member):
        return False

    patch.wrap(Streams, "may_ping", may_ping)


@mutant(
    "any-failed-stream-is-a-refusal",
    check=("testimony-heard", "outages-forgiven"),
    why="slip: a timeout of a dial is an error like the others",
    needs=("partition", "pause"),
)
def any_failed_stream_is_a_refusal(patch: Patch) -> None:
    """A silent host is taken for one that says that the process is gone."""

    def failed(original, self, attempt, evidence):
        original(self, attempt, Evidence.REFUSED)

    patch.wrap(Attempts, "_stream_failed", failed)


@mutant(
    "each-nack-is-a-refusal",
    check=("testimony-heard", "outages-forgiven"),
    why="slip: the field is read as a truth value, and what is not silent is gone",
    needs=("loss", "pause"),
)
def each_nack_is_a_refusal(patch: Patch) -> None:
    """Two helpers that were not answered make a death of a second."""

    def nacked(original, self, helper, evidence):
        return original(self, helper, Evidence.REFUSED)

    patch.wrap(Attempt, "nacked", nacked)


@mutant(
    "a-nack-confirms-nothing",
    check=("testimony-heard",),
    why="slip: nacks are for our own health, as in Lifeguard; a third of the gain is in them",
)
def a_nack_confirms_nothing(patch: Patch) -> None:
    """The helpers that failed as well are not named, so that a suspicion lasts six times longer."""

    def findings_of(original, self, me):
        return {me: self.own}

    patch.wrap(Attempt, "findings_of", findings_of)


@mutant(
    "helpers-say-nothing-of-streams",
    check=("gone-is-known",),
    why="slip: the nack is sent with its default",
)
def helpers_say_nothing_of_streams(patch: Patch) -> None:
    """No helper confirms that a process is gone, so that it counts as silent."""

    def failed(original, self, sequence, evidence):
        original(self, sequence, Evidence.SILENT)

    patch.wrap(Relay, "_stream_failed", failed)


@mutant(
    "suspects-are-not-asked",
    check=("suspects-are-asked", "suspect-is-told"),
    why="slip: the timer ticks on and nothing is sent",
)
def suspects_are_not_asked(patch: Patch) -> None:
    """A suspect hears of it by gossip alone, and a private one never."""

    def ask(original, self, name, suspicion):
        return None

    patch.wrap(Interview, "ask", ask)


@mutant(
    "suspects-are-asked-all-the-time",
    check=("suspects-are-asked",),
    why="slip: milliseconds for seconds",
)
def suspects_are_asked_all_the_time(patch: Patch) -> None:
    """A process that stands still finds its queues full when it goes on."""

    def tick(original, self, name):
        original(self, name)
        self._node.timers.set(("reprobe", name), self._node.now + 0.02)

    patch.wrap(Interview, "tick", tick)


@mutant(
    "a-doubt-of-others-is-no-reason-to-look",
    check=("exchange-merged",),
    why="slip: tables are for members that are unknown",
    needs=("partition",),
)
def a_doubt_of_others_is_no_reason_to_look(patch: Patch) -> None:
    """What a peer's table says of suspects is dropped."""

    def look(original, self, entry, accused, *, wide=False):
        if wide:
            original(self, entry, accused, wide=wide)

    patch.wrap(Scanner, "look", look)
