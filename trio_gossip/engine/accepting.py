"""The first frame of an accepted stream decides what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.codec.messages import (
    MessageOpen,
    ServiceRequest,
    StreamAck,
    StreamPing,
    SyncOpen,
)
from trio_gossip.engine.mail import Mail, Receiver
from trio_gossip.engine.session import Exchange, Session
from trio_gossip.engine.sync import Answering
from trio_gossip.failures import RefusalReason

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Frame
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.requests import Requests
    from trio_gossip.engine.streams import Streams
    from trio_gossip.engine.sync import Sync


class Accepting(Session):
    """Waits for the opening frame and hands the exchange to the right session."""

    def __init__(
        self, node: Node, streams: Streams, sync: Sync, mail: Mail, requests: Requests
    ) -> None:
        self._node = node
        self._streams = streams
        self._sync = sync
        self._mail = mail
        self._requests = requests

    def frame(self, exchange: Exchange, frame: Frame) -> None:
        if isinstance(frame, SyncOpen | MessageOpen | ServiceRequest) and exchange.names:
            name = frame.sender if isinstance(frame, MessageOpen) else frame.source
            if name not in exchange.names:
                text = f"your certificate does not name {name}"[:200]
                self._streams.refuse(exchange, RefusalReason.NOT_ADMITTED, text)
                return
        if isinstance(frame, SyncOpen):
            answering = Answering(self._sync, self._node)
            exchange.session = answering
            exchange.peer_name = frame.source
            answering.begin(exchange, frame)
        elif isinstance(frame, MessageOpen):
            receiver = Receiver(self._streams, self._node, self._mail)
            exchange.session = receiver
            exchange.peer_name = frame.sender
            receiver.begin(exchange, frame)
        elif isinstance(frame, ServiceRequest):
            exchange.peer_name = frame.source
            self._requests.received(exchange, frame)
        elif isinstance(frame, StreamPing):
            self._pinged(exchange, frame)
        else:
            self._streams.unexpected(exchange, frame)

    def _pinged(self, exchange: Exchange, frame: StreamPing) -> None:
        if frame.target != self._node.name:
            text = f"this is {self._node.name}, not {frame.target}"[:200]
            self._streams.refuse(exchange, RefusalReason.WRONG_MEMBER, text)
            return
        self._streams.send(exchange, StreamAck(frame.sequence))
        self._streams.close(exchange)
