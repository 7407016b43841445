"""The sans-IO side of one stream: an exchange and the conversation that runs on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import attrs

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec import StreamDecoder
    from trio_gossip.codec.messages import Frame, Refusal
    from trio_gossip.engine.outputs import ExchangeId
    from trio_gossip.failures import DialFailure


class Session(ABC):
    """One conversation. ``Streams`` calls these, and never again after the exchange ended.

    A session speaks through the ``Streams`` that it was given; it ends with
    ``Streams.close`` or by being told that the stream is gone.
    """

    aborts: ClassVar[bool] = False
    """Its stream is closed at once and with a reset, however it ends: nothing of it is missed."""

    def opened(self, exchange: Exchange) -> None:
        """The stream that we dialled is open."""

    @abstractmethod
    def frame(self, exchange: Exchange, frame: Frame) -> None:
        """A frame arrived."""

    def writable(self, exchange: Exchange) -> None:
        """The last frame that was sent with ``more`` is written."""

    def delivered(self, exchange: Exchange) -> None:
        """The application took what was delivered."""

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        """The peer will not go on; the exchange is over."""

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        """The stream could not be opened, broke or made no progress; the exchange is over."""


@attrs.define(slots=True, weakref_slot=False)
class Exchange:
    """One stream as the engine sees it.

    Attributes:
        address: where it leads: the dialled address, or the source of an accepted one.
        patience: seconds without progress after which it is given up.
        accepted: True when the peer opened it.
        names: those that the peer may use, as the transport vouches; empty for any.
        detail: what the transport said when it could not open it.
        connected: the peer's host took the connection. Its process may stand still all the same.
    """

    id: ExchangeId
    address: Address
    peer_name: str | None
    session: Session
    decoder: StreamDecoder
    patience: float
    accepted: bool
    names: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    detail: str = attrs.field(default="", kw_only=True)
    connected: bool = attrs.field(default=False, kw_only=True)
