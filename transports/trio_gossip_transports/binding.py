"""Binds UDP and TCP to one port, and sets the options that have to be set before or right after."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from trio_gossip_transports.socket_addresses import look_up

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip_transports.socket_addresses import SocketAddress

_BACKLOG: Final = 1024
_PORT_ATTEMPTS_MAX: Final = 10


async def bind_both(wanted: Address) -> tuple[socket.socket, socket.socket]:
    """Bind a UDP socket and a listening TCP socket to one address; both are non-blocking.

    Args:
        wanted: an IP literal, or a name that resolves to an address of this host. With port 0
            the kernel chooses one that is free for both.

    Raises:
        OSError: the address cannot be had. Nothing is left open.
        ValueError: the host cannot be a host name.
    """
    found = await look_up(wanted.host, wanted.port, flags=socket.AI_PASSIVE)
    for index, (family, raw) in enumerate(found):
        try:
            return _bind(family, raw)
        except OSError as error:
            # A name may have an address of a family that this host lacks. Any other error is
            # about the address that was meant: the next one would be a surprise.
            lacking = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
            if not lacking or index == len(found) - 1:
                raise
    raise OSError(errno.EADDRNOTAVAIL, "the name has no address")


def is_dual(sock: socket.socket) -> bool:
    """Whether a socket is an IPv6 one that takes IPv4 too."""
    if sock.family != socket.AF_INET6:
        return False
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def raise_receive_buffer(sock: socket.socket, wanted: int) -> None:
    """Ask for ``wanted`` bytes of ``SO_RCVBUF``, and for half as long as that is refused."""
    while wanted > 0:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        except OSError:  # BSD and macOS refuse more than their limit; Linux takes less silently
            wanted //= 2
        else:
            return


def _bind(family: int, raw: SocketAddress) -> tuple[socket.socket, socket.socket]:
    for attempts_left in reversed(range(_PORT_ATTEMPTS_MAX if raw[1] == 0 else 1)):
        try:
            return _bind_once(family, raw)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempts_left == 0:
                raise
    raise AssertionError("the last attempt returns or raises")


def _bind_once(family: int, raw: SocketAddress) -> tuple[socket.socket, socket.socket]:
    """Bind TCP and then UDP to the port that TCP got: free TCP ports are the scarcer ones."""
    with ExitStack() as undo:
        tcp = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        udp = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        for each in (tcp, udp):
            each.setblocking(False)
            if family == socket.AF_INET6:
                _set_dual(each, wanted=raw[0] == "::")
        # Only TCP: a restart must not wait for old connections to time out. For UDP it would
        # let a second process steal the datagrams; Windows does that for TCP too.
        if sys.platform != "win32":
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(raw)
        tcp.listen(_BACKLOG)
        udp.bind((raw[0], tcp.getsockname()[1], *raw[2:]))
        undo.pop_all()
        return udp, tcp


def _set_dual(sock: socket.socket, *, wanted: bool) -> None:
    """Take IPv4 too on an IPv6 socket, or refuse it where that is not wanted or not possible."""
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wanted else 1)
    except OSError:
        if not wanted:
            raise
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
