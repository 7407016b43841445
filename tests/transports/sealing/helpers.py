"""Two sealers and what passes between them: every datagram is recorded."""

from __future__ import annotations

from trio_gossip import Address
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing.native import NativeSealer

K1, K2, K3 = (bytes([number]) * 32 for number in (1, 2, 3))

A, B, C = (Address(f"10.0.0.{number}", 7946) for number in (1, 2, 3))


def sealer(*keys: bytes, label: bytes = b"") -> NativeSealer:
    return NativeSealer(Keyring(keys or [K1]), label)


class Wire:
    """Carries datagrams between sealers at addresses, at once, and keeps a copy of each."""

    def __init__(self, **sealers: NativeSealer) -> None:
        self.at = {Address(host, 1): each for host, each in sealers.items()}
        self.recorded: list[tuple[bytes, Address, Address]] = []
        self.delivered: list[tuple[Address, bytes]] = []
        self.troubles: list[tuple[Address, str]] = []
        self.now = 0.0

    def send(self, source: str, target: str, data: bytes) -> None:
        here, there = Address(source, 1), Address(target, 1)
        self.carry(here, self.at[here].seal(data, there, self.now))

    def carry(self, source: Address, outgoing: list[tuple[bytes, Address]]) -> None:
        for data, target in outgoing:
            self.recorded.append((data, source, target))
            if target in self.at:
                self.arrive(data, source, target)

    def arrive(self, data: bytes, source: Address, target: Address) -> None:
        opened = self.at[target].open(data, source, self.now)
        self.delivered += [(target, each) for each in opened.packets]
        if opened.trouble is not None:
            self.troubles.append((target, str(opened.trouble)))
        self.carry(target, opened.outgoing)


def session(*, label: bytes = b"") -> tuple[Wire, NativeSealer, NativeSealer]:
    """``a`` and ``b``, of which ``a`` has a session to send to ``b``."""
    a, b = sealer(label=label), sealer(label=label)
    wire = Wire(a=a, b=b)
    wire.send("a", "b", b"first")
    assert wire.delivered == [(Address("b", 1), b"first")]
    wire.delivered.clear()
    return wire, a, b


def sealed(source: NativeSealer, target: str, data: bytes) -> bytes:
    """One packet of an open session."""
    [(datagram, _)] = source.seal(data, Address(target, 1), 0.0)
    return datagram
