"""The handshake of a stream: mutual TLS, then one byte in which the acceptor says yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import trio

from trio_gossip.transport import abort_stream
from trio_gossip_transports.tls_faults import HandshakeError, TLSFault, handshake_error
from trio_gossip_transports.tls_stream import FAREWELL_SECONDS, TLSStream, names_of

if TYPE_CHECKING:
    import ssl

WELCOME: Final = b"\x01"
"""First byte of an acceptor: the certificate of the opener is good, and what follows is read.

In TLS 1.3 the opener is done before the acceptor has looked at its certificate. Without this byte
a dial would succeed and the stream break later, with nothing that tells why.
"""

NO_NAME: Final = b"\x02"
"""First and last byte of an acceptor: the certificate of the opener names nobody."""


PACKETS_DIFFER: Final = b"\x03"
"""First and last byte of an acceptor: one of us carries packets in streams, the other does not."""

ALPN_PACKETS: Final = "trio-gossip/packets"
"""What the opener of a connection for packets asks for by ALPN (RFC 7301)."""

ALPN_STREAMS: Final = "trio-gossip/streams"
"""The same for every other stream, where packets travel in streams. Where they are datagrams
nobody asks for anything."""


class _KeepsOutgoing:
    """A context that remembers where its stream puts what it wants to send.

    trio throws away the alert that OpenSSL writes when a handshake fails. The alert tells the
    peer what is wrong with it, so it is worth sending.
    """

    outgoing: ssl.MemoryBIO | None = None

    def __init__(self, context: ssl.SSLContext, asks_for: str | None) -> None:
        self._context = context
        self._asks_for = asks_for

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> ssl.SSLObject:
        """As :meth:`ssl.SSLContext.wrap_bio`."""
        self.outgoing = outgoing
        if self._asks_for is not None:
            # OpenSSL copies it from the context into the connection, here and now.
            self._context.set_alpn_protocols([self._asks_for])
        return self._context.wrap_bio(
            incoming, outgoing, server_side=server_side, server_hostname=server_hostname
        )


async def shake_hands(
    inner: trio.abc.Stream,
    context: ssl.SSLContext,
    *,
    accepted: bool,
    wanted: str | None = None,
    require_name: bool = True,
    protocols: tuple[str, ...] = (),
) -> TLSStream:
    """Make a stream secure. Owns ``inner``: it is closed when anything goes wrong.

    Args:
        inner: a fresh stream.
        context: of this end.
        accepted: whether the peer opened the stream.
        wanted: the name that the certificate of the peer must have; None for any.
        require_name: whether that is demanded, and that there is a name at all.
        protocols: the one to ask for by ALPN or, on an accepted stream, those that are known: the
            context has them. One of them must be agreed on. Empty: none is asked for.

    Raises:
        HandshakeError: the peer is not somebody to talk to.
    """
    keeper = _KeepsOutgoing(context, None if accepted or not protocols else protocols[0])
    try:
        try:
            secured = trio.SSLStream(inner, cast("ssl.SSLContext", keeper), server_side=accepted)
            await secured.do_handshake()
            names = names_of(secured.getpeercert())
            agreed = secured.selected_alpn_protocol()
            differs = bool(protocols) and agreed not in protocols
            if accepted:
                verdict = WELCOME if names or not require_name else NO_NAME
                await secured.send_all(PACKETS_DIFFER if differs else verdict)
            else:
                _check_answer(bytes(await secured.receive_some(1)))
        except trio.BrokenResourceError as error:
            await _send_alert(inner, keeper)
            raise handshake_error(error) from error
        _check_peer(names, wanted, require_name=require_name, differs=differs)
    except BaseException as error:
        # A dial that is given up is, more often than not, a probe that waited in vain.
        if isinstance(error, trio.Cancelled) and not accepted:
            await abort_stream(inner)
        else:
            await trio.aclose_forcefully(inner)
        raise
    return TLSStream(secured, names if require_name else (), carries_packets=agreed == ALPN_PACKETS)


def _check_peer(
    names: tuple[str, ...], wanted: str | None, *, require_name: bool, differs: bool
) -> None:
    if differs:
        raise HandshakeError(TLSFault.PACKETS_DIFFER)
    if not require_name:
        return
    if not names:
        raise HandshakeError(TLSFault.NO_NAME)
    if wanted is not None and wanted not in names:
        raise HandshakeError(TLSFault.WRONG_NAME, " and ".join(map(repr, names[:3])))


def _check_answer(answer: bytes) -> None:
    if answer == PACKETS_DIFFER:
        raise HandshakeError(TLSFault.PACKETS_DIFFER)
    if answer == NO_NAME:
        raise HandshakeError(TLSFault.REFUSED_NO_NAME)
    if answer != WELCOME:
        raise HandshakeError(TLSFault.OTHER if answer else TLSFault.CLOSED)


async def _send_alert(inner: trio.abc.Stream, keeper: _KeepsOutgoing) -> None:
    alert = keeper.outgoing.read() if keeper.outgoing is not None else b""
    if alert:
        try:
            with trio.move_on_after(FAREWELL_SECONDS):
                await inner.send_all(alert)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # nobody is there to be told
