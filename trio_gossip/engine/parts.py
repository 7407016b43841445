"""Builds the parts of an engine and says which of them handles which message and timer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Announce,
    Broadcast,
    BucketRows,
    BucketSums,
    BucketWants,
    Conflict,
    Dead,
    IndirectPing,
    Leave,
    Nack,
    Ping,
    ServiceNews,
    Suspect,
    Unknown,
    UserMessage,
)
from trio_gossip.engine.accepting import Accepting
from trio_gossip.engine.admission import Admission
from trio_gossip.engine.attempts import Attempts
from trio_gossip.engine.buckets import Buckets
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.hearsay import Hearsay
from trio_gossip.engine.inquiry import Inquiry
from trio_gossip.engine.leaving import Leaving
from trio_gossip.engine.lifeguard import Lifeguard
from trio_gossip.engine.mail import Mail
from trio_gossip.engine.member_plane import MemberPlane
from trio_gossip.engine.merge import Merge
from trio_gossip.engine.origin import Origin
from trio_gossip.engine.pinger import Pinger
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.repair import Repair
from trio_gossip.engine.requests import Requests
from trio_gossip.engine.returns import Returns
from trio_gossip.engine.scanner import Scanner
from trio_gossip.engine.streams import Streams
from trio_gossip.engine.sync import Sync
from trio_gossip.engine.takeover import Takeover
from trio_gossip.events import Reason

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.detector import Detector
    from trio_gossip.engine.node import Node
    from trio_gossip.plane import Plane
    from trio_gossip.services.base import Service


class Parts:
    """The parts, wired. Each knows the node and the parts below it, none knows the engine."""

    def __init__(self, node: Node, services: Sequence[Service] = ()) -> None:
        self.streams = Streams(node)
        self.refutation = Refutation(node)
        admission = Admission(node)
        self.takeover = Takeover(node, admission, self.refutation, self.streams)
        self.returns = Returns(node, admission)
        self.claims = Claims(node, admission, self.refutation, self.takeover, self.returns)
        self.merge = Merge(node, self.claims)
        self.sync = Sync(node, self.streams, self.merge, admission)
        hearsay = Hearsay(node, self.claims)
        self.buckets = Buckets(node, hearsay, self.sync)
        self.planes: list[Plane] = [MemberPlane(node, hearsay, self.buckets)]
        """What repair compares: members first, then services by code."""
        self.repair = Repair(node, self.planes)
        self.prober = self._detector(node)
        self.relay = Relay(node, self.repair, self.streams)
        if isinstance(self.claims.judge, Inquiry):
            self.claims.judge.said_of = self.relay.said_of
        self.rejoin = Rejoin(node, self.sync, self.returns)
        self.leaving = Leaving(node, self.claims)
        self.mail = Mail(node, self.streams)
        self.pinger = Pinger(node)
        self.gossiper = Gossiper(node)
        self.requests = Requests(node, self.streams, (self.mail.parcels, *services))
        self.planes += self.requests.planes()
        self.claims.forget = self._forget
        self.sync.agrees = self.repair.agrees
        node.table.tally.counted = self.requests.counted
        self.sync.met = self.requests.met
        self.streams.accept_session = lambda: Accepting(
            node, self.streams, self.sync, self.mail, self.requests
        )
        self.messages = self._message_handlers(node)
        self.timers = self._timer_handlers()

    def _forget(self, name: str) -> None:
        self.requests.forget(name)
        self.prober.forget(name)

    def _detector(self, node: Node) -> Detector:
        """The rules by which failures are found, and the timers that are theirs."""
        if node.config.detector == "memberlist":
            self.claims.judge = Lifeguard(node, self.claims)
            prober = Prober(node, self.claims, self.streams, self.repair)
            self._detector_timers: dict[str, Callable[[Any], None]] = {
                "probe_tick": lambda _: prober.tick(),
                "probe_timeout": lambda _: prober.timeout(),
                "probe_end": lambda _: prober.end(),
            }
            return prober
        attempts = Attempts(node, self.streams, self.repair)
        inquiry = Inquiry(node, self.claims, attempts, self.streams)
        self.claims.judge = inquiry
        scanner = Scanner(node, attempts, inquiry)
        self._detector_timers = {
            "probe_tick": scanner.tick,
            "attempt": attempts.step,
            "reprobe": inquiry.interview.tick,
        }
        return scanner

    def _message_handlers(self, node: Node) -> dict[type, Callable[[Any, Address], None]]:
        """By type of message; called with the message and the source of its packet."""
        claims = self.claims
        return {
            Ping: self.relay.ping,
            IndirectPing: self.relay.request,
            Ack: lambda message, source: self._acked(node, message, source),
            Nack: node.questions.on_nack,
            Alive: lambda message, source: claims.alive(message, _packet(source)),
            Suspect: lambda message, source: claims.suspect(message, _packet(source)),
            Dead: lambda message, source: claims.dead(message, _packet(source)),
            Broadcast: lambda message, _: self.mail.broadcast_received(message),
            Announce: lambda message, _: self.mail.parcels.announced(message),
            UserMessage: lambda message, _: self.mail.received(message),
            Leave: self.leaving.told,
            Conflict: self.refutation.conflict,
            ServiceNews: self.requests.news,
            BucketSums: self.buckets.on_sums,
            BucketRows: self.buckets.on_rows,
            BucketWants: self.buckets.on_wants,
            Unknown: lambda _, __: node.counters.bump("message_unknown"),
        }

    def _acked(self, node: Node, message: Ack, source: Address) -> None:
        if node.questions.on_ack(message, source):
            self.repair.acked(message, source)

    def _timer_handlers(self) -> dict[str, Callable[[Any], None]]:
        """By the first half of a timer's key; called with the second half."""
        return {
            **self._detector_timers,
            "relay": self.relay.timeout,
            "ping": self.pinger.timeout,
            "suspicion": self.claims.judge.expired,
            "reap": self.claims.reap,
            "takeover": self.takeover.step,
            "flush": lambda _: self.gossiper.flush(),
            "gossip": lambda _: self.gossiper.tick(),
            "push_pull": lambda _: self.sync.tick(),
            "merge": self.merge.step,
            "rejoin": lambda _: self.rejoin.tick(),
            "follow_up": lambda _: self.rejoin.follow_up(),
            "returns": lambda _: self.returns.tick(),
            "settle": lambda _: self.rejoin.settle(),
            "leave_tell": lambda _: self.leaving.tell(),
            "leave_linger": lambda _: self.leaving.lingered(),
            "leave_timeout": lambda _: self.leaving.timeout(),
            "exchange": self.streams.timeout,
            "exchange_life": self.streams.timeout,
            "service": self.requests.timeout,
        }


def _packet(source: Address) -> Origin:
    return Origin(Reason.ANNOUNCED, source)
