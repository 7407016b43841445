"""Bugs in the rounds of the failure detector, on the asking side."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine.node import Node
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.questions import Questions
from trio_gossip.engine.streams import Streams
from trio_gossip.failures import DialFailure
from trio_gossip.members import MemberState


@mutant(
    "probes-the-dead",
    check=("probe-rate", "detection-bound"),
    why="slip: every row but one's own is worth a probe",
)
def probes_the_dead(patch: Patch) -> None:
    """Failed and left members take their turns in the probe order, for nothing."""

    def wanted(original, self, entry):
        return entry is not self._node.me

    patch.wrap(Prober, "_wanted", wanted)


@mutant(
    "never-probes-suspects",
    check=("probe-rate", "no-false-failure", "probe-coverage"),
    why="slip: is alive, where is active was meant",
    needs=("loss", "pause"),
)
def never_probes_suspects(patch: Patch) -> None:
    """A suspect is not probed again, so that a ping never tells it of the accusation."""

    def wanted(original, self, entry):
        return original(self, entry) and entry.member.state is MemberState.ALIVE

    patch.wrap(Prober, "_wanted", wanted)


@mutant(
    "probes-itself",
    check=("probe-rate", "packet-limit"),
    why="slip: one's own row is a row as well",
)
def probes_itself(patch: Patch) -> None:
    """A member probes itself when its own turn comes."""

    def wanted(original, self, entry):
        return entry.member.is_active

    patch.wrap(Prober, "_wanted", wanted)


@mutant(
    "no-helpers",
    check=("probe-rate", "no-false-failure", "helpers-asked"),
    why="slip: the number of helpers is read as 0 (SWIM section 3.1 needs them)",
    needs=("loss", "datagram cut"),
)
def no_helpers(patch: Patch) -> None:
    """A silent member is asked by nobody else before it is accused."""

    def peers(original, self, count, *, besides=None, after=()):
        return [] if besides is not None else original(self, count)

    patch.wrap(Node, "peers", peers)


@mutant(
    "a-stream-answer-does-not-count",
    check=("no-false-failure", "health-score"),
    why="slip: the stream is a measurement only; a blocked UDP port becomes a dead process",
    needs=("datagram cut",),
)
def a_stream_answer_does_not_count(patch: Patch) -> None:
    """A member that answers by stream alone is accused."""

    def answered(original, self):
        self._node.counters.bump("probe_acked_by_stream")

    patch.wrap(Prober, "_stream_answered", answered)


@mutant(
    "a-refused-dial-is-a-verdict",
    check=("suspicion-duration", "no-false-failure"),
    why="slip: nobody listens, so nobody lives; but a restart or a full backlog refuse too",
    point=8,
)
def a_refused_dial_is_a_verdict(patch: Patch) -> None:
    """A suspicion that begins with a refused stream ends at once."""

    def fail(original, self, exchange, failure):
        prober = getattr(getattr(exchange.session, "_answered", None), "__self__", None)
        original(self, exchange, failure)
        if isinstance(prober, Prober) and failure is DialFailure.REFUSED:
            prober._refused = prober._probe

    def end(original, self):
        probe = self._probe
        original(self)
        name = probe.target.name
        if getattr(self, "_refused", None) is probe and name in self._claims.suspicions:
            self._node.timers.set(("suspicion", name), self._node.now)

    patch.wrap(Streams, "_fail", fail)
    patch.wrap(Prober, "end", end)


@mutant(
    "the-end-of-a-round-is-lost",
    check=("detection-bound", "probe-rate", "probe-coverage"),
    why="foca 26 and PR 13: timers that a lagging runtime delivered in another order stopped the"
    " probe cycle",
)
def the_end_of_a_round_is_lost(patch: Patch) -> None:
    """A probe that fails never ends, and no other one begins."""

    def begin(original, self, entry):
        original(self, entry)
        self._node.timers.cancel(("probe_end", 0))

    patch.wrap(Prober, "_begin", begin)


@mutant(
    "probing-stops-after-a-long-round",
    check=("detection-bound", "probe-rate", "probe-coverage", "timers-kept"),
    why="foca 26: the next round is only scheduled when one begins",
    needs=("loss",),
)
def probing_stops_after_a_long_round(patch: Patch) -> None:
    """A tick that falls into a round that is still running sets no next tick."""

    def tick(original, self):
        busy = self._probe is not None
        original(self)
        if busy:
            self._tick_missed = False
            self._node.timers.cancel(("probe_tick", 0))

    patch.wrap(Prober, "tick", tick)


@mutant(
    "probes-twice-as-often",
    check=("probe-rate",),
    why="slip: the timeout of a probe instead of its interval",
)
def probes_twice_as_often(patch: Patch) -> None:
    """Rounds begin every probe timeout: twice the load for everybody."""

    def tick(original, self):
        original(self)
        node = self._node
        node.timers.set(("probe_tick", 0), node.now + node.config.probe_timeout)

    patch.wrap(Prober, "tick", tick)


@mutant(
    "the-accusation-names-the-latest-incarnation",
    check=("no-false-failure", "accused-was-asked"),
    why="slip: the row is read again at the end of a round, as if that had been probed",
    needs=("loss", "restart", "move"),
)
def the_accusation_names_the_latest_incarnation(patch: Patch) -> None:
    """A member that spoke up during a failed probe is accused at its new incarnation."""

    def end(original, self):
        entry = self._node.table.get(self._probe.target.name)
        if entry is not None:
            self._probe.target = entry.member
        original(self)

    patch.wrap(Prober, "end", end)


@mutant(
    "a-ping-does-not-tell-the-suspect",
    check=("no-false-failure", "suspect-is-told"),
    why="slip: the ping of a suspect goes without the accusation (Lifeguard's buddy system)",
    needs=("loss", "pause"),
)
def a_ping_does_not_tell_the_suspect(patch: Patch) -> None:
    """A suspect learns of the suspicion by the luck of gossip alone."""

    def packet(original, self, address, peer_name, *messages, piggyback=True):
        original(self, address, peer_name, *messages[:1], piggyback=piggyback)

    patch.wrap(Outbox, "packet", packet)


@mutant(
    "questions-are-never-forgotten",
    check=("queue-bounds", "memory-bounds"),
    why="slip: only an answer closes a question",
)
def questions_are_never_forgotten(patch: Patch) -> None:
    """Each ping without an answer stays open for ever."""

    def forget(original, self, sequence):
        question = self._open.get(sequence)
        if question is not None:
            question.acked = lambda sequence, source: None
            question.nacked = None

    patch.wrap(Questions, "forget", forget)
