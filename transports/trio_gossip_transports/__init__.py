"""Networks that can carry a cluster: real sockets, and a made-up network for tests.

Each is a :class:`trio_gossip.transport.Transport`. :func:`open_socket_transport` speaks UDP and
TCP on one port. :class:`MemoryNetwork` connects clusters inside one process over links that
lose, delay, repeat, reorder and cut, by a seed. The dependency goes one way: this package
imports trio_gossip and is never imported by it.

Where to look, each file resting on those to its right::

    sockets  <-  accepting, dialling, advertising, binding  <-  socket_addresses, socket_errors
    network  <-  memory  <-  fabric, streams  <-  links
"""

from __future__ import annotations

from trio_gossip_transports.fabric import MemoryStatistics
from trio_gossip_transports.memory import MemoryTransport
from trio_gossip_transports.network import MemoryNetwork
from trio_gossip_transports.sockets import (
    SocketStatistics,
    SocketTransport,
    open_socket_transport,
)

__all__ = [
    "MemoryNetwork",
    "MemoryStatistics",
    "MemoryTransport",
    "SocketStatistics",
    "SocketTransport",
    "open_socket_transport",
]
