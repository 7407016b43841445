"""Opens a TCP connection to a peer: one attempt for each address that its host has."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import trio

from trio_gossip.addresses import canonical_host
from trio_gossip_transports.socket_addresses import look_up

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip_transports.socket_addresses import SocketAddress


async def dial(address: Address) -> trio.SocketStream:
    """Connect to the first address of a host that answers. No timeout of its own.

    Raises:
        OSError: no connection; of several attempts the last one's error. Nothing is left open.
    """
    if not 0 < address.port < 65536:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot connect to {address}: no such port")
    try:
        found = await look_up(canonical_host(address.host), address.port)
    except ValueError as error:  # from the codec of host names: a NUL, a label that is too long
        text = f"cannot connect to {address}: not a host name"
        raise OSError(errno.EADDRNOTAVAIL, text) from error
    failure: OSError | None = None
    for family, raw in found:
        try:
            return await _connect(family, raw, address)
        except OSError as error:
            failure = error
    raise failure or OSError(errno.EADDRNOTAVAIL, f"{address} has no address")


async def _connect(family: int, raw: SocketAddress, address: Address) -> trio.SocketStream:
    # Making the socket can fail as well: a host without IPv6 has no sockets for it.
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await sock.connect(raw)
        is_itself = sock.getsockname() == sock.getpeername()
    except BaseException:
        sock.close()
        raise
    if is_itself:
        # TCP connects a socket to itself if the kernel picks the dialled port for it.
        sock.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {address}")
    return trio.SocketStream(sock)
