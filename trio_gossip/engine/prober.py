"""Rounds by memberlist's rules: whom to probe, when to ask helpers, what a silence means.

Its schedule (``docs/concepts`` has the timeline): one round per probe interval, in a
shuffled round robin; direct ping, then helpers and a stream, then suspicion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.codec.messages import BUDGET_MS_MAX, IndirectPing, Ping, Suspect
from trio_gossip.engine.detector import Detector
from trio_gossip.engine.origin import OWN
from trio_gossip.engine.probe import Probe
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.repair import Repair
    from trio_gossip.engine.streams import Streams


class Prober(Detector):
    """Runs one probe after another; a failed one becomes a suspicion."""

    def __init__(self, node: Node, claims: Claims, streams: Streams, repair: Repair) -> None:
        self._node = node
        self._repair = repair
        self._claims = claims
        self._streams = streams
        self._probe: Probe | None = None
        self._tick_missed = False

    def start(self) -> None:
        """Begin, at a random moment of the interval so that members do not probe in step."""
        node = self._node
        delay = node.rng.random() * node.config.probe_interval
        node.timers.set(("probe_tick", 0), node.now + delay)

    def stop(self) -> None:
        """Stop probing; a running probe comes to nothing."""
        self._node.timers.cancel(("probe_tick", 0))
        self._tick_missed = False
        if self._probe is not None:
            self._finish(self._probe)

    def tick(self) -> None:
        """Timer: start the next round. One tick that falls into a long round is made up for."""
        node = self._node
        node.timers.set(("probe_tick", 0), node.now + node.config.probe_interval)
        if self._probe is not None:
            self._tick_missed = True
            return
        entry = node.table.next_in_walk(self._wanted, node.rng)
        if entry is not None:
            self._begin(entry)

    def _wanted(self, entry: Entry) -> bool:
        return entry is not self._node.me and entry.member.is_active

    def _begin(self, entry: Entry) -> None:
        node = self._node
        config = node.config
        target = entry.member
        sequence = node.questions.ask(self._acked, self._nacked)
        if sequence is None:
            return
        interval = node.awareness.scale(config.probe_interval)
        if node.awareness.score:
            node.counters.bump("probe_degraded")
        self._probe = Probe(target, sequence, node.now, node.now + interval)
        node.timers.set(("probe_timeout", 0), node.now + min(config.probe_timeout, interval))
        node.timers.set(("probe_end", 0), node.now + interval)
        ping = Ping(sequence, target.name, node.name, summary=self._repair.summary())
        if target.state is MemberState.SUSPECT:
            # The buddy system: the suspect learns of it from the very ping that it can answer.
            accusation = Suspect(target.incarnation, target.name, node.name)
            node.outbox.packet(target.address, target.name, ping, accusation, piggyback=False)
        else:
            node.outbox.packet(target.address, target.name, ping)

    def timeout(self) -> None:
        """Timer: no direct answer in time. Ask helpers, and try a stream beside them."""
        node = self._node
        probe = self._probe
        assert probe is not None, "the probe timer outlived its probe"
        probe.is_late = True
        self._judge_network(probe, lost=True)
        budget = min(max(int(1000 * (probe.ends - node.now)), 0), BUDGET_MS_MAX)
        for helper in node.peers(node.config.indirect_probes, besides=probe.target):
            member = helper.member
            request = IndirectPing(
                probe.sequence, probe.target.name, probe.target.address, node.name, budget
            )
            probe.asked(member.address)
            node.outbox.packet(member.address, member.name, request)
        if self._streams.may_ping(probe.target):
            probe.stream = self._streams.ping(
                probe.target, probe.ends - node.now, self._stream_answered
            )

    def _acked(self, sequence: int, source: Address) -> None:
        """An answer to the running probe arrived, from the target or through a helper."""
        del sequence
        node = self._node
        probe = self._probe
        assert probe is not None, "an answer outlived its probe"
        if source == probe.target.address:
            node.counters.bump("probe_acked")
            if not probe.is_late:
                self._judge_network(probe, lost=False)
        else:
            node.counters.bump("probe_acked_indirectly")
        self._succeed(probe)

    def _judge_network(self, probe: Probe, *, lost: bool) -> None:
        """Of a suspect there may be no answer at all: its silence says nothing of the network."""
        if probe.target.state is MemberState.ALIVE:
            self._node.probed(lost=lost)

    def _nacked(self, sequence: int, source: Address, evidence: int) -> None:
        """A helper could not reach the target either."""
        del sequence, evidence  # these rules take all silence alike
        assert self._probe is not None, "an answer outlived its probe"
        if not self._probe.nacked(source):
            self._node.counters.bump("nack_unexpected")

    def _stream_answered(self) -> None:
        probe = self._probe
        assert probe is not None, "a stream ping outlived its probe"
        # Datagrams fail and streams work: worth a counter that somebody may watch.
        self._node.counters.bump("probe_acked_by_stream")
        self._succeed(probe)

    def _succeed(self, probe: Probe) -> None:
        self._node.awareness.apply(-1)
        self._finish(probe)

    def end(self) -> None:
        """Timer: the round is over without an answer. Judge our own health, then the target."""
        node = self._node
        probe = self._probe
        assert probe is not None, "the probe timer outlived its probe"
        node.counters.bump("probe_failed")
        node.awareness.apply(probe.health_delta())
        target = probe.target
        tried = probe.tried()
        self._finish(probe)
        accusation = Suspect(target.incarnation, target.name, node.name)
        self._claims.suspect(accusation, OWN, tried)

    def _finish(self, probe: Probe) -> None:
        node = self._node
        self._probe = None
        node.questions.forget(probe.sequence)
        node.timers.cancel(("probe_timeout", 0))
        node.timers.cancel(("probe_end", 0))
        self._streams.cancel(probe.stream)
        if self._tick_missed:
            self._tick_missed = False
            node.timers.set(("probe_tick", 0), node.now)
