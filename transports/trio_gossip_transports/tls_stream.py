"""One stream under mutual TLS, and whose certificate is at the other end: :class:`TLSStream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import trio

from trio_gossip.transport import abort_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

FAREWELL_SECONDS: Final = 1.0
"""How long closing, and refusing, may take to tell the peer."""


class TLSStream(trio.abc.Stream):
    """What is left of a handshake that went well: bytes, and the name of the peer.

    An end that nobody announced is a broken stream and not an end: a cut is noticed.

    Args:
        secured: after its handshake.
        peer_names: those in the certificate of the peer.
        carries_packets: whether who opened it means packets to travel on it.

    Attributes:
        peer_names: every name that the certificate of the peer gives it, which the CA vouches
            for. Empty without ``require_name``: then names mean nothing.
    """

    def __init__(
        self,
        secured: trio.SSLStream[trio.abc.Stream],
        peer_names: tuple[str, ...],
        *,
        carries_packets: bool = False,
    ) -> None:
        self.peer_names = peer_names
        self.carries_packets = carries_packets
        self._secured = secured

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``; see :class:`trio.abc.SendStream`."""
        await self._secured.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        await self._secured.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive; ``b""`` when the peer said that it has ended.

        Raises:
            trio.BrokenResourceError: it was cut off, or somebody interfered.
        """
        return bytes(await self._secured.receive_some(max_bytes))

    async def aclose(self) -> None:
        """Close, and let the peer know that this is the end and no cut, if that goes quickly."""
        with trio.move_on_after(FAREWELL_SECONDS):
            await self._secured.aclose()

    async def abort(self) -> None:
        """Close at once, and tell nobody. See :func:`trio_gossip.transport.abort_stream`."""
        await abort_stream(self._secured.transport_stream)
        await trio.aclose_forcefully(self._secured)


def names_of(certificate: Mapping[str, object] | None) -> tuple[str, ...]:
    """The names that a certificate gives to its holder, each once.

    They are its DNS names, as they are written, and the common name of its subject: names of
    members are no host names, and not all of them can be DNS names. An asterisk stands for itself.

    Args:
        certificate: as :meth:`ssl.SSLObject.getpeercert` returns it.
    """
    fields = cast("Mapping[str, Any]", certificate or {})
    names = [value for kind, value in fields.get("subjectAltName", ()) if kind == "DNS"]
    for relative in fields.get("subject", ()):
        names += [value for kind, value in relative if kind == "commonName"]
    return tuple(dict.fromkeys(str(name) for name in names if name))
