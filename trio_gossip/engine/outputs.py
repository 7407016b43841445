"""What a turn of the engine asks its driver to do. Frozen, complete at birth, a closed union."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from trio_gossip.addresses import Address
from trio_gossip.events import Event

ExchangeId: TypeAlias = int
"""Names one stream between driver and engine; never reused by an engine."""

Token: TypeAlias = int
"""Names one command of the local program, chosen by the caller."""


@attrs.frozen(slots=True)
class SendPacket:
    """Send one datagram and forget it."""

    data: bytes
    address: Address
    peer_name: str | None


@attrs.frozen(slots=True)
class OpenExchange:
    """Open a stream; answer with ``exchange_opened`` or ``exchange_failed``. Before that say
    ``exchange_connected`` when the peer's host took the connection, if it is known.
    """

    exchange: ExchangeId
    address: Address
    peer_name: str | None


@attrs.frozen(slots=True)
class SendFrame:
    """Write bytes to a stream. With ``more``, call ``exchange_writable`` when they are written."""

    exchange: ExchangeId
    data: bytes = attrs.field(repr=False)  # it may hold a key
    more: bool = False


@attrs.frozen(slots=True)
class CloseExchange:
    """Close a stream after what was sent on it. With ``drain``, first send an end-of-file and
    read until the peer closes (bounded), so that a refusal is not lost to a reset.

    With ``abort``, close it at once instead, whatever is still to be sent, and with a reset where
    there is one: a probe is worth no ``TIME_WAIT``.
    """

    exchange: ExchangeId
    drain: bool = False
    abort: bool = False


@attrs.frozen(slots=True)
class Notify:
    """Tell the application."""

    event: Event


@attrs.frozen(slots=True)
class Deliver:
    """Tell the application when it has room, then call ``exchange_delivered``: back-pressure."""

    exchange: ExchangeId
    event: Event


@attrs.frozen(slots=True)
class Complete:
    """A command has ended: with a result, or with the error that the caller should see."""

    token: Token
    result: object = None
    error: Exception | None = None


Output: TypeAlias = (
    SendPacket | OpenExchange | SendFrame | CloseExchange | Notify | Deliver | Complete
)
