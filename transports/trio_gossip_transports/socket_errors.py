"""Which errors of a socket a peer or the moment can cause, and which mean that it is gone."""

from __future__ import annotations

import errno

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""This process or this host has no more files or memory: worth a pause before the next try."""

BELATED = frozenset(
    {
        getattr(errno, name)
        for name in (
            *("EACCES", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "EMSGSIZE", "ENETUNREACH"),
            *("ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EPROTO"),
        )
        if hasattr(errno, name)
    }
)
"""What an ICMP answer to an earlier datagram becomes: a call that fails with it did nothing yet."""

# Linux hands errors of a new connection, and ICMP answers to earlier datagrams, to whoever calls
# next. Not in the list: EBADF, ENOTSOCK, EINVAL, EFAULT. They mean that the socket itself is gone,
# and to retry them would spin.
TRANSIENT = OUT_OF_RESOURCES | {
    getattr(errno, name)
    for name in (
        *("EACCES", "EAGAIN", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN"),
        *("EHOSTUNREACH", "EINTR", "EMSGSIZE", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENONET"),
        *("ENOPROTOOPT", "EOPNOTSUPP", "EPERM", "EPROTO", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
}
"""What a peer, a router or the moment can cause: absorbed, counted and tried again."""


def name_of(error: OSError) -> str:
    """The name under which an error is counted, such as ``"EAGAIN"``."""
    return errno.errorcode.get(error.errno or 0, "OTHER")
