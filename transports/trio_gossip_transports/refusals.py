"""What other hosts say of our datagrams: the error queue of a UDP socket, on Linux.

An unconnected UDP socket hears nothing of ICMP answers, unless it asks for its error queue
(``IP_RECVERR``). Then each answer comes with the address to which the datagram went. Elsewhere
there is nothing of this, and only TCP tells that nobody listens.

Anybody who can forge a packet can forge such an answer: it is a reason to look, and no proof.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final, cast

from trio_gossip.transport import Refused
from trio_gossip_transports.socket_addresses import address_of
from trio_gossip_transports.socket_errors import name_of

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip_transports.socket_addresses import SocketAddress

REFUSALS_MAX: Final = 1024
"""Addresses kept until somebody asks for them; each once. Further ones are counted."""

ERRORS_PER_READ: Final = 64
"""Errors read at once, so that a flood of them cannot keep a caller. The kernel keeps no more of
them than the receive buffer has room for."""

# Of <linux/in.h> and <linux/in6.h>; Python has no names for them.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25

_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
"""``struct sock_extended_err``: error number, origin, type, code, padding, two numbers."""

_BY_ICMP: Final = (2, 3)
"""Origins: a router or a host said so (IPv4, IPv6), and not this kernel."""

_ANCILLARY_BYTES: Final = 256
"""The error, the address of who sent it, and room for what else a system may add."""


class ErrorQueue:
    """The errors of one UDP socket, which it borrows; read when the owner has reason to look.

    Args:
        udp: bound and non-blocking.

    Attributes:
        is_open: whether this system tells of refusals at all.
        refused: answers "port unreachable" that were read.
        dropped: those that found no room, or did not say whom they are about.
        others: further errors that were read, by name.
    """

    def __init__(self, udp: socket.socket) -> None:
        self.is_open = _ask_for_errors(udp)
        self.refused = 0
        self.dropped = 0
        self.others: Counter[str] = Counter()
        self._udp = udp
        self._pending: dict[Address, None] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def read(self) -> int:
        """Read what is in the queue, at most :data:`ERRORS_PER_READ`; returns how many.

        While something is left the socket stays readable, so that nobody forgets to come back.
        """
        if sys.platform != "linux" or not self.is_open:
            return 0
        for number in range(ERRORS_PER_READ):
            try:
                # The datagram itself comes too, and is of no use here: no room for it.
                found = self._udp.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
            except OSError:  # empty; or the socket is gone, which the next receive will tell
                return number
            self._note(found[1], cast("SocketAddress | None", found[3]))
        return ERRORS_PER_READ

    def take(self) -> list[Refused]:
        """Return and forget who refused since the last call, in the order of their answers."""
        pending, self._pending = self._pending, {}
        return [Refused(address) for address in pending]

    def _note(self, ancillary: list[tuple[int, int, bytes]], target: SocketAddress | None) -> None:
        for level, kind, data in ancillary:
            is_error = (level, kind) in (
                (socket.IPPROTO_IP, _IP_RECVERR),
                (socket.IPPROTO_IPV6, _IPV6_RECVERR),
            )
            if not is_error or len(data) < _EXTENDED_ERROR.size:
                continue
            number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
            if number != errno.ECONNREFUSED or origin not in _BY_ICMP:
                self.others[name_of(OSError(number, ""))] += 1
                continue
            self.refused += 1
            address = address_of(target) if target else None
            if address is None or (
                address not in self._pending and len(self._pending) >= REFUSALS_MAX
            ):
                self.dropped += 1
            else:
                self._pending[address] = None


def _ask_for_errors(udp: socket.socket) -> bool:
    """Ask the kernel to keep errors with the addresses that they are about; False if it cannot."""
    if sys.platform != "linux":
        return False
    try:
        if udp.family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        # A socket of both families needs both: what it sends to IPv4 is answered by ICMP.
        udp.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    except OSError:
        return False
    return True
