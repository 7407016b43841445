"""Runs attempts to reach members: the packets, the streams and the times of each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import BUDGET_MS_MAX, IndirectPing, Ping, Suspect
from trio_gossip.engine.attempt import Attempt, Outcome, Step
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from trio_gossip.addresses import Address
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.repair import Repair
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

UNVERIFIED_STAGES: Final = 2
"""Further stages with other helpers when neither the target nor any helper was heard of."""

GRACE: Final = 0.01
"""Seconds beyond twice the timeout for nacks that were sent at their last moment."""


class Attempts:
    """All attempts of this node that are under way."""

    def __init__(self, node: Node, streams: Streams, repair: Repair) -> None:
        self._node = node
        self._streams = streams
        self._repair = repair
        self._open: dict[int, Attempt] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(
        self,
        target: Member,
        accused: int,
        ended: Callable[[Attempt], None],
        *,
        wide: bool = False,
        tells: bool = False,
        besides: Collection[str] = (),
    ) -> Attempt | None:
        """Begin to ask for a member; None when too many questions are open.

        Args:
            target: whom.
            accused: the incarnation that is in doubt.
            ended: told when it is over.
            wide: ask helpers at once.
            tells: tell it what is held against it, with each ping.
            besides: names of helpers that were asked before; others know more.
        """
        node = self._node
        sequence = node.questions.ask(self._acked, self._nacked)
        if sequence is None:
            return None
        rto = node.round_trips.timeout(target.name, node.awareness.score)
        attempt = Attempt(target, accused, sequence, node.now, rto, ended, tells)
        attempt.used.update(besides)
        self._open[sequence] = attempt
        if wide:
            self._widen(attempt)
        else:
            self._ping(
                attempt, Ping(sequence, target.name, node.name, None, self._repair.summary())
            )
            self._next(attempt, Step.REPEAT, node.now + rto / 2)
        return attempt

    def cancel(self, attempt: Attempt) -> None:
        """Nobody wants to know any more."""
        node = self._node
        del self._open[attempt.sequence]
        node.questions.forget(attempt.sequence)
        node.timers.cancel(("attempt", attempt.sequence))
        self._streams.cancel(attempt.stream)

    def clear(self) -> None:
        """Cancel all."""
        for attempt in list(self._open.values()):
            self.cancel(attempt)

    def step(self, sequence: int) -> None:
        """Timer: no answer so far."""
        attempt = self._open[sequence]
        again = Ping(sequence, attempt.target.name, self._node.name)
        match attempt.step:
            case Step.REPEAT:
                self._judge_network(attempt, lost=True)
                self._ping(attempt, again)
                self._next(attempt, Step.WIDEN, attempt.began + attempt.rto)
            case Step.WIDEN:
                self._widen(attempt)
            case Step.REPEAT_WIDE:
                self._ping(attempt, again)
                self._next(attempt, Step.JUDGE, self._node.now + attempt.rto + GRACE)
            case _:
                self._judge(attempt)

    def hurry(self, attempt: Attempt) -> None:
        """Something says that no answer will come: do not wait for it."""
        if attempt.step in (Step.REPEAT, Step.WIDEN):
            self._widen(attempt)

    # -- asking -------------------------------------------------------------------------

    def _next(self, attempt: Attempt, step: Step, at: float) -> None:
        attempt.step = step
        self._node.timers.set(("attempt", attempt.sequence), max(at, self._node.now))

    def _ping(self, attempt: Attempt, ping: Ping) -> None:
        node = self._node
        target = attempt.target
        entry = node.table.get(target.name)
        suspected = entry is not None and entry.member.state is MemberState.SUSPECT
        if attempt.tells or (suspected and not self._is_private(target)):
            # The buddy system: the suspect learns of it from the very ping that it can answer.
            accusation = Suspect(attempt.accused, target.name, node.name)
            node.outbox.packet(target.address, target.name, ping, accusation, piggyback=False)
        else:
            node.outbox.packet(target.address, target.name, ping)

    def _is_private(self, target: Member) -> bool:
        return self.is_private(target.name)

    is_private: Callable[[str], bool]
    """Whether nobody but this node suspects a member."""

    def _widen(self, attempt: Attempt) -> None:
        """Ask helpers, and try a stream beside them."""
        node = self._node
        target = attempt.target
        attempt.begin_stage()
        self._ping(attempt, Ping(attempt.sequence, target.name, node.name))
        # A helper says what it found at four fifths of the time that is left: see Relay.
        budget = min(int(2000 * attempt.rto), BUDGET_MS_MAX)
        helpers = node.peers(node.config.helpers, besides=target, after=attempt.used)
        for helper in helpers:
            member = helper.member
            attempt.asked(member.address, member.name)
            request = IndirectPing(attempt.sequence, target.name, target.address, node.name, budget)
            node.outbox.packet(member.address, member.name, request)
        if attempt.stream is None and self._streams.may_ping(target):
            attempt.streamed = True
            attempt.stream = self._streams.ping(
                target,
                2 * attempt.rto,
                lambda: self._stream_answered(attempt),
                lambda failure: self._stream_failed(attempt, failure),
            )
        self._next(attempt, Step.REPEAT_WIDE, node.now + attempt.rto)

    # -- what comes back ----------------------------------------------------------------

    def _acked(self, sequence: int, source: Address) -> None:
        """The target answered, or a helper to which it did."""
        node = self._node
        attempt = self._open[sequence]
        if source == attempt.target.address:
            node.counters.bump("probe_acked")
            if attempt.step is Step.REPEAT:
                self._judge_network(attempt, lost=False)
            is_late = attempt.step not in (Step.REPEAT, Step.WIDEN)
            seconds = node.now - attempt.began
            node.round_trips.note(attempt.target.name, seconds, is_late=is_late)
        else:
            node.counters.bump("probe_acked_indirectly")
        self._answered(attempt)

    def _judge_network(self, attempt: Attempt, *, lost: bool) -> None:
        """Of a suspect there may be no answer at all: its silence says nothing of the network."""
        if attempt.target.state is MemberState.ALIVE:
            self._node.probed(lost=lost)

    def _nacked(self, sequence: int, source: Address, evidence: int) -> None:
        """A helper could not reach the target either."""
        attempt = self._open[sequence]
        if not attempt.nacked(source, self._weighed(Evidence(evidence))):
            self._node.counters.bump("nack_unexpected")
        elif attempt.all_nacked or attempt.is_clear:
            self._judge(attempt)

    def _stream_answered(self, attempt: Attempt) -> None:
        # Datagrams fail and streams work: worth a counter that somebody may watch.
        attempt.stream = None
        self._node.counters.bump("probe_acked_by_stream")
        self._answered(attempt)

    def _stream_failed(self, attempt: Attempt, evidence: Evidence) -> None:
        attempt.stream = None
        attempt.own = max(attempt.own, self._weighed(evidence))
        if attempt.is_clear:
            self._judge(attempt)

    def _answered(self, attempt: Attempt) -> None:
        node = self._node
        node.awareness.apply(-1)
        node.guard.heard()
        self._end(attempt, Outcome.ANSWERED)

    # -- the end ------------------------------------------------------------------------

    def _judge(self, attempt: Attempt) -> None:
        """No answer. What does that say of the target, and what of us?"""
        node = self._node
        if attempt.stream is not None and self._streams.is_connected(attempt.stream):
            attempt.own = self._weighed(Evidence.STALLED)
        if attempt.is_confirmed:
            node.guard.heard()
            if attempt.all_nacked:
                node.awareness.apply(-1)  # we work; it is the target that does not
        elif attempt.has_helpers and attempt.own is not Evidence.REFUSED:
            node.awareness.apply(+1)
            node.guard.silent(node.now)
            if attempt.stages <= UNVERIFIED_STAGES:
                node.counters.bump("probe_unverified")
                self._widen(attempt)
                return
            if node.now < node.guard.trusted_at:
                self._end(attempt, Outcome.NOTHING)
                return
        node.counters.bump("probe_failed")
        attempt.findings = attempt.findings_of(node.name)
        self._end(attempt, Outcome.FOUND)

    def _weighed(self, evidence: Evidence) -> Evidence:
        return evidence if self._node.config.kernel_evidence else Evidence.SILENT

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.outcome = outcome
        self.cancel(attempt)
        attempt.ended(attempt)
