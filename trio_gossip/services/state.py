"""Versioned state that all members hold: ``cluster.state`` and ``cluster.shared``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec import DecodeError
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.base import RequestRefusedError, Service
from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_exchange import StateExchange, nobody_waits
from trio_gossip.services.state_local import first_generation
from trio_gossip.services.state_plane import StatePlane
from trio_gossip.services.state_records import Plane, Record, Slot, StateLimits, slot_of
from trio_gossip.services.state_replica import Outcome, Replica
from trio_gossip.services.state_wire import (
    encode_news,
    parse_ask_untrusted,
    parse_news_untrusted,
)

if TYPE_CHECKING:
    from trio_gossip.plane import Plane as Compared
    from trio_gossip.services.base import Host

STATE_SERVICE: Final = 2
"""Code of this service on the wire."""

COLLECT_SECONDS: Final = 60.0
"""Between two looks for tombstones that are old enough, while there are any."""

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
    """

    code = STATE_SERVICE

    def __init__(
        self,
        wall_ms: Callable[[], int],
        *,
        shown: Shown | None = None,
        limits: StateLimits | None = None,
    ) -> None:
        self._wall_ms = wall_ms
        self._shown = shown
        self._limits = StateLimits() if limits is None else limits
        self._collects = False

    def attach(self, host: Host) -> None:
        """Begin with nothing, in a new generation."""
        self._host = host
        now_ms = self._wall_ms()
        clock = HybridClock(self._limits.clock_skew_ms)
        gen = first_generation(now_ms, host.rng)
        self._replicas = {plane: self._replica(plane, gen, clock) for plane in Plane}
        self._exchanges = {
            plane: StateExchange(replica, host, self._wall_ms, partial(self._learned, plane))
            for plane, replica in self._replicas.items()
        }
        self._planes = tuple(
            StatePlane(replica, host, STATE_SERVICE, self._exchanges[plane].pull)
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
        if tombstones and not self._collects:
            self._collects = True
            self._host.set_deadline(self._host.now + COLLECT_SECONDS)

    def _tell(self, record: Record, plane: Plane) -> None:
        payload = encode_news(plane, record)
        if len(payload) <= self._host.room:
            self._host.tell((int(plane), *slot_of(plane, record)), payload)
        else:
            # No packet takes it. The next ping says that we know more, and brings an exchange.
            self._host.bump("state_by_stream")

    # -- hearing --------------------------------------------------------------------------

    def news_untrusted(self, payload: bytes, source: str) -> None:
        """A record came by."""
        try:
            plane, record = parse_news_untrusted(payload)
        except DecodeError:
            self._host.bump("state_malformed")
            return
        replica = self._replicas[plane]
        if replica.receive(record, now_ms=self._wall_ms()) is Outcome.STORED:
            self._tell(record, plane)
        self._tell_own()

    def answer_untrusted(self, payload: bytes, source: str) -> bytes:
        """A member asks for what it lacks."""
        try:
            asked, cursor = parse_ask_untrusted(payload)
        except DecodeError as error:
            self._host.bump("state_malformed")
            raise RequestRefusedError(f"that is no question about state: {error}") from None
        return self._exchanges[asked.plane].answer(asked, cursor, source)

    def _learned(self, plane: Plane, records: list[Record]) -> None:
        if len(records) <= RETOLD_MAX:
            for record in records:
                self._tell(record, plane)
        self._tell_own()

    def met(self, member: str) -> None:
        """After a join: get all that is there already, and not only by the next ping."""
        for exchange in self._exchanges.values():
            exchange.pull(member, nobody_waits)

    def forget(self, name: str) -> None:
        """A member was reaped: its own keys go, what it wrote to shared ones stays."""
        self._replicas[Plane.STATE].forget(name)
        self._planes[Plane.STATE].forget(name)

    def counted(self, name: str, is_active: bool) -> None:
        """See :class:`Service`. Shared keys outlive who wrote them, so they always count."""
        self._planes[Plane.STATE].count(name, is_counted=is_active)

    def handle_timeout(self) -> None:
        """Collect tombstones; look again while there are any."""
        now_ms = self._wall_ms()
        left = False
        for replica in self._replicas.values():
            replica.collect(now_ms=now_ms)
            left |= bool(replica.slots.tombstones)
        self._collects = left
        self._host.set_deadline(self._host.now + COLLECT_SECONDS if left else math.inf)
