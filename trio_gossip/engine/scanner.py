"""Whom to ask, and when: the ring, the scan, and members about which there is a doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Suspect
from trio_gossip.engine.attempt import Attempt, Outcome
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.detector import Detector
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.attempts import Attempts
    from trio_gossip.engine.inquiry import Inquiry
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node

LOOKS_MAX: Final = 32
"""Attempts under way beyond which a doubt alone begins no further one: the scan comes by anyway."""

REFUSALS_PER_SECOND: Final = 20.0
"""ICMP answers a second that may begin an attempt; more members than these do not die at once."""

RING, SCAN = ("probe_tick", 0), ("probe_tick", 1)


class Scanner(Detector):
    """Begins attempts and hands what they find to the inquiry.

    Two loops with phases of their own. The ring asks the next member in the order of hashed names,
    so that each is asked once in each interval; the scan asks one after another, so that no member
    depends on a single watcher.
    """

    def __init__(self, node: Node, attempts: Attempts, inquiry: Inquiry) -> None:
        self._node = node
        self._attempts = attempts
        self._inquiry = inquiry
        self._refusals = TokenBucket(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self._busy: dict[str, Attempt] = {}
        self._loops: dict[int, Attempt] = {}
        inquiry.look = self.look

    def start(self) -> None:
        node = self._node
        config = node.config
        node.timers.set(SCAN, node.now + node.rng.random() * config.scan_interval)
        if config.ring_interval is not None:
            node.timers.set(RING, node.now + node.rng.random() * config.ring_interval)

    def stop(self) -> None:
        self._node.timers.cancel(RING)
        self._node.timers.cancel(SCAN)
        self._inquiry.stop()
        self._busy.clear()
        self._loops.clear()
        self._attempts.clear()

    def tick(self, loop: int) -> None:
        """Timer of a loop. One that comes while its last attempt goes on is left out."""
        node = self._node
        config = node.config
        interval = config.scan_interval if loop else config.ring_interval
        assert interval is not None, "a loop that is switched off has a timer"
        node.timers.set(("probe_tick", loop), node.now + interval)
        if loop in self._loops:
            node.counters.bump("probe_skipped")
            return
        if loop:
            entry = node.table.next_in_walk(self._wanted, node.rng)
        else:
            entry = next(iter(node.successors(self._near)), None)
        if entry is not None:
            self._begin(entry, loop)

    def _wanted(self, entry: Entry) -> bool:
        """Everybody who takes part, but for those that are being asked."""
        name = entry.member.name
        return (
            entry is not self._node.me
            and entry.member.is_active
            and name not in self._busy
            and not self._inquiry.is_private(name)
        )

    def _near(self, entry: Entry) -> bool:
        """A suspect has its accusers; the ring goes on to the next one behind it."""
        return entry.member.state is MemberState.ALIVE and self._wanted(entry)

    def _begin(self, entry: Entry, loop: int) -> None:
        node = self._node
        member = entry.member
        if node.awareness.score:
            node.counters.bump("probe_degraded")
        attempt = self._attempts.begin(member, member.incarnation, self._ended)
        if attempt is not None:
            self._busy[member.name] = self._loops[loop] = attempt

    # -- doubts -------------------------------------------------------------------------

    def look(self, entry: Entry, accused: int, *, wide: bool = False) -> None:
        """There is a doubt about a member: see for ourselves, now.

        Whoever lives hears of what is held against it, and answers with a higher incarnation.
        """
        node = self._node
        member = entry.member
        name = member.name
        if node.leaving:
            return
        busy = name in self._busy or self._inquiry.is_private(name)
        if not busy and len(self._attempts) >= LOOKS_MAX:
            node.counters.bump("looks_full")
            busy = True
        if busy:
            if not wide:  # it is being asked already, but not told what is held against it
                question = Suspect(accused, name, node.name)
                node.outbox.packet(member.address, name, question, piggyback=False)
            return
        attempt = self._attempts.begin(member, accused, self._ended, wide=wide, tells=not wide)
        if attempt is not None:
            node.counters.bump("looks")
            self._busy[name] = attempt

    def refused(self, address: Address) -> None:
        """An ICMP answer: only a reason to look sooner, since anybody can forge one."""
        node = self._node
        name = node.table.name_at(address)
        entry = None if name is None else node.table.get(name)
        if entry is None or entry is node.me or node.leaving:
            return
        busy = self._busy.get(entry.member.name)
        if busy is not None:
            self._attempts.hurry(busy)
        elif entry.member.state is MemberState.ALIVE and self._refusals.take(node.now):
            self.look(entry, entry.member.incarnation, wide=True)

    def forget(self, name: str) -> None:
        self._node.round_trips.forget(name)

    # -- results ------------------------------------------------------------------------

    def _ended(self, attempt: Attempt) -> None:
        name = attempt.target.name
        del self._busy[name]
        for loop, running in list(self._loops.items()):
            if running is attempt:
                del self._loops[loop]
        if attempt.outcome is Outcome.FOUND:
            self._inquiry.accuse(attempt)
