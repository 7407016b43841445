"""The handshake of a stream: mutual TLS, then one byte in which the acceptor says yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import trio

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


class _KeepsOutgoing:
    """A context that remembers where its stream puts what it wants to send.

    trio throws away the alert that OpenSSL writes when a handshake fails. The alert tells the
    peer what is wrong with it, so it is worth sending.
    """

    outgoing: ssl.MemoryBIO | None = None

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> ssl.SSLObject:
        """As :meth:`ssl.SSLContext.wrap_bio`."""
        self.outgoing = outgoing
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
) -> TLSStream:
    """Make a stream secure. Owns ``inner``: it is closed when anything goes wrong.

    Args:
        inner: a fresh stream.
        context: of this end.
        accepted: whether the peer opened the stream.
        wanted: the name that the certificate of the peer must have; None for any.
        require_name: whether that is demanded, and that there is a name at all.

    Raises:
        HandshakeError: the peer is not somebody to talk to.
    """
    keeper = _KeepsOutgoing(context)
    try:
        try:
            secured = trio.SSLStream(inner, cast("ssl.SSLContext", keeper), server_side=accepted)
            await secured.do_handshake()
            names = names_of(secured.getpeercert())
            if accepted:
                await secured.send_all(WELCOME if names or not require_name else NO_NAME)
            else:
                _check_answer(bytes(await secured.receive_some(1)))
        except trio.BrokenResourceError as error:
            await _send_alert(inner, keeper)
            raise handshake_error(error) from error
        if require_name:
            _check_names(names, wanted)
    except BaseException:
        await trio.aclose_forcefully(inner)
        raise
    return TLSStream(secured, names if require_name else ())


def _check_names(names: tuple[str, ...], wanted: str | None) -> None:
    if not names:
        raise HandshakeError(TLSFault.NO_NAME)
    if wanted is not None and wanted not in names:
        raise HandshakeError(TLSFault.WRONG_NAME, " and ".join(map(repr, names[:3])))


def _check_answer(answer: bytes) -> None:
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
