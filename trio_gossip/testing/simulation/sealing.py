"""What a simulation asks of sealing: bytes and the time in, bytes out. It knows no cipher itself.

:mod:`trio_gossip.testing.sealed` has the real one behind these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import Callable, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.services.base import Service


@attrs.frozen
class Fed:
    """What came of bytes that arrived on a sealed stream.

    Attributes:
        content: for the engine.
        fault: what is wrong with the peer; "" when nothing is. The stream is of no use then.
        again: the peer gave this member newer keys: dial once more.
    """

    content: bytes = b""
    fault: str = ""
    again: bool = False


class StreamSeal(Protocol):
    """One end of one sealed stream."""

    @property
    def can_seal(self) -> bool:
        """True when there is something to seal with."""
        ...

    @property
    def ended(self) -> bool:
        """True when the peer has said that nothing more comes."""
        ...

    def take_outgoing(self) -> bytes:
        """What has to be sent for the format itself, once."""
        ...

    def feed(self, data: bytes) -> Fed:
        """Take bytes of the peer. Never raises for what they are."""
        ...

    def seal(self, data: bytes) -> bytes:
        """Content as it travels."""
        ...

    def end(self) -> bytes:
        """The word that nothing more comes."""
        ...


class NodeSeal(Protocol):
    """What seals and opens for one life of one member. ``now`` is what its own clock shows."""

    @property
    def overhead(self) -> int:
        """Bytes that sealing adds to a packet."""
        ...

    @property
    def counts(self) -> Counter[str]:
        """What happened to datagrams, by reason."""
        ...

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys of its ring as hexadecimal ids, the primary first."""
        ...

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The same keys themselves."""
        ...

    @property
    def services(self) -> Sequence[Service]:
        """What rides on the engine beside it: the changing of keys by command."""
        ...

    def brings_up(self, key_id: str) -> bool:
        """True when whoever dials with this key is heard: on the ring, or within its grace."""
        ...

    def identify(self, secret: bytes) -> bytes:
        """The id of a key.

        Raises:
            ValueError: it is no key.
        """
        ...

    def seal(self, data: bytes, address: Address, now: float) -> list[tuple[bytes, Address]]:
        """What to send for a packet: it, or first something else."""
        ...

    def open(
        self, data: bytes, source: Address, now: float
    ) -> tuple[Sequence[bytes], Sequence[tuple[bytes, Address]]]:
        """The packets in a datagram, and what to send in turn."""
        ...

    def is_handshake(self, data: bytes) -> bool:
        """True for a datagram of the format itself, which holds no packet."""
        ...

    def stream(self, *, accepted: bool) -> StreamSeal:
        """Begin one end of a stream."""
        ...

    def save(self) -> None:
        """Write the ring where the next life of this member finds it."""
        ...


class Sealing(Protocol):
    """Makes what seals for each member of a simulation, and keeps their key files."""

    def saved(self, name: str) -> tuple[bytes, ...]:
        """The keys that the next life of a member will find, the primary first."""
        ...

    def give(self, name: str, secrets: Sequence[bytes]) -> None:
        """Put other keys there: a wrong file, or an old one.

        Raises:
            ValueError: they are none.
        """
        ...

    def hand_out(self, secrets: Sequence[bytes]) -> None:
        """Let whoever was never there before begin with these keys from now on.

        Raises:
            ValueError: they are none.
        """
        ...

    def begin(self, name: str, entropy: random.Random, clock: Callable[[], float]) -> NodeSeal:
        """Begin a life of a member, with the keys that its former life had at its end.

        Args:
            name: of the member.
            entropy: all chance of this life's sealing.
            clock: monotonic seconds of this member.
        """
        ...
