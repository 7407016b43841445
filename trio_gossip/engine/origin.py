"""Where a claim came from, and who may be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.events import Reason

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.node import Node


@attrs.define(slots=True, weakref_slot=False)
class Origin:
    """The way on which a claim reached us.

    Attributes:
        reason: what an event caused by it says.
        address: source of the packet; None when there is nobody to answer by datagram.
        host: host of the peer of an established stream, which nobody can forge.
        peer: what the peer of an exchange calls itself.
        names: those of that peer for which the transport vouches; empty where it does not.
    """

    reason: Reason
    address: Address | None = None
    host: str | None = None
    peer: str | None = None
    names: tuple[str, ...] = ()

    def vouches_for(self, name: str) -> tuple[str, ...]:
        """The names of the peer, if it is the member of this name; empty for hearsay."""
        return self.names if name in self.names else ()

    def answer(self, node: Node, peer_name: str | None, message: Message) -> None:
        """Send a message back to the source of the packet, if there is one."""
        if self.address is not None:
            node.answer(self.address, peer_name, message)


OWN: Final = Origin(Reason.PROBE_FAILED)
"""Claims that this node makes itself."""
