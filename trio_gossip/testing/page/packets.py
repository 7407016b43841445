"""Packets of a trace as journeys: who sent what kind to whom, and how long it took or that it did
not arrive.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs

from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Announce,
    Broadcast,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
)

LOST: Final = -1.0
"""Seconds of a journey that did not arrive."""

_CLAIMS: Final = (Alive, Suspect, Dead, Broadcast, Announce)


class Kind(IntEnum):
    """What a packet is for. The page counts on these numbers."""

    PROBE = 0
    """A ping of its own, or an answer."""
    INDIRECT = 1
    """A ping for somebody else, the request for one, or word that it was in vain."""
    GOSSIP = 2
    """Claims and broadcasts alone."""
    STREAM = 3
    """A dial or a piece of a stream."""
    OTHER = 4
    """Messages of the application, goodbyes, and what cannot be decoded."""


@attrs.define
class Journey:
    """One packet, or one piece of a stream.

    Attributes:
        sent: virtual seconds.
        source: name of the sender.
        target: name of the receiver.
        kind: see :class:`Kind`.
        took: seconds to its arrival, or :data:`LOST`.
    """

    sent: float
    source: str
    target: str
    kind: Kind
    took: float = LOST


def kind_of(data: bytes, sender: str, codec: NativeCodec) -> Kind:
    """Say what a packet of ``sender`` is for. News that rides on a ping makes it no gossip."""
    try:
        messages = codec.unpack_untrusted(data)
    except DecodeError:
        return Kind.OTHER
    for message in messages:
        if isinstance(message, Ping):
            return Kind.PROBE if message.source == sender else Kind.INDIRECT
        if isinstance(message, Ack):
            return Kind.PROBE
        if isinstance(message, IndirectPing | Nack):
            return Kind.INDIRECT
    if any(isinstance(message, _CLAIMS) for message in messages):
        return Kind.GOSSIP
    return Kind.OTHER


class Journeys:
    """Brings what was sent together with what arrived.

    Attributes:
        all: in the order in which they were sent; a copy stands after its packet.
        elsewhere: packets to addresses where no member ever lived; they are in no picture.
    """

    def __init__(self) -> None:
        self.all: list[Journey] = []
        self.elsewhere = 0
        self._codec = NativeCodec()
        self._under_way: dict[tuple[str, str], list[tuple[bytes, Journey]]] = {}
        self._arrived: dict[tuple[str, str], tuple[bytes, Journey]] = {}

    def send(self, time: float, source: str, target: str, data: bytes) -> None:
        """A packet sets out."""
        journey = Journey(time, source, target, kind_of(data, source, self._codec))
        self.all.append(journey)
        self._under_way.setdefault((source, target), []).append((data, journey))

    def lose(self, time: float, source: str, target: str) -> None:
        """The packet that set out last goes nowhere: a loss is known when it is sent."""
        under_way = self._under_way.get((source, target))
        if under_way and under_way[-1][1].sent == time:
            under_way.pop()

    def deliver(self, time: float, source: str, target: str, data: bytes) -> None:
        """A packet arrives. One that was damaged on its way is taken for the oldest."""
        pair = source, target
        under_way = self._under_way.get(pair, ())
        for at, (sent, _) in enumerate(under_way):
            if sent == data:
                self._arrive(time, pair, at)
                return
        before = self._arrived.get(pair)
        if before is not None and before[0] == data:
            journey = before[1]
            self.all.append(attrs.evolve(journey, took=time - journey.sent))
        elif under_way:
            self._arrive(time, pair, 0)

    def _arrive(self, time: float, pair: tuple[str, str], at: int) -> None:
        data, journey = self._under_way[pair].pop(at)
        journey.took = time - journey.sent
        self._arrived[pair] = data, journey

    def stream(self, time: float, source: str, target: str, *, arrives: bool) -> None:
        """Something of a stream; how long it took is not in the trace and not shown."""
        self.all.append(Journey(time, source, target, Kind.STREAM, 0.0 if arrives else LOST))
