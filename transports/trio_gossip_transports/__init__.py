"""Networks that can carry a cluster: real sockets, and a made-up network for tests.

Each is a :class:`trio_gossip.transport.Transport`. :func:`open_socket_transport` speaks UDP and
TCP on one port. :class:`MemoryNetwork` connects clusters inside one process over links that
lose, delay, repeat, reorder and cut, by a seed. :class:`EncryptedTransport` seals what any other
transport carries, with the keys of a :class:`Keyring`; :class:`TLSTransport` puts its streams
under mutual TLS, and its packets if you like. The dependency goes one way: this package imports
trio_gossip and is never imported by it.

Where to look, each file resting on those to its right::

    sockets  <-  accepting, dialling, advertising, binding  <-  socket_addresses, socket_errors
    network  <-  memory  <-  fabric, streams  <-  links
    encrypted  <-  encrypted_stream  <-  sealing  <-  keyring  <-  key_file  <-  keys
    tls  <-  tls_accepting  <-  tls_handshake  <-  tls_stream, tls_contexts, tls_faults
    tls  <-  tls_packets  <-  tls_packet_table  <-  tls_packet_link  <-  tls_packet_inbox
"""

from __future__ import annotations

from trio_gossip_transports.encrypted import EncryptedStatistics, EncryptedTransport
from trio_gossip_transports.fabric import MemoryStatistics
from trio_gossip_transports.keyring import Keyring, KeyringError
from trio_gossip_transports.keys import Key
from trio_gossip_transports.memory import MemoryTransport
from trio_gossip_transports.network import MemoryNetwork
from trio_gossip_transports.sockets import (
    SocketStatistics,
    SocketTransport,
    open_socket_transport,
)
from trio_gossip_transports.tls import TLSStatistics, TLSTransport
from trio_gossip_transports.tls_contexts import tls_contexts
from trio_gossip_transports.tls_faults import TLSFault
from trio_gossip_transports.tls_packets import TLSPacketStatistics

__all__ = [
    "EncryptedStatistics",
    "EncryptedTransport",
    "Key",
    "Keyring",
    "KeyringError",
    "MemoryNetwork",
    "MemoryStatistics",
    "MemoryTransport",
    "SocketStatistics",
    "SocketTransport",
    "TLSFault",
    "TLSPacketStatistics",
    "TLSStatistics",
    "TLSTransport",
    "open_socket_transport",
    "tls_contexts",
]
