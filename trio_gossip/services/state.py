"""Versioned state that all members hold: ``cluster.state`` and ``cluster.shared``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import attrs

from trio_gossip.codec import DecodeError
from trio_gossip.errors import LocalProtocolError
from trio_gossip.members import EXCHANGE_MODES
from trio_gossip.services.base import MOMENT, RequestRefusedError, Service
from trio_gossip.services.state_allowance import Allowance
from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_delta import Announced, Legs
from trio_gossip.services.state_exchange import StateExchange, nobody_waits
from trio_gossip.services.state_fetching import Fetching
from trio_gossip.services.state_local import first_generation
from trio_gossip.services.state_plane import StatePlane
from trio_gossip.services.state_pushing import Pushing
from trio_gossip.services.state_records import Plane, Record, Slot, StateLimits, slot_of
from trio_gossip.services.state_replica import Outcome, Replica
from trio_gossip.services.state_wire import (
    encode_announced,
    encode_news,
    is_fetch,
    parse_announced_untrusted,
    parse_ask_untrusted,
    parse_news_untrusted,
)

if TYPE_CHECKING:
    from trio_gossip.config import Config
    from trio_gossip.plane import Plane as Compared
    from trio_gossip.services.base import Host

STATE_SERVICE: Final = 2
"""Code of this service on the wire."""

COLLECT_SECONDS: Final = 60.0
"""Most seconds between two looks for tombstones that are old enough, while there are any."""

COLLECT_SECONDS_MIN: Final = 1.0
"""Least seconds between these. Within the two, a quarter of the time for which they are kept."""

RETOLD_MAX: Final = 16
"""Records of one answer that are gossiped further. With more, it is this member that was away and
not the others; who was away as well asks for itself."""

Shown = Callable[[Plane, Slot, Record | None, Record | None], None]
"""Told of each change that can be seen: plane, slot, what it showed and what it shows now."""


@attrs.frozen
class StateWrite:
    """A command: write ``value`` under ``key``, or delete the key if it is None."""

    plane: Plane
    key: str
    value: bytes | None = attrs.field(repr=False)


class State(Service):
    """Spreads writes as gossip, and mends what gossip missed by exchanges.

    Args:
        wall_ms: the wall clock in milliseconds since 1970; may jump.
        shown: told of each visible change, within the turn that makes it.
        limits: how much each plane holds.
        exchange: which way records go in exchanges, see ``Config.exchange``.
    """

    code = STATE_SERVICE

    def __init__(
        self,
        wall_ms: Callable[[], int],
        *,
        shown: Shown | None = None,
        limits: StateLimits | None = None,
        exchange: str = EXCHANGE_MODES[Legs.BOTH],
    ) -> None:
        self._wall_ms = wall_ms
        self._shown = shown
        self._limits = StateLimits() if limits is None else limits
        self._legs = Legs(EXCHANGE_MODES.index(exchange))
        quarter = self._limits.tombstone_ms / 4000.0
        self._collect_seconds = min(COLLECT_SECONDS, max(COLLECT_SECONDS_MIN, quarter))
        self._collect_at = math.inf

    @classmethod
    def of(cls, config: Config, wall_ms: Callable[[], int], shown: Shown | None = None) -> Self:
        """The state of a member with these settings."""
        limits = StateLimits.of(config)
        return cls(wall_ms, shown=shown, limits=limits, exchange=config.exchange)

    def attach(self, host: Host) -> None:
        """Begin with nothing, in a new generation."""
        self._host = host
        now_ms = self._wall_ms()
        clock = HybridClock(self._limits.clock_skew_ms)
        gen = first_generation(now_ms, host.rng)
        self._replicas = {plane: self._replica(plane, gen, clock) for plane in Plane}
        self._allowance = Allowance()
        self._exchanges = {
            plane: StateExchange(
                replica,
                host,
                self._wall_ms,
                legs=self._legs,
                allowance=self._allowance,
                learned=partial(self._learned, plane),
            )
            for plane, replica in self._replicas.items()
        }
        self._pushings = {
            plane: Pushing(replica, host, partial(self._offer, plane))
            for plane, replica in self._replicas.items()
        }
        self._fetching = Fetching(host, self._replicas, self._received, self._set_deadline)
        self._planes = tuple(
            StatePlane(replica, host, STATE_SERVICE, self._exchanges[plane].reconcile)
            for plane, replica in self._replicas.items()
        )

    def _replica(self, plane: Plane, gen: int, clock: HybridClock) -> Replica:
        host = self._host
        shown = self._shown

        def changed(slot: Slot, before: Record | None, after: Record | None) -> None:
            if shown is not None:
                shown(plane, slot, before, after)

        return Replica(
            plane,
            host.name,
            gen,
            rng=host.rng,
            clock=clock,
            limits=self._limits,
            digest_key=b"trio-gossip state %d" % plane,
            is_member=host.is_known,
            changed=changed,
            bump=host.bump,
        )

    @property
    def planes(self) -> Sequence[Compared]:
        """See :class:`Service`."""
        return self._planes

    def replica(self, plane: Plane) -> Replica:
        """What this member holds of a plane. To be read, not to be changed."""
        return self._replicas[plane]

    # -- writing --------------------------------------------------------------------------

    def call(self, command: object, token: int) -> None:
        """Do a :class:`StateWrite`; completes at once, with whether anything was written.

        Raises:
            LocalProtocolError: the key or the value is too long, or there is no room.
        """
        if not isinstance(command, StateWrite):
            raise LocalProtocolError(f"{command!r} is no command of state")
        replica = self._replicas[command.plane]
        now_ms = self._wall_ms()
        if command.value is None:
            record = replica.delete(command.key, now_ms=now_ms)
        else:
            record = replica.set(command.key, command.value, now_ms=now_ms)
        self._tell_own()
        self._host.complete(token, record is not None)

    def _tell_own(self) -> None:
        """Gossip what this member has written since; also what it wrote without being asked."""
        for replica in self._replicas.values():
            for record in replica.take_news():
                self._tell(record, replica.plane)
        tombstones = any(replica.slots.tombstones for replica in self._replicas.values())
        if tombstones and self._collect_at == math.inf:
            self._collect_at = self._host.now + self._collect_seconds
            self._set_deadline()

    def _tell(self, record: Record, plane: Plane) -> None:
        self._note(record, plane)
        payload = encode_news(plane, record)
        if len(payload) > self._host.room:
            # No packet takes it, so all fetch it by stream from who has it.
            self._host.bump("state_by_stream")
            payload = encode_announced(Announced(plane, *record.dot, record.key))
        self._host.tell((int(plane), *slot_of(plane, record)), payload)

    # -- hearing --------------------------------------------------------------------------

    def news_untrusted(self, payload: bytes, source: str) -> None:
        """A record came by."""
        try:
            news = parse_news_untrusted(payload)
        except DecodeError:
            self._host.bump("state_malformed")
            return
        if isinstance(news, Announced):
            self._fetching.announced(news, source)
        else:
            self._received(*news)

    def _received(self, plane: Plane, record: Record) -> None:
        replica = self._replicas[plane]
        if replica.receive(record, now_ms=self._wall_ms()) is Outcome.STORED:
            self._tell(record, plane)
        self._tell_own()

    def answer_untrusted(self, payload: bytes, source: str) -> bytes:
        """A member asks for what it lacks."""
        now = self._host.now
        if not self._allowance.admits(source, now):
            self._host.bump("state_asked_too_often")
            raise RequestRefusedError(f"{source} asks too much")
        self._allowance.charge(source, now, size=len(payload))
        try:
            if is_fetch(payload):
                wanted = parse_announced_untrusted(payload)
                return self._exchanges[wanted.plane].give(wanted)
            ask = parse_ask_untrusted(payload)
        except DecodeError as error:
            self._host.bump("state_malformed")
            raise RequestRefusedError(f"that is no question about state: {error}") from None
        return self._exchanges[ask.seen.plane].answer(ask, source)

    def _learned(self, plane: Plane, records: list[Record]) -> None:
        if len(records) <= RETOLD_MAX:
            for record in records:
                self._tell(record, plane)
        else:
            for record in records:
                self._note(record, plane)
        self._tell_own()

    # -- exchanges ------------------------------------------------------------------------

    def met(self, member: str, mode: str) -> None:
        """Exchange what there is with a member, in this mode, and not only by the next ping."""
        legs = Legs(EXCHANGE_MODES.index(mode))
        for plane in Plane:
            if legs is Legs.PUSH:
                self._pushings[plane].push(member)
            else:
                self._exchanges[plane].open(member, nobody_waits, legs)

    def _offer(self, plane: Plane, member: str) -> None:
        self._exchanges[plane].open(member, nobody_waits, Legs.PUSH)

    def _note(self, record: Record, plane: Plane) -> None:
        if self._legs is Legs.PUSH:
            self._pushings[plane].note(record)

    def forget(self, name: str) -> None:
        """A member was reaped: its own keys go, what it wrote to shared ones stays."""
        self._replicas[Plane.STATE].forget(name)
        self._planes[Plane.STATE].forget(name)

    def counted(self, name: str, is_active: bool) -> None:
        """See :class:`Service`. Shared keys outlive who wrote them, so they always count."""
        self._planes[Plane.STATE].count(name, is_counted=is_active)

    def handle_timeout(self) -> None:
        """Collect tombstones, and look again while there are any; fetch on."""
        if self._collect_at <= self._host.now + MOMENT:
            self._collect()
        self._fetching.step()

    def _collect(self) -> None:
        now_ms = self._wall_ms()
        left = False
        for replica in self._replicas.values():
            replica.collect(now_ms=now_ms)
            left |= bool(replica.slots.tombstones)
        self._collect_at = self._host.now + self._collect_seconds if left else math.inf

    def _set_deadline(self) -> None:
        self._host.set_deadline(min(self._collect_at, self._fetching.deadline))
