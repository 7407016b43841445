"""Rules of single packets: their size, their form, and what they may cause."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Alive, Dead, Leave, Suspect, Unknown
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import evidence_of, packet_limit_of
from trio_gossip.testing.checkers.wire import carries_news, is_well_formed, messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

PLAIN_SAMPLE: Final = 16
"""Of packets with a single ping or answer one in so many is decoded; of all others each."""

SETTLED_MAX: Final = 512
"""Packets that a process has taken in for good which are remembered; the oldest goes."""


class PacketLimit(Checker):
    """No packet is empty, or larger than its sender's limit: the smaller of ``packet_bytes_max``
    and what its transport allows; and nobody sends one to itself. No tolerance.
    """

    name: ClassVar[str] = "packet-limit"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._limits: dict[Process, int] = {}

    def started(self, process: Process) -> None:
        self._limits[process] = packet_limit_of(process)

    def ended(self, process: Process, how: str) -> None:
        self._limits.pop(process, None)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        limit = self._limits.get(process)
        if limit is not None:
            if 0 < len(data) <= limit and address != process.address:
                self.ok()
            else:
                self.wrong(f"{process.name} sent {len(data)} of {limit} bytes to {address}")


class WellFormed(Checker):
    """Every packet that is sent can be read by the other members, and has messages in it that
    they know. Single pings and answers are sampled, one in sixteen. No tolerance.
    """

    name: ClassVar[str] = "well-formed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._plain = 0

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if not carries_news(data):
            self._plain += 1
            if self._plain % PLAIN_SAMPLE:
                return
        messages = messages_of(data)
        if not is_well_formed(data) or not messages:
            self.wrong(f"{process.name} sent {len(data)} bytes that nobody can read")
        elif any(type(message) is Unknown for message in messages):
            self.wrong(f"{process.name} sent a message of an unknown kind")
        else:
            self.ok()


class ReplayIdempotent(Checker):
    """A packet that a process has taken in changes no row when it comes again (duplicated, or sent
    again by an attacker): claims are a join of a semilattice.

    Taken in is a packet when the receiver has evidence of all incarnations in it as soon as its
    turn is over, and still has when it comes again. A claim that was not admitted (of an unknown
    member, of an address that is being verified) may count then, and one of a member that was
    reaped meanwhile, also when it has come back since: with its row the receiver forgot the claim.
    The last 512 of each process are remembered.
    """

    name: ClassVar[str] = "replay-idempotent"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._settled: dict[Process, dict[tuple[bytes, Address], float]] = {}
        """When each was taken in, in virtual seconds."""
        self._reaped: dict[Process, dict[str, float]] = {}
        """When a process last gave up the row of a name, in virtual seconds."""
        self._arrived: tuple[Process, tuple[bytes, Address], bool] | None = None

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        key = (data, source)
        taken_in = self._settled.get(process, {}).get(key)
        repeated = taken_in is not None and self._is_settled(process, data, taken_in)
        self._arrived = (process, key, repeated)

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is None:
            self._reaped.setdefault(process, {})[name] = self.simulation.now
        if self._arrived is not None and self._arrived[0] is process and self._arrived[2]:
            self.wrong(f"{process.name}: a repeated packet turned {before} into {after}")

    def taken(self, process: Process) -> None:
        if self._arrived is None:
            return
        receiver, key, repeated = self._arrived
        self._arrived = None
        if repeated:
            self.ok()
        elif receiver is process and self._is_settled(process, key[0], self.simulation.now):
            settled = self._settled.setdefault(process, {})
            settled[key] = self.simulation.now
            if len(settled) > SETTLED_MAX:
                del settled[next(iter(settled))]

    def _is_settled(self, process: Process, data: bytes, taken_in: float) -> bool:
        reaped = self._reaped.get(process, {})
        for message in messages_of(data):
            if isinstance(message, Alive | Suspect | Dead | Leave):
                least = message.incarnation + (message.name == process.name)
                if evidence_of(process, message.name) < least:
                    return False
                if reaped.get(message.name, -1.0) >= taken_in:
                    return False
        return True

    def ended(self, process: Process, how: str) -> None:
        self._settled.pop(process, None)
        self._reaped.pop(process, None)


class Amplification(Checker):
    """Whoever is no member gets no more bytes from a process than it sent to it: nobody can turn
    a member against a third party with a forged source (QUIC's RFC 9000 allows three times
    as much before it knows an address).

    Looked at for addresses at which no process ever was and of which the sender holds no row.
    """

    name: ClassVar[str] = "amplification"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._places: set[Address] = set()
        self._credit: dict[tuple[Process, Address], int] = {}

    def started(self, process: Process) -> None:
        self._places.add(process.address)

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is not None:
            self._places.add(after.address)  # true or not: it is held to be a member

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if source not in self._places:
            key = (process, source)
            self._credit[key] = self._credit.get(key, 0) + len(data)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if address in self._places:
            return
        key = (process, address)
        credit = self._credit[key] = self._credit.get(key, 0) - len(data)
        if credit < 0:
            self.wrong(f"{process.name} sent {-credit} bytes more to {address} than came from it")
        else:
            self.ok()
