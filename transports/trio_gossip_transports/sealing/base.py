"""What the encrypted transport asks of a sealed format: bytes and the time in, bytes out."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections import Counter

    from trio_gossip.addresses import Address


class Trouble(StrEnum):
    """Why a peer and this node cannot talk; told to people, with a limit on the rate."""

    UNSEALED = "sends without sealing"
    UNKNOWN_KEY = "seals with a key that is not on our keyring"
    OTHER_LABEL = "has another label, or does not really hold the key"
    REFUSES_OUR_KEY = "says that it does not know our key"
    REFUSES_OUR_LABEL = "says that it has another label"
    REFUSES_PLAIN = "says that it takes sealed packets only"


class Opened(NamedTuple):
    """What came of one datagram: nothing in both for one that was dropped.

    Attributes:
        packets: what the peer's cluster sent.
        outgoing: datagrams of the sealed format itself, to be sent now.
        trouble: what a person should hear of, if anything.
    """

    packets: list[bytes]
    outgoing: list[tuple[bytes, Address]]
    trouble: Trouble | None = None


class PacketSealer(Protocol):
    """One sealed format for datagrams. ``now`` is monotonic seconds."""

    overhead: int
    """Bytes that sealing adds to a packet."""

    counts: Counter[str]
    """What happened, by reason."""

    def seal(self, data: bytes, address: Address, now: float) -> list[tuple[bytes, Address]]:
        """Seal a packet for an address: what to send now, perhaps something else first."""
        ...

    def open(self, data: bytes, source: Address, now: float) -> Opened:
        """Open a datagram. Never raises for what came from the network."""
        ...
